use super::generation::{Answer, answer, ask, collect_all, load};
use hermetic_engine_llama::{
    CallRules, Conversation, Event, FinishReason, Function, GenerateRequest, Grammar, Message, Otherwise,
    Prompt, Sampling,
};
use serde_json::{Value, json};

fn tool(name: &str, parameters: &Value) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "The weather in a city.", "parameters": parameters}})
}

fn weather() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]})
}

fn everything() -> Value {
    json!({
        "type": "object",
        "$defs": {"unit": {"type": "string", "enum": ["celsius", "fahr\"enheit"]}},
        "properties": {
            "unit": {"$ref": "#/$defs/unit"},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "cities": {"type": "array", "items": {"type": "string", "maxLength": 8}, "minItems": 1, "maxItems": 2},
            "precise": {"type": "boolean"}
        },
        "required": ["unit", "days", "cities"],
        "additionalProperties": false
    })
}

fn functions() -> Vec<Function> {
    let of = |(tool, (name, parameters)): (usize, (&str, Value))| Function {
        tool,
        name: name.to_owned(),
        parameters: Some(parameters),
        strict: true,
    };
    [("get_weather", weather()), ("forecast", everything())].into_iter().enumerate().map(of).collect()
}

fn rules(otherwise: Otherwise) -> CallRules {
    CallRules { functions: functions(), parallel: false, otherwise }
}

fn asking(rules: &CallRules, max_tokens: u32) -> GenerateRequest {
    let tool = |function: &Function| tool(&function.name, function.parameters.as_ref().unwrap());
    let conversation = Conversation {
        messages: vec![Message::new("user", "What is the weather in Paris?")],
        tools: functions().iter().map(tool).collect(),
    };
    GenerateRequest {
        prompt: Prompt::Chat(conversation),
        grammar: Some(rules.grammar().unwrap()),
        ..ask("", max_tokens)
    }
}

fn fits(name: &str, arguments: &str) {
    let value: Value = serde_json::from_str(arguments).unwrap_or_else(|error| panic!("{arguments}: {error}"));
    let fields = value.as_object().unwrap();
    match name {
        "get_weather" => {
            assert!(fields.len() == 1 && fields["city"].as_str().unwrap().chars().count() <= 20, "{value}");
        }
        "forecast" => {
            assert!(["celsius", "fahr\"enheit"].contains(&fields["unit"].as_str().unwrap()), "{value}");
            assert!((1..=14).contains(&fields["days"].as_i64().unwrap()), "{value}");
            assert!((1..=2).contains(&fields["cities"].as_array().unwrap().len()), "{value}");
            assert!(fields.get("precise").is_none_or(Value::is_boolean) && fields.len() <= 4, "{value}");
        }
        other => panic!("no function is called {other}"),
    }
}

#[test]
fn a_model_that_must_call_calls_with_arguments_of_the_schema_also_when_warm() {
    let model = load(4, 16);
    let rules = rules(Otherwise::Nothing);
    assert!(model.prompt_tokens(&asking(&rules, 1).prompt).unwrap() > 200);
    let warm = |seed| GenerateRequest {
        sampling: Sampling { temperature: 1.5, seed, ..Sampling::default() },
        choices: 4,
        ..asking(&rules, 200)
    };
    let mut names = std::collections::BTreeSet::new();
    for seed in [1, 100, 200, 300] {
        for answer in collect_all(model.generate(&warm(seed)).unwrap(), 4) {
            assert_eq!((answer.text.as_str(), answer.calls.len()), ("", 1));
            assert_eq!(answer.end.unwrap().0, FinishReason::Calls);
            fits(&answer.calls[0].0, &answer.calls[0].1);
            names.insert(answer.calls[0].0.clone());
        }
    }
    assert_eq!(names.len(), 2, "sixteen warm calls named one function alone: {names:?}");
}

