//! Which functions an answer may call, as a grammar.
//!
//! The grammar is in force from the first token: text flows through it one character at a time until the opening of a
//! call is complete, and from there on the answer is a call of a function there is, with arguments of its schema. Nothing
//! is triggered, so it does not matter how the model cuts what it writes into tokens.

use crate::grammar::{Grammar, GrammarError};
use hermetic_tokenizer::{CALL_ARGUMENTS, CALL_CLOSING, CALL_NAME, CALL_OPENING};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// A function a model may call.
#[derive(Debug, Clone)]
pub struct Function {
    /// Where it stands among the tools of the request.
    pub tool: usize,
    /// Letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// A JSON schema of the arguments. `None`: it takes none.
    pub parameters: Option<Value>,
    /// The schema must be enforced. Otherwise a schema that cannot be leaves the arguments an object of any kind.
    pub strict: bool,
}

/// What an answer may be besides calls.
#[derive(Debug, Clone)]
pub enum Otherwise {
    /// Nothing: a function must be called.
    Nothing,
    /// Text, alone or before the calls.
    Text,
    /// What a response format asks for, instead of calls.
    Format(Grammar),
}

/// How functions may be called.
#[derive(Debug, Clone)]
pub struct CallRules {
    pub functions: Vec<Function>,
    /// More than one in an answer.
    pub parallel: bool,
    pub otherwise: Otherwise,
}

/// Calls in one answer. A small model that must call and may call again would do so until its context is full.
const CALLS_MAX: usize = 32;
/// All schemas together, in bytes: each is a part of the grammar, and of the prompt.
const SCHEMAS_BYTES_MAX: usize = 256 << 10;

/// Why calls cannot be held to their functions.
#[derive(Debug, thiserror::Error)]
pub enum CallRulesError {
    #[error("expected `tools[{tool}].function.parameters` to be the JSON schema of an object")]
    NotAnObject { tool: usize },
    #[error("expected `tools[{tool}].function.parameters` to be a schema this engine can enforce")]
    Parameters { tool: usize, source: GrammarError },
    #[error("expected schemas of at most {SCHEMAS_BYTES_MAX} bytes in `tools`, found {found}")]
    Size { found: usize },
}

impl CallRules {
    /// The grammar of answers under these rules.
    pub fn grammar(&self) -> Result<Grammar, CallRulesError> {
        let (mut text, mut bytes) = (self.calls(), 0);
        for (index, function) in self.functions.iter().enumerate() {
            bytes += function.parameters.as_ref().map_or(0, |schema| schema.to_string().len());
            if bytes > SCHEMAS_BYTES_MAX {
                return Err(CallRulesError::Size { found: bytes });
            }
            let name = literal(&[&function.name, CALL_ARGUMENTS].concat());
            let arguments = prefixed(function.arguments()?.as_str(), &format!("f{index}-"));
            let _ = write!(text, "f{index} ::= {name} f{index}-root\n{arguments}\n");
        }
        Ok(Grammar::of_calls(text))
    }

    /// Everything but the functions.
    fn calls(&self) -> String {
        let functions: Vec<String> = (0..self.functions.len()).map(|index| format!("f{index}")).collect();
        let more =
            if self.parallel { format!("(\"\\n\" call){{0,{}}}", CALLS_MAX - 1) } else { String::new() };
        let (opening, name, closing) = (literal(CALL_OPENING), literal(CALL_NAME), literal(CALL_CLOSING));
        let functions = functions.join(" | ");
        let mut text = format!("opened ::= {name} ({functions}) {closing}\ncall ::= {opening} opened\n");
        let _ = match &self.otherwise {
            Otherwise::Nothing => writeln!(text, "root ::= call {more}"),
            Otherwise::Text => writeln!(text, "{}root ::= text0", free_text(&format!("opened {more}"))),
            Otherwise::Format(format) => {
                writeln!(text, "{}\nroot ::= format-root | call {more}", prefixed(format.as_str(), "format-"))
            }
        };
        text
    }
}

impl Function {
    fn arguments(&self) -> Result<Grammar, CallRulesError> {
        let tool = self.tool;
        let made = match self.schema() {
            Some(schema) => Grammar::json_schema(&schema),
            None if self.strict => return Err(CallRulesError::NotAnObject { tool }),
            None => Grammar::json_object(),
        };
        match made {
            // Nobody asked for it to be enforced, and a call with other arguments is better than none at all.
            Err(GrammarError::Schema(_)) if !self.strict => Grammar::json_object(),
            made => made,
        }
        .map_err(|source| CallRulesError::Parameters { tool, source })
    }

