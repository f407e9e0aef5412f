//! The paths behind `/v1/responses`.

const PREFIX: &str = "/v1/responses/";
const INPUT_ITEMS: &str = "/input_items";

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked<'a> {
    Response {
        id: &'a str,
    },
    InputItems {
        id: &'a str,
    },
    /// What OpenAI has there and is not offered here: `cancel`, `compact`, `input_tokens`.
    Nothing,
}

pub(crate) fn is_path(path: &str) -> bool {
    path.starts_with(PREFIX)
}

impl<'a> Asked<'a> {
    pub(crate) fn of_path(path: &'a str) -> Self {
        let rest = path.strip_prefix(PREFIX).unwrap_or_default();
        match rest.strip_suffix(INPUT_ITEMS) {
            Some(id) if is_id(id) => Self::InputItems { id },
            None if is_id(rest) => Self::Response { id: rest },
            _ => Self::Nothing,
        }
    }
}

/// Not yet whether it names anything: words beside the ids are operations.
fn is_id(text: &str) -> bool {
    text.starts_with("resp_") && !text.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_operations() {
        assert_eq!(Asked::of_path("/v1/responses/resp_1"), Asked::Response { id: "resp_1" });
        assert_eq!(Asked::of_path("/v1/responses/resp_1/input_items"), Asked::InputItems { id: "resp_1" });
        for other in ["compact", "input_tokens", "resp_1/cancel", "", "resp_1/input_items/x", "/input_items"]
        {
            assert_eq!(Asked::of_path(&format!("{PREFIX}{other}")), Asked::Nothing, "{other}");
        }
        assert!(!is_path("/v1/responses"));
    }
}
