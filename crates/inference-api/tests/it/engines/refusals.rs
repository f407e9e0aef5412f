use hermetic_inference_api::{RequestMistake, messages, responses};

/// A chat request with these fields besides the ones it has to have.
fn request(fields: &str) -> String {
    let messages = if fields.contains("\"messages\"") { "" } else { "\"messages\":[]," };
    format!("{{\"model\":\"m\",{messages}{fields}}}")
}

fn of_messages(fields: &str) -> Result<Vec<u8>, RequestMistake> {
    messages::of_chat(request(fields).as_bytes(), 1)
}

fn of_responses(fields: &str) -> Result<Vec<u8>, RequestMistake> {
    responses::of_chat(request(fields).as_bytes())
}

fn refused(words: &'static str, path: &str, found: &str) -> Result<Vec<u8>, RequestMistake> {
    Err(RequestMistake::Unsayable { words, path: path.to_owned(), found: found.to_owned() })
}

/// What neither has words for.
const WORDLESS: [(&str, &str, &str); 23] = [
    (r#""n":2"#, "n", "more than one answer"),
    (r#""logit_bias":{"7":1}"#, "logit_bias", "an object"),
    (r#""frequency_penalty":0.5"#, "frequency_penalty", "a number"),
    (r#""presence_penalty":-1"#, "presence_penalty", "a number"),
    (r#""seed":7"#, "seed", "a number"),
    (r#""audio":{"voice":"v"}"#, "audio", "an object"),
    (r#""modalities":["text","audio"]"#, "modalities[1]", "`audio`"),
    (r#""prediction":{"type":"content"}"#, "prediction", "an object"),
    (r#""web_search_options":{}"#, "web_search_options", "an object"),
    (r#""functions":[{}]"#, "functions", "an array"),
    (r#""function_call":"auto""#, "function_call", "a string"),
    (r#""tools":[{"type":"custom","custom":{"name":"c"}}]"#, "tools[0].type", "`custom`"),
    (r#""tools":[{"type":"function","function":{"name":"f","x":1}}]"#, "tools[0].function.x", "a number"),
    (r#""tool_choice":{"type":"custom"}"#, "tool_choice.type", "`custom`"),
    (r#""response_format":{"type":"grammar"}"#, "response_format.type", "`grammar`"),
    (r#""add_generation_prompt":false"#, "add_generation_prompt", "a truth value"),
    (
        r#""max_tokens":7,"max_completion_tokens":8"#,
        "max_tokens",
        "another number than in `max_completion_tokens`",
    ),
    (r#""messages":[{"role":"function","name":"f","content":""}]"#, "messages[0].role", "`function`"),
    (r#""messages":[{"role":"user","content":"","name":"ada"}]"#, "messages[0].name", "a string"),
    (
        r#""messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]"#,
        "messages[0].content[0].type",
        "`input_audio`",
    ),
    (
        r#""messages":[{"role":"tool","tool_call_id":"c","content":[{"type":"image_url","image_url":{"url":"u"}}]}]"#,
        "messages[0].content[0].type",
        "`image_url`",
    ),
    (
        r#""messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"custom"}]}]"#,
        "messages[0].tool_calls[0].type",
        "`custom`",
    ),
    (
        r#""messages":[{"role":"assistant","reasoning_content":"a","reasoning":"b"}]"#,
        "messages[0].reasoning",
        "what another field says already",
    ),
];

#[test]
fn what_there_are_no_words_for_is_refused_where_it_stands() {
    for (fields, path, found) in WORDLESS {
        assert_eq!(of_messages(fields), refused("Messages", path, found), "{fields}");
        assert_eq!(of_responses(fields), refused("Responses", path, found), "{fields}");
    }
}

#[test]
fn what_messages_has_no_words_for_is_refused_where_it_stands() {
    let assistant = r#"{"role":"assistant","content":"a"}"#;
    for (fields, path, found) in [
        (r#""logprobs":true"#, "logprobs", "a truth value"),
        (r#""prompt_logprobs":1"#, "prompt_logprobs", "a number"),
        (r#""top_logprobs":2"#, "top_logprobs", "a number"),
        (r#""verbosity":"low""#, "verbosity", "`low`"),
        (r#""service_tier":"flex""#, "service_tier", "`flex`"),
        (r#""reasoning_effort":"minimal""#, "reasoning_effort", "`minimal`"),
        (r#""response_format":{"type":"json_object"}"#, "response_format.type", "`json_object`"),
        (
            r#""response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","schema":{}}}"#,
            "response_format.json_schema.description",
            "a string",
        ),
        (
            r#""tools":[{"function":{"name":"f"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}"#,
            "tool_choice.type",
            "`allowed_tools`",
        ),
        (r#""metadata":{"user_id":"u"}"#, "metadata.user_id", "the name that Messages has for `user`"),
        (r#""system":"s""#, "system", "a string"),
        (r#""mcp_servers":[{"url":"u"}]"#, "mcp_servers", "an array"),
        (r#""thinking":{"type":"enabled"}"#, "thinking", "an object"),
        (
            r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png,x"}}]}]"#,
            "messages[0].content[0].image_url",
            "a URL that is neither of http nor data in base64",
        ),
        (
            r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:;base64,x","detail":"low"}}]}]"#,
            "messages[0].content[0].image_url",
            "a `detail` other than `auto`",
        ),
        (
            &format!("\"messages\":[{assistant}]"),
            "messages[0].role",
            "a last message of the assistant that is not to be continued",
        ),
        (
            r#""continue_final_message":true,"messages":[{"role":"user","content":"x"}]"#,
            "continue_final_message",
            "`true` without a text of the assistant to go on from",
        ),
    ] {
        assert_eq!(of_messages(fields), refused("Messages", path, found), "{fields}");
    }
}

#[test]
fn what_responses_have_no_words_for_is_refused_where_it_stands() {
    for (fields, path, found) in [
        (r#""stop":["a"]"#, "stop", "an array"),
        (r#""stop":"a""#, "stop", "a string"),
        (r#""top_logprobs":2"#, "top_logprobs", "a number without `logprobs`"),
        (r#""continue_final_message":true"#, "continue_final_message", "`true`"),
        (r#""previous_response_id":"r""#, "previous_response_id", "a string"),
        (r#""background":true"#, "background", "a truth value"),
        (r#""input":"x""#, "input", "a string"),
        (r#""reasoning":{"effort":"low"}"#, "reasoning", "an object"),
    ] {
        assert_eq!(of_responses(fields), refused("Responses", path, found), "{fields}");
    }
}

#[test]
fn what_asks_for_nothing_is_no_reason_to_refuse() {
    for fields in [
        r#""n":1,"logit_bias":{},"frequency_penalty":0,"presence_penalty":0.0,"seed":null,"modalities":["text"]"#,
        r#""logprobs":false,"top_logprobs":0,"stop":null,"functions":[],"store":true,"response_format":{"type":"text"}"#,
        r#""stream":true,"stream_options":{"include_usage":true},"service_tier":"auto","parallel_tool_calls":false"#,
        r#""max_tokens":7,"max_completion_tokens":7,"tool_choice":"auto","verbosity":"medium","safety_identifier":"s""#,
        r#""messages":[{"role":"tool","tool_call_id":"c","name":"f","content":""},{"role":"assistant","content":null,"refusal":null,"audio":null}]"#,
    ] {
        assert!(of_messages(fields).is_ok(), "{:?}", of_messages(fields));
        assert!(of_responses(fields).is_ok(), "{:?}", of_responses(fields));
    }
}

#[test]
fn mistakes_name_the_place_what_was_expected_and_what_was_found() {
    for (fields, message) in [
        (r#""messages":7"#, "expected `messages` to be an array, found a number"),
        (r#""messages":[{"content":"x"}]"#, "expected `messages[0].role` to be a string, found nothing"),
        (
            r#""messages":[{"role":"user"}]"#,
            "expected `messages[0].content` to be a string or an array of parts, found nothing",
        ),
        (
            r#""messages":[{"role":"tool","content":""}]"#,
            "expected `messages[0].tool_call_id` to be a string, found nothing",
        ),
        (
            r#""messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":{}}}]}]"#,
            "expected `messages[0].tool_calls[0].function.arguments` to be a string, found an object",
        ),
        (r#""max_tokens":-1"#, "expected `max_tokens` to be a whole number, zero or more, found a number"),
        (r#""tools":[{}]"#, "expected `tools[0].function` to be an object, found nothing"),
    ] {
        assert_eq!(of_messages(fields).unwrap_err().to_string(), message);
        assert_eq!(of_responses(fields).unwrap_err().to_string(), message);
    }
    for (fields, message) in [
        (r#""top_p":[]"#, "expected `top_p` to be a number, found an array"),
        (r#""stream":1"#, "expected `stream` to be true or false, found a number"),
    ] {
        assert_eq!(of_responses(fields).unwrap_err().to_string(), message);
    }
    let unknown = r#""tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"function":{"name":"g"}}]}}"#;
    let path = "tool_choice.allowed_tools.tools[0].function.name";
    let message = format!("expected `{path}` to be the name of a function in `tools`, found a string");
    assert_eq!(of_responses(unknown).unwrap_err().to_string(), message);
    let mistake = of_messages(r#""stop":7"#).unwrap_err();
    assert_eq!(mistake.to_string(), "expected `stop` to be a string or an array of strings, found a number");
    let mistake = of_responses(r#""seed":7"#).unwrap_err();
    let text = "expected nothing in `seed` that an engine cannot be asked in Responses, found a number";
    assert_eq!((mistake.to_string().as_str(), mistake.field()), (text, Some("seed")));
    for (body, field) in [(r#"{"messages":[]}"#, "model"), (r#"{"model":"m"}"#, "messages")] {
        let missing = Err(RequestMistake::Missing { field });
        assert_eq!(messages::of_chat(body.as_bytes(), 1), missing);
        assert_eq!(responses::of_chat(body.as_bytes()), missing);
    }
    let twice = br#"{"model":"m","messages":[{"role":"user","content":"a","r\u006fle":"system"}]}"#;
    assert_eq!(messages::of_chat(twice, 1), Err(RequestMistake::DuplicateKey { key: "role".to_owned() }));
}
