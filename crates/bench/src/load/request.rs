//! Requests, laid out once.

/// What is asked, of whom, in whose name.
#[derive(Debug, Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [String],
    pub(crate) model: &'a str,
    pub(crate) prompt_bytes: usize,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) stream: bool,
    /// Ask for the usage report at the end of a stream.
    pub(crate) usage: bool,
}

/// A request but for the key, which may differ from one to the next.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    before_key: Vec<u8>,
    after_key: Vec<u8>,
}

impl Template {
    pub(crate) fn new(ask: &Ask<'_>) -> Self {
        let body = body(ask);
        let mut head = format!(
            "POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            ask.path,
            body.len()
        );
        for header in ask.headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str("authorization: Bearer ");
        Self { before_key: head.into_bytes(), after_key: [b"\r\n\r\n", body.as_bytes()].concat() }
    }

    /// The whole request, into a buffer that is used again.
    pub(crate) fn fill(&self, key: &str, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.before_key);
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&self.after_key);
    }
}

fn body(ask: &Ask<'_>) -> String {
    let prompt = prompt(ask.prompt_bytes);
    let mut body = if ask.path.ends_with("/embeddings") {
        serde_json::json!({"model": ask.model, "input": prompt})
    } else {
        serde_json::json!({"model": ask.model, "messages": [{"role": "user", "content": prompt}]})
    };
    if let Some(object) = body.as_object_mut() {
        if let Some(tokens) = ask.max_tokens {
            object.insert("max_tokens".to_owned(), tokens.into());
        }
        if ask.stream {
            object.insert("stream".to_owned(), true.into());
        }
        if ask.stream && ask.usage {
            object.insert("stream_options".to_owned(), serde_json::json!({"include_usage": true}));
        }
    }
    body.to_string()
}

/// Plain words: a tokenizer has to work on them as it does on a real prompt, which it would not on one letter repeated.
fn prompt(bytes: usize) -> String {
    const WORDS: &str = "The committee read the report on the second reactor and asked whether its cooling pumps had \
                         been inspected since the last outage; nobody could say, so the question went to the vendor. ";
    WORDS.chars().cycle().take(bytes).collect()
}
