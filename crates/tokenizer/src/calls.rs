//! How a model is told of the functions it may call, and how a call is written: one form for the template, for the
//! instruction, for the grammar that holds a model to it and for the reader of its answer.
//!
//! The form is that of Hermes, which Qwen and many others were trained on. A template that shows tools and writes calls
//! in this form is used as it is. Any other model is told in its system turn, and calls and results of earlier turns are
//! written as text in the same form.

use crate::conversation::{Conversation, FunctionCall, Message};
use crate::python_json::to_json;

/// What a call begins with.
pub const CALL_OPENING: &str = "<tool_call>";
/// Between the opening and the name of the function.
pub const CALL_NAME: &str = "\n{\"name\": \"";
/// Between the name and the arguments, which are a JSON object.
pub const CALL_ARGUMENTS: &str = "\", \"arguments\": ";
/// What a call ends with.
pub const CALL_CLOSING: &str = "}\n</tool_call>";

const INTRODUCTION: &str = "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are \
     provided with function signatures within <tools></tools> XML tags:\n<tools>";
const REQUEST: &str = "\n</tools>\n\nFor each function call, return a json object with function name and arguments \
     within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": \
     <args-json-object>}\n</tool_call>";

/// Whose turn carries the instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    System,
    /// For templates that know no system turn.
    User,
}

/// Whether a template shows tools itself and writes calls in the form that is read here. `names`: what it refers to.
pub(crate) fn is_native(source: &str, names: &std::collections::HashSet<String>) -> bool {
    // The form of some coders has the same opening and no JSON behind it.
    names.contains("tools") && source.contains(CALL_OPENING) && !source.contains("<function=")
}

/// The conversation in messages that are text alone.
pub(crate) fn in_words(conversation: &Conversation, carrier: Carrier) -> Vec<Message> {
    let mut told: Vec<Message> = Vec::with_capacity(conversation.messages.len() + 1);
    let mut answering = false;
    for message in &conversation.messages {
        let is_result = message.role == "tool";
        if is_result {
            let result = format!("<tool_response>\n{}\n</tool_response>", message.content);
            match told.last_mut().filter(|_| answering) {
                // Results of one turn are one turn: many templates insist that turns alternate.
                Some(results) => {
                    results.content.push('\n');
                    results.content.push_str(&result);
                }
                None => told.push(Message::new("user", result)),
            }
        } else {
            told.push(Message::new(message.role.as_str(), with_calls(&message.content, &message.calls)));
        }
        answering = is_result;
    }
    if !conversation.tools.is_empty() {
        instruct(&mut told, &instruction(conversation), carrier);
    }
    told
}

fn with_calls(content: &str, calls: &[FunctionCall]) -> String {
    let call = |call: &FunctionCall| {
        let arguments = to_json(&call.arguments);
        format!("{CALL_OPENING}{CALL_NAME}{}{CALL_ARGUMENTS}{arguments}{CALL_CLOSING}", call.name)
    };
    let said = (!content.is_empty()).then(|| content.to_owned());
    said.into_iter().chain(calls.iter().map(call)).collect::<Vec<_>>().join("\n")
}

fn instruction(conversation: &Conversation) -> String {
    let tools: String = conversation.tools.iter().map(|tool| format!("\n{}", to_json(tool))).collect();
    format!("{INTRODUCTION}{tools}{REQUEST}")
}

fn instruct(told: &mut Vec<Message>, instruction: &str, carrier: Carrier) {
    let role = match carrier {
        Carrier::System => "system",
        Carrier::User => "user",
    };
    let place = match carrier {
        Carrier::System => told.first_mut().filter(|first| first.role == role),
        Carrier::User => told.iter_mut().find(|message| message.role == role),
    };
    match (place, carrier) {
        (None, _) => told.insert(0, Message::new(role, instruction)),
        (Some(system), Carrier::System) if !system.content.is_empty() => {
            system.content = format!("{}\n\n{instruction}", system.content);
        }
        (Some(system), Carrier::System) => instruction.clone_into(&mut system.content),
        (Some(user), Carrier::User) => user.content = format!("{instruction}\n\n{}", user.content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn conversation() -> Conversation {
        let call = |city: &str| FunctionCall::new("1", "weather", &format!("{{\"city\":\"{city}\"}}"));
        let messages = vec![
            Message::new("user", "Where is it warmer?"),
            Message { calls: vec![call("Paris"), call("Rome")], ..Message::new("assistant", "Let me look.") },
            Message::new("tool", "20"),
            Message::new("tool", "30"),
            Message::new("assistant", "In Rome."),
        ];
        Conversation { messages, tools: vec![json!({"type": "function", "function": {"name": "weather"}})] }
    }

    #[test]
    fn calls_and_results_are_text_and_results_of_one_turn_are_one_turn() {
        let told = in_words(&conversation(), Carrier::System);
        let roles: Vec<&str> = told.iter().map(|message| message.role.as_str()).collect();
        assert_eq!(roles, ["system", "user", "assistant", "user", "assistant"]);
        assert!(
            told[0].content.contains(
                "<tools>\n{\"type\": \"function\", \"function\": {\"name\": \"weather\"}}\n</tools>"
            )
        );
        assert_eq!(
            told[2].content,
            "Let me look.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>\n\
             <tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>"
        );
        assert_eq!(
            told[3].content,
            "<tool_response>\n20\n</tool_response>\n<tool_response>\n30\n</tool_response>"
        );
    }

    #[test]
    fn the_instruction_joins_the_turn_there_is() {
        let mut with_system = conversation();
        with_system.messages.insert(0, Message::new("system", "Be brief."));
        let told = in_words(&with_system, Carrier::System);
        assert!(told[0].content.starts_with("Be brief.\n\n# Tools") && told.len() == 5 + 1 - 1);
        let told = in_words(&conversation(), Carrier::User);
        assert!(told[0].role == "user" && told[0].content.ends_with("</tool_call>\n\nWhere is it warmer?"));
        let none = Conversation { tools: Vec::new(), ..conversation() };
        assert_eq!(in_words(&none, Carrier::System)[0].content, "Where is it warmer?");
    }
}