#[test]
fn the_functions_of_the_rules_are_the_ones_that_are_called() {
    let model = load(1, 4);
    for (kept, name) in [(0, "get_weather"), (1, "forecast")] {
        let functions = vec![functions().remove(kept)];
        let answer = answer(&model, &asking(&CallRules { functions, ..rules(Otherwise::Nothing) }, 200));
        assert_eq!(answer.calls[0].0, name);
        fits(name, &answer.calls[0].1);
    }
}

#[test]
fn several_calls_are_told_apart_and_come_to_an_end() {
    let model = load(1, 4);
    // Until the context is full, or thirty-two calls are made: the model is told to say what it has said before.
    let copy =
        "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>\n";
    let request = GenerateRequest {
        prompt: Prompt::Text(copy.repeat(6)),
        ..asking(&CallRules { parallel: true, ..rules(Otherwise::Nothing) }, 120)
    };
    let several = answer(&model, &request);
    assert!(several.calls.len() > 1, "{several:?}");
    let (last, whole) = several.calls.split_last().unwrap();
    whole.iter().for_each(|(name, arguments)| fits(name, arguments));
    assert!(!last.0.is_empty() && several.text.is_empty());
    let one = GenerateRequest { grammar: Some(rules(Otherwise::Nothing).grammar().unwrap()), ..request };
    let one = answer(&model, &one);
    assert_eq!((one.calls.len(), one.end.unwrap().0), (1, FinishReason::Calls));
    assert_eq!(one.calls[0], several.calls[0]);
}

/// A question and an answer, several times, so that the model goes on in the same way.
fn pattern(answer: &str) -> Prompt {
    let cities = ["Paris", "Oslo", "Madrid", "London", "Berlin"];
    let shots = cities
        .map(|city| format!("Q: What is the weather in {city}?\nA:{}\n\n", answer.replace("CITY", city)));
    Prompt::Text(format!("{}Q: What is the weather in Rome?\nA:", shots.concat()))
}

const CALL: &str =
    "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"CITY\"}}\n</tool_call>";

#[test]
fn a_model_that_may_call_says_text_and_calls_as_it_likes() {
    let model = load(1, 4);
    let asked =
        |answer: &str| GenerateRequest { prompt: pattern(answer), ..asking(&rules(Otherwise::Text), 80) };
    let called = answer(&model, &asked(&format!(" {CALL}")));
    assert_eq!(called.calls, [("get_weather".to_owned(), "{\"city\": \"Rome\"}".to_owned())], "{called:?}");
    assert_eq!((called.text.as_str(), called.end.unwrap().0), ("", FinishReason::Calls));
    let both = answer(&model, &asked(&format!(" Let me look at the weather in CITY.\n{CALL}")));
    assert_eq!((both.text.trim(), both.calls.len()), ("Let me look at the weather in Rome.", 1), "{both:?}");
    let text = answer(&model, &GenerateRequest { stop: vec!["\n".into()], ..asked(" It is sunny in CITY.") });
    assert_eq!((text.text.as_str(), text.calls.len()), (" It is sunny in Rome.", 0));
    assert_eq!(text.end.unwrap().0, FinishReason::Stop);
}

#[test]
fn once_a_call_has_begun_it_is_one_of_a_function_there_is() {
    let model = load(1, 4);
    // The model is shown calls of a function that does not exist, in JSON that is none.
    let wrong = " <tool_call>\n{'function': 'look_up', 'arguments': ['CITY']}\n</tool_call>";
    let request = GenerateRequest { prompt: pattern(wrong), ..asking(&rules(Otherwise::Text), 120) };
    let answer = answer(&model, &request);
    assert_eq!((answer.text.as_str(), answer.calls.len()), ("", 1), "{answer:?}");
    fits(&answer.calls[0].0, &answer.calls[0].1);
}

