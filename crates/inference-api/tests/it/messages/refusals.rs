use hermetic_inference_api::{RequestMistake, messages};

/// A request with these fields besides the ones it has to have.
fn asked(fields: &str) -> RequestMistake {
    let body = format!("{{\"model\":\"m\",\"max_tokens\":9,{fields}}}");
    let body = if fields.contains("\"messages\"") {
        body
    } else {
        body.replace("{\"model\"", "{\"messages\":[],\"model\"")
    };
    messages::to_chat(body.as_bytes()).expect_err(&body)
}

#[test]
fn what_chat_completions_have_no_words_for_is_refused_with_its_path() {
    let user = |block: &str| {
        format!(r#""messages":[{{"role":"user","content":[{{"type":"text","text":"a"}},{block}]}}]"#)
    };
    let assistant = |block: &str| format!(r#""messages":[{{"role":"assistant","content":[{block}]}}]"#);
    let cases = [
        (r#""thinking":{"type":"enabled","budget_tokens":2048}"#.to_owned(), "thinking.type", "`enabled`"),
        (r#""thinking":{"type":"adaptive","display":"omitted"}"#.to_owned(), "thinking.display", "`omitted`"),
        (r#""container":"c_1""#.to_owned(), "container", "a string"),
        (r#""mcp_servers":[{"url":"u"}]"#.to_owned(), "mcp_servers", "an array"),
        (r#""context_management":{"edits":[]}"#.to_owned(), "context_management", "an object"),
        (r#""diagnostics":{"previous_message_id":null}"#.to_owned(), "diagnostics", "an object"),
        (r#""max_completion_tokens":7"#.to_owned(), "max_completion_tokens", "a number"),
        (r#""service_tier":"priority""#.to_owned(), "service_tier", "`priority`"),
        (r#""speed":"fast""#.to_owned(), "speed", "`fast`"),
        (r#""n":2"#.to_owned(), "n", "more than one answer"),
        (r#""logprobs":true"#.to_owned(), "logprobs", "a truth value"),
        (r#""stop_sequences":["a"],"stop":"b""#.to_owned(), "stop", "what another field says already"),
        (r#""output_config":{"effort":"max"}"#.to_owned(), "output_config.effort", "`max`"),
        (r#""output_config":{"task_budget":{}}"#.to_owned(), "output_config.task_budget", "an object"),
        (
            r#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#.to_owned(),
            "tools[0].type",
            "`web_search_20250305`",
        ),
        (
            r#""tools":[{"name":"a","input_schema":{},"defer_loading":true}]"#.to_owned(),
            "tools[0].defer_loading",
            "true",
        ),
        (
            r#""tools":[{"name":"a","input_schema":{},"input_examples":[{}]}]"#.to_owned(),
            "tools[0].input_examples",
            "an array",
        ),
        (r#""tool_choice":{"type":"some"}"#.to_owned(), "tool_choice.type", "`some`"),
        (
            user(
                r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"x"}}"#,
            ),
            "messages[0].content[1].source.type",
            "`base64`",
        ),
        (
            user(
                r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"x"},"citations":{"enabled":true}}"#,
            ),
            "messages[0].content[1].citations.enabled",
            "true",
        ),
        (
            user(r#"{"type":"image","source":{"type":"file","file_id":"f"}}"#),
            "messages[0].content[1].source.type",
            "`file`",
        ),
        (user(r#"{"type":"search_result","source":"s"}"#), "messages[0].content[1].type", "`search_result`"),
        (
            user(r#"{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{}}]}"#),
            "messages[0].content[1].content[0].type",
            "`image`",
        ),
        (user(r#"{"type":"text","text":"b","weight":2}"#), "messages[0].content[1].weight", "a number"),
        (
            assistant(r#"{"type":"redacted_thinking","data":"x"}"#),
            "messages[0].content[0].type",
            "`redacted_thinking`",
        ),
        (
            assistant(r#"{"type":"text","text":"b","citations":[{}]}"#),
            "messages[0].content[0].citations",
            "an array",
        ),
        (
            assistant(
                r#"{"type":"tool_use","id":"i","name":"n","input":{},"caller":{"type":"code_execution_20250825"}}"#,
            ),
            "messages[0].content[0].caller.type",
            "`code_execution_20250825`",
        ),
        (r#""messages":[{"role":"tool","content":"x"}]"#.to_owned(), "messages[0].role", "`tool`"),
    ];
    for (fields, path, found) in cases {
        let refused = RequestMistake::Untranslatable { path: path.to_owned(), found: found.to_owned() };
        assert_eq!(asked(&fields), refused, "{fields}");
    }
}

#[test]
fn what_is_not_of_its_type_is_named_with_its_path() {
    for (fields, message) in [
        (r#""messages":7"#, "expected `messages` to be an array, found a number"),
        (r#""messages":[7]"#, "expected `messages[0]` to be an object, found a number"),
        (r#""messages":[{"content":"x"}]"#, "expected `messages[0].role` to be a string, found nothing"),
        (
            r#""messages":[{"role":"user"}]"#,
            "expected `messages[0].content` to be a string or an array of blocks, found nothing",
        ),
        (
            r#""messages":[{"role":"user","content":[{"type":"text","text":7}]}]"#,
            "expected `messages[0].content[0].text` to be a string, found a number",
        ),
        (
            r#""messages":[{"role":"assistant","content":[{"type":"tool_use","id":"i","name":"n","input":"x"}]}]"#,
            "expected `messages[0].content[0].input` to be an object, found a string",
        ),
        (
            r#""system":true"#,
            "expected `system` to be a string or an array of text blocks, found a truth value",
        ),
        (r#""tools":[{"name":"n"}]"#, "expected `tools[0].input_schema` to be a JSON schema, found nothing"),
        (r#""stop_sequences":["x",7]"#, "expected `stop_sequences[1]` to be a string, found a number"),
        (r#""stop_sequences":"x""#, "expected `stop_sequences` to be an array, found a string"),
        (r#""metadata":"x""#, "expected `metadata` to be an object, found a string"),
    ] {
        let mistake = asked(fields);
        assert_eq!(mistake.to_string(), message);
        assert_eq!(mistake.field().unwrap(), message.split('`').nth(1).unwrap());
    }
}

#[test]
fn what_has_to_be_there_is_missed_by_name() {
    for (body, field) in [
        (r#"{"messages":[],"max_tokens":1}"#, "model"),
        (r#"{"model":"m","max_tokens":1}"#, "messages"),
        (r#"{"model":"m","messages":[]}"#, "max_tokens"),
        (r#"{"model":"m","messages":[],"max_tokens":null}"#, "max_tokens"),
    ] {
        assert_eq!(messages::to_chat(body.as_bytes()), Err(RequestMistake::Missing { field }), "{body}");
    }
    assert!(messages::count_tokens_to_chat(br#"{"model":"m","messages":[]}"#).is_ok());
}

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    for body in [
        r#"{"model":"a","messages":[],"max_tokens":1,"mod\u0065l":"b"}"#,
        r#"{"model":"a","max_tokens":1,"messages":[{"role":"user","content":"x","content":"y"}]}"#,
        r#"{"model":"a","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"x","te\u0078t":"y"}]}]}"#,
    ] {
        let mistake = messages::to_chat(body.as_bytes());
        assert!(matches!(mistake, Err(RequestMistake::DuplicateKey { .. })), "{mistake:?}");
    }
    for body in ["", "[]", "{\"model\":\"a\"} x", "{\"model\":\"\u{1}\"}"] {
        assert!(matches!(messages::to_chat(body.as_bytes()), Err(RequestMistake::Json(_))), "{body}");
    }
}
