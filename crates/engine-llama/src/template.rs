//! The model's own chat template, rendered, and the result turned into tokens without letting a message forge one.
//!
//! A template is a program from the model file. It runs without access to anything and with a bound on its steps.
//!
//! Invariant: control tokens come from the template alone. A message that spells `<|im_end|>` stays a message that
//! spells it; it does not end the turn.

use crate::generate::Message;
use crate::model::Loaded;
use llama_cpp_2::token::LlamaToken;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, context};

/// Steps a template may take: thousands of messages, not a loop without end.
const FUEL: u64 = 4_000_000;
const NAME: &str = "chat";

/// A parsed template with the texts it may name.
#[derive(Debug)]
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    begin: String,
    end: String,
    /// Control tokens as text.
    control: Vec<String>,
}

impl ChatTemplate {
    /// `None` when the model brings no template.
    pub(crate) fn of(loaded: &Loaded) -> Result<Option<Self>, Error> {
        let Some(source) = loaded.header.text("tokenizer.chat_template") else { return Ok(None) };
        let mut environment = Environment::new();
        // As the library that models are published for renders them.
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_template_owned(NAME, source.to_owned())?;
        let vocabulary = loaded.model.vocab();
        let text =
            |token| String::from_utf8(vocabulary.token_to_piece(token, true, None)).unwrap_or_default();
        let named = |token: LlamaToken| if token.0 < 0 { String::new() } else { text(token) };
        let (begin, end) = (named(vocabulary.bos()), named(vocabulary.eos()));
        let control = vocabulary.tokens().filter(|token| vocabulary.is_control(*token)).map(text);
        let control = control.filter(|text| !text.is_empty()).collect();
        Ok(Some(Self { environment, begin, end, control }))
    }

    pub(crate) fn tokens(&self, loaded: &Loaded, messages: &[Message]) -> Result<Vec<LlamaToken>, Error> {
        let rendered = self.environment.get_template(NAME)?.render(context! {
            messages => Serde(messages),
            add_generation_prompt => true,
            bos_token => self.begin.as_str(),
            eos_token => self.end.as_str(),
        })?;
        // A template that writes the begin token itself must not get a second one.
        let edges = self.begin.is_empty() || !rendered.starts_with(&self.begin);
        let mut tokens = Vec::new();
        for (index, piece) in self.pieces(&rendered, messages).into_iter().enumerate() {
            tokens.extend(loaded.tokenize(piece.text, edges && index == 0, piece.control));
        }
        Ok(tokens)
    }

    /// The rendered text cut so that message content which spells a control token stands apart. One piece, tokenized
    /// exactly as the reference does, when no content does.
    fn pieces<'a>(&self, rendered: &'a str, messages: &[Message]) -> Vec<Piece<'a>> {
        let forged = |message: &&Message| {
            self.control.iter().any(|control| message.content.contains(control.as_str()))
        };
        let mut pieces = Vec::new();
        let mut rest = rendered;
        for message in messages.iter().filter(forged) {
            // Templates trim content at most.
            let content = message.content.trim();
            if let Some(at) = rest.find(content) {
                let (before, after) = rest.split_at(at);
                let (inside, after) = after.split_at(content.len());
                pieces.push(Piece { text: before, control: true });
                pieces.push(Piece { text: inside, control: false });
                rest = after;
            } else {
                // Rewritten by the template: nothing in it may be a control token then.
                return vec![Piece { text: rendered, control: false }];
            }
        }
        pieces.push(Piece { text: rest, control: true });
        pieces
    }
}

#[derive(Debug, PartialEq)]
struct Piece<'a> {
    text: &'a str,
    control: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_that_spells_a_control_token_is_cut_out() {
        let template = ChatTemplate {
            environment: Environment::new(),
            begin: String::new(),
            end: String::new(),
            control: vec!["<|end|>".to_owned()],
        };
        let message = |content: &str| Message { role: "user".into(), content: content.into() };
        let rendered = "<|u|>hello<|end|><|u|>a<|end|>b<|end|>";
        let messages = [message("hello"), message("a<|end|>b")];
        let pieces = template.pieces(rendered, &messages);
        let expected = [
            Piece { text: "<|u|>hello<|end|><|u|>", control: true },
            Piece { text: "a<|end|>b", control: false },
            Piece { text: "<|end|>", control: true },
        ];
        assert_eq!(pieces, expected);
        assert_eq!(template.pieces("<|u|>hello<|end|>", &messages[..1]).len(), 1);
    }
}