    /// The schema of the arguments; `None` when it may allow what is no object.
    fn schema(&self) -> Option<Value> {
        let Some(schema) = &self.parameters else {
            return Some(json!({"type": "object", "properties": {}, "additionalProperties": false}));
        };
        let members = schema.as_object()?;
        match members.get("type") {
            Some(Value::String(kind)) => (kind == "object").then(|| schema.clone()),
            None if !["$ref", "allOf", "anyOf", "oneOf", "const", "enum"]
                .iter()
                .any(|key| members.contains_key(*key)) =>
            {
                let kind = std::iter::once(("type".to_owned(), "object".into()));
                let members = members.iter().map(|(key, value)| (key.clone(), value.clone()));
                Some(Value::Object(kind.chain(members).collect::<Map<_, _>>()))
            }
            _ => None,
        }
    }
}

/// Rules for text in which no opening of a call stands, `text0`, and for what follows one that does, `then`. Rule `textN`:
/// the last N characters begin an opening. The opening begins with a character it has nowhere else, so a character that
/// does not go on with it either begins it again or is plain text.
fn free_text(then: &str) -> String {
    let opening: Vec<char> = CALL_OPENING.chars().collect();
    let first = opening.first().copied().unwrap_or('<');
    let mut rules = format!("text0 ::= | [^{first}] text0 | \"{first}\" text1\n");
    for (at, next) in opening.iter().enumerate().skip(1) {
        let goal = if at + 1 == opening.len() { then.to_owned() } else { format!("text{}", at + 1) };
        let _ =
            writeln!(rules, "text{at} ::= | [^{first}{next}] text0 | \"{first}\" text1 | \"{next}\" {goal}");
    }
    rules
}

/// A text in the language of grammars.
fn literal(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// A grammar whose rules all have a name that begins with `prefix`.
fn prefixed(grammar: &str, prefix: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let (mut out, mut rest) = (String::with_capacity(grammar.len() * 2), grammar);
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => closed(rest, '"'),
            '[' => closed(rest, ']'),
            '{' => closed(rest, '}'),
            first if is_name(first) => {
                out.push_str(prefix);
                rest.find(|c| !is_name(c)).unwrap_or(rest.len())
            }
            first => first.len_utf8(),
        };
        let (part, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        out.push_str(part);
        rest = behind;
    }
    out
}

/// The end of what the first character of `text` opens.
fn closed(text: &str, closing: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == closing => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(parameters: Value, strict: bool) -> Function {
        Function { tool: 3, name: "f".into(), parameters: Some(parameters), strict }
    }

    #[test]
    fn names_of_rules_get_a_prefix_and_nothing_else_does() {
        let grammar = "root ::= \"a\\\"b\" space [^\"\\]x-z] (item-1 | y){2,3} .\nspace ::= | \" \"";
        assert_eq!(
            prefixed(grammar, "p-"),
            "p-root ::= \"a\\\"b\" p-space [^\"\\]x-z] (p-item-1 | p-y){2,3} .\np-space ::= | \" \""
        );
    }

    #[test]
    fn text_is_followed_character_by_character() {
        let rules = free_text("opened");
        assert!(rules.starts_with("text0 ::= | [^<] text0 | \"<\" text1\n"));
        assert!(rules.contains("text1 ::= | [^<t] text0 | \"<\" text1 | \"t\" text2\n"));
        assert!(rules.ends_with("text10 ::= | [^<>] text0 | \"<\" text1 | \">\" opened\n"));
    }

    #[test]
    fn arguments_are_an_object_and_a_strict_schema_is_enforced_or_refused() {
        let of = |parameters, strict| function(parameters, strict).arguments();
        let any = Grammar::json_object().unwrap();
        for odd in [json!({"type": "string"}), json!({"anyOf": [{"type": "object"}]}), json!(7)] {
            assert!(matches!(of(odd.clone(), true), Err(CallRulesError::NotAnObject { tool: 3 })), "{odd}");
            assert_eq!(of(odd, false).unwrap().as_str(), any.as_str());
        }
        let nonsense = json!({"type": "object", "properties": {"a": {"type": "nonsense"}}});
        assert!(matches!(of(nonsense.clone(), true), Err(CallRulesError::Parameters { tool: 3, .. })));
        assert_eq!(of(nonsense, false).unwrap().as_str(), any.as_str());
        let untyped = json!({"properties": {"a": {"type": "integer"}}});
        assert!(of(untyped, true).unwrap().as_str().contains("integer"));
    }

    #[test]
    fn what_is_too_large_or_too_deep_is_refused_with_its_place_strict_or_not() {
        let mut deep = json!({"type": "object"});
        for _ in 0..40 {
            deep = json!({"type": "object", "properties": {"a": deep}});
        }
        let error = function(deep, false).arguments().unwrap_err();
        assert!(error.to_string().contains("tools[3].function.parameters"), "{error}");
        let large = json!({"type": "object", "description": "x".repeat(60 << 10)});
        let functions = (0..5).map(|_| function(large.clone(), false)).collect();
        let rules = CallRules { functions, parallel: true, otherwise: Otherwise::Text };
        assert!(matches!(rules.grammar(), Err(CallRulesError::Size { .. })));
    }
}
