//! What stands behind the question mark.

use crate::stored::refusal::StateRefusal;
use hermetic_inference_api::responses::{ItemsAsked, is_include};

/// OpenAI's numbers.
const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 100;

fn wrong(expected: &'static str, found: &str) -> StateRefusal {
    StateRefusal::Query { expected, found: found.chars().take(80).collect() }
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// All that can be included is there anyway, if it is kept; what is none of it is a mistake.
fn include(value: &str) -> Result<(), StateRefusal> {
    if is_include(value) { Ok(()) } else { Err(wrong("in `include` what responses may include", value)) }
}

/// Of a response there is nothing to choose. A stream that has ended is not told again.
pub(crate) fn of_response(query: Option<&str>) -> Result<(), StateRefusal> {
    for (name, value) in pairs(query) {
        match name {
            "stream" if value != "false" => {
                return Err(wrong("no `stream`: the response is told whole", value));
            }
            "starting_after" => return Err(wrong("no `starting_after`: the response is told whole", value)),
            "include" | "include[]" | "include%5B%5D" => include(value)?,
            _ => {}
        }
    }
    Ok(())
}

pub(crate) fn of_items(query: Option<&str>) -> Result<ItemsAsked, StateRefusal> {
    let mut asked = ItemsAsked { limit: LIMIT_DEFAULT, ..ItemsAsked::default() };
    for (name, value) in pairs(query) {
        match name {
            "after" => asked.after = Some(value.to_owned()),
            "order" => {
                asked.oldest_first = match value {
                    "asc" => true,
                    "desc" => false,
                    _ => return Err(wrong("`order` to be `asc` or `desc`", value)),
                };
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                asked.limit = limit.ok_or_else(|| wrong("a `limit` from 1 to 100", value))?;
            }
            "include" | "include[]" | "include%5B%5D" => include(value)?,
            _ => {}
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_asked_for_within_bounds() {
        let asked = of_items(Some("after=msg_1&limit=3&order=asc&x=y")).unwrap();
        assert_eq!(asked, ItemsAsked { limit: 3, oldest_first: true, after: Some("msg_1".to_owned()) });
        assert_eq!(of_items(None).unwrap(), ItemsAsked { limit: 20, ..ItemsAsked::default() });
        for wrong in ["limit=0", "limit=101", "limit=x", "order=up", "limit", "include[]=everything"] {
            assert!(of_items(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_response_is_told_whole() {
        for fine in [None, Some(""), Some("stream=false&include[]=reasoning.encrypted_content&x")] {
            assert!(of_response(fine).is_ok(), "{fine:?}");
        }
        for wrong in ["stream=true", "stream", "starting_after=3", "include=x"] {
            assert!(of_response(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
