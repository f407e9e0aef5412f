//! Taking a token apart (RFC 7515 §3.1, RFC 7519), strictly, before anything of it is believed.

use crate::token::claims::Claims;
use crate::token::error::TokenRefusal;
use crate::token::json;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// Longest token that is read. Issuers stay below 4 KiB; with many groups they come near it.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;

/// A token taken apart. Nothing of it is proved.
#[derive(Debug)]
pub(crate) struct Compact<'t> {
    pub(crate) header: Header,
    pub(crate) claims: Claims,
    /// What the signature is over.
    pub(crate) signed: &'t [u8],
    pub(crate) signature: Vec<u8>,
}

/// The members of the header that matter. `jku`, `jwk`, `x5u` and `x5c` are not among them: a token does not say where
/// the key that proves it comes from (RFC 8725 §3.10).
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) algorithm: String,
    pub(crate) kid: Option<String>,
    pub(crate) typ: Option<String>,
}

impl<'t> Compact<'t> {
    pub(crate) fn parse(token: &'t str) -> Result<Self, TokenRefusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenRefusal::TooLarge { cap: TOKEN_BYTES_MAX, found: token.len() });
        }
        let malformed = |what| TokenRefusal::Malformed { what };
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("not three parts"));
        };
        let signed = token.get(..header.len() + 1 + claims.len()).unwrap_or_default().as_bytes();
        let header = Header::read(&object(header).ok_or(malformed("the header is not a JSON object"))?)?;
        let claims = object(claims).ok_or(malformed("the claims are not a JSON object"))?;
        // An empty signature is a form of its own: `none`. It is refused by its algorithm, after this.
        let signature =
            URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed("the signature is not base64url"))?;
        Ok(Self { header, claims: Claims::new(claims), signed, signature })
    }
}

impl Header {
    fn read(header: &Map<String, Value>) -> Result<Self, TokenRefusal> {
        let malformed = |what| TokenRefusal::Malformed { what };
        if header.contains_key("crit") {
            // RFC 7515 §4.1.11: extensions that are not understood refuse the token, and none are understood here.
            return Err(malformed("the header asks for an extension"));
        }
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(malformed("a member of the header is not text")),
        };
        Ok(Self {
            algorithm: text("alg")?.ok_or(malformed("the header names no algorithm"))?,
            kid: text("kid")?,
            typ: text("typ")?,
        })
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    json::object(&URL_SAFE_NO_PAD.decode(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn what_is_not_one_plain_token_is_refused() {
        assert!(Compact::parse(&token(r#"{"alg":"RS256"}"#, "{}")).is_ok());
        for bad in [
            token("{}", "{}"),
            token(r#"{"alg":1}"#, "{}"),
            token(r#"{"alg":"RS256","crit":["exp"]}"#, "{}"),
            token(r#"{"alg":"RS256","alg":"none"}"#, "{}"),
            token(r#"{"alg":"RS256"}"#, r#"{"sub":"a","sub":"b"}"#),
            token(r#"{"alg":"RS256","kid":["a"]}"#, "{}"),
            token(r#"{"alg":"RS256"}"#, "[]"),
            token(r#"{"alg":"RS256"}"#, "{}").replace(".c2ln", ".c2ln="),
            token(r#"{"alg":"RS256"}"#, "{}").replace(".c2ln", ""),
            token(r#"{"alg":"RS256"}"#, "{}") + ".x",
            "..".to_owned(),
            String::new(),
        ] {
            assert!(matches!(Compact::parse(&bad), Err(TokenRefusal::Malformed { .. })), "{bad}");
        }
        let long = token(r#"{"alg":"RS256"}"#, &format!("{{\"a\":\"{}\"}}", "x".repeat(TOKEN_BYTES_MAX)));
        assert!(matches!(Compact::parse(&long), Err(TokenRefusal::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[ -~]{0,300}") {
            let _ = Compact::parse(&text);
        }
    }
}