#[test]
fn a_response_format_is_for_answers_that_are_no_calls() {
    let model = load(1, 4);
    let schema = json!({"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"], "additionalProperties": false});
    let rules = rules(Otherwise::Format(Grammar::json_schema(&schema).unwrap()));
    let asked = |answer: &str| GenerateRequest { prompt: pattern(answer), ..asking(&rules, 80) };
    let format = answer(&model, &asked("{\"city\": \"CITY\"}"));
    assert_eq!(format.calls, []);
    assert!(serde_json::from_str::<Value>(&format.text).unwrap()["city"].is_string(), "{format:?}");
    let called = answer(&model, &asked(CALL));
    assert_eq!((called.text.as_str(), called.calls.len()), ("", 1), "{called:?}");
}

#[test]
fn stop_strings_are_looked_for_in_text_and_not_in_calls() {
    let model = load(1, 4);
    let asked = |stop: &str| GenerateRequest {
        prompt: pattern(&format!(" Let me look at the weather in CITY.\n{CALL}")),
        stop: vec![stop.into()],
        ..asking(&rules(Otherwise::Text), 80)
    };
    let through = answer(&model, &asked("\"city\""));
    assert_eq!((through.calls.len(), through.end.unwrap().0), (1, FinishReason::Calls));
    let stopped = answer(&model, &asked("weather"));
    assert_eq!((stopped.text.as_str(), stopped.calls.len()), (" Let me look at the ", 0));
    assert_eq!(stopped.end.unwrap().0, FinishReason::Stop);
}

#[test]
fn chances_are_those_of_the_tokens_that_are_text() {
    let model = load(1, 4);
    let asked = |answer: &str| GenerateRequest {
        prompt: pattern(answer),
        top_logprobs: Some(1),
        ..asking(&rules(Otherwise::Text), 80)
    };
    let spelled = |answer: &Answer| {
        let bytes = answer.logprobs.iter().flat_map(|chance| chance.chosen.bytes.clone()).collect();
        String::from_utf8(bytes).unwrap()
    };
    let both = answer(&model, &asked(&format!(" Let me look at the weather in CITY.\n{CALL}")));
    assert!(both.calls.len() == 1 && spelled(&both).starts_with(&both.text), "{both:?}");
    assert!(spelled(&both).len() <= both.text.len() + 2, "{both:?}");
    let called = answer(&model, &asked(CALL));
    assert!(called.calls.len() == 1 && called.logprobs.is_empty(), "{called:?}");
}

#[test]
fn a_call_that_runs_out_of_tokens_is_told_as_far_as_it_came() {
    let model = load(1, 4);
    let asked = |most| GenerateRequest {
        prompt: Prompt::Text("Rome is sunny. Is it? ".into()),
        ..asking(&rules(Otherwise::Nothing), most)
    };
    let whole = answer(&model, &asked(200));
    let tokens = whole.end.unwrap().1.answer;
    let mut arguments = std::collections::BTreeSet::new();
    for most in (1..tokens - 1).step_by(5) {
        let cut = answer(&model, &asked(most));
        assert_eq!(cut.end.unwrap().0, FinishReason::Length);
        match cut.calls.first() {
            Some((name, part)) => {
                assert_eq!((name, cut.text.as_str()), (&whole.calls[0].0, ""));
                assert!(whole.calls[0].1.starts_with(part.as_str()), "{part}");
                arguments.insert(part.clone());
            }
            // Too little to know it for a call: it is the text it is.
            None => {
                let form = "<tool_call>\n{\"name\": \"";
                assert!(form.starts_with(&cut.text) || cut.text.starts_with(form), "{cut:?}");
            }
        }
    }
    assert!(arguments.len() > 2, "{arguments:?}");
}

#[test]
fn arguments_flow_while_they_are_written() {
    let model = load(1, 4);
    let mut generation = model.generate(&asking(&rules(Otherwise::Nothing), 200)).unwrap();
    let mut pieces = 0;
    while let Some(event) = generation.next_blocking() {
        pieces += usize::from(matches!(event, Event::Arguments { .. }));
    }
    assert!(pieces > 2, "{pieces}");
}
