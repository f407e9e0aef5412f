//! What a request wants of the memory of the server it is sent to.

use super::place::{Fields, Path};
use crate::facts::RequestMistake;

/// What a request says about responses that are kept. [`super::to_chat`] asks an engine, which keeps none: it refuses
/// all of this but `store`, which says what becomes of the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateWishes {
    /// `store` as said. OpenAI keeps responses where nothing is said.
    pub store: Option<bool>,
    /// The response this one goes on from.
    pub previous_response_id: Option<String>,
    /// The conversation (its id, also where it is given as an object) this response belongs to.
    pub conversation: Option<String>,
    /// The answer is to be made in the background and asked for later.
    pub background: bool,
}

/// Reads what a request wants of the server's memory. Fails where `body` is not an object with distinct keys, or where
/// one of the four fields has the wrong type.
pub fn state_wishes(body: &[u8]) -> Result<StateWishes, RequestMistake> {
    let mut asked = Fields::read(body, &Path::Top)?;
    let store = asked.take("store").map(|place| place.boolean()).transpose()?;
    let previous = asked.take("previous_response_id").map(|place| place.word()).transpose()?;
    let background = asked.take("background").map(|place| place.boolean()).transpose()?;
    let conversation = match asked.take("conversation") {
        Some(place) if place.raw.starts_with(b"{") => {
            Some(place.fields()?.need("id", "a string")?.word()?.into_owned())
        }
        Some(place) => Some(place.word()?.into_owned()),
        None => None,
    };
    Ok(StateWishes {
        store,
        previous_response_id: previous.map(Into::into),
        conversation,
        background: background.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_memory_is_read_and_nothing_said_stays_nothing() {
        assert_eq!(state_wishes(br#"{"input":"x","store":null}"#), Ok(StateWishes::default()));
        let body = br#"{"store":false,"previous_response_id":"resp_1","background":true,"conversation":{"id":"conv_1"}}"#;
        let wishes = StateWishes {
            store: Some(false),
            previous_response_id: Some("resp_1".into()),
            conversation: Some("conv_1".into()),
            background: true,
        };
        assert_eq!(state_wishes(body), Ok(wishes));
        let wrong = state_wishes(br#"{"store":"no"}"#).unwrap_err();
        assert_eq!(wrong.to_string(), "expected `store` to be true or false, found a string");
    }
}
