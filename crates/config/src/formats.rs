//! The named formats of text values: what the schema calls `format`, checked.

use crate::boundary::BoundaryEntry;
use crate::units::{ByteSize, HumanDuration};
use hermetic_ids::{Label, ModelName};
use std::net::SocketAddr;

/// Why a text does not have the format its key asks for, in the words of the type that reads it. Unknown formats are
/// for other readers of the schema and accept anything.
pub(crate) fn check(format: &str, text: &str) -> Result<(), String> {
    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<(), String> {
        text.parse::<T>().map(|_| ()).map_err(|error| error.to_string())
    }
    match format {
        "duration-with-unit" => parsed::<HumanDuration>(text),
        "size-with-unit" => parsed::<ByteSize>(text),
        "enclave-entry" => parsed::<BoundaryEntry>(text),
        "model-name" => parsed::<ModelName>(text),
        "label" => parsed::<Label>(text),
        "listen-address" => listen_address(text).map(|_| ()),
        "endpoint" => endpoint(text).map(|_| ()),
        "ledger-origin" => ledger_origin(text),
        "path" => path(text),
        "limit-name" => limit_name(text),
        "limit-window" => limit_window(text),
        "limit-dimension" => parsed::<hermetic_limits::Dimension>(text),
        "limit-share" => share(text).map(|_| ()),
        "price" => hermetic_limits::Price::parse_one(text).map(|_| ()).map_err(|error| error.to_string()),
        "currency" => currency(text),
        _ => Ok(()),
    }
}

pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "expected an address and a port such as `127.0.0.1:8080`, found `{}`",
            crate::tree::clipped(text)
        )
    })
}

/// An OpenAI-compatible base URL: `http` or `https`, a host, no user, query or fragment.
pub(crate) fn endpoint(text: &str) -> Result<url::Url, String> {
    // Not shown when it may hold a password.
    let shown = if text.contains('@') {
        "a URL with `@`".to_owned()
    } else {
        format!("`{}`", crate::tree::clipped(text))
    };
    let expected = |what: &str| format!("expected {what}, found {shown}");
    let url = url::Url::parse(text)
        .map_err(|_| expected("a base URL such as `http://vllm.corp.example:8000/v1`"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(expected("an `http` or `https` URL with a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(expected("a URL without user and password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(expected("a URL without `?` and `#`"));
    }
    Ok(url)
}

/// C2SP tlog-checkpoint, "Note text": the origin should be a schema-less URL; it is one line and holds no `+` so that
/// it can name a key as well (C2SP signed-note, "Format").
fn ledger_origin(text: &str) -> Result<(), String> {
    let fits = (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
    if !fits || text.contains("://") {
        let found = crate::tree::clipped(text);
        return Err(format!(
            "expected a host name and a path without a scheme, such as `llm.corp.example/ledger`, found `{found}`"
        ));
    }
    Ok(())
}

/// A rule's name stands in headers, labels and counters.
fn limit_name(text: &str) -> Result<(), String> {
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !fits {
        let found = crate::tree::clipped(text);
        return Err(format!("expected a name of 1 to 64 letters, digits, `.`, `_` and `-`, found `{found}`"));
    }
    Ok(())
}

fn limit_window(text: &str) -> Result<(), String> {
    match text.parse::<hermetic_limits::Window>() {
        Ok(hermetic_limits::Window::Now) | Err(_) => Err(format!(
            "expected `second`, `minute`, `hour`, `day`, `week` or `month`, with `/sliding` or without, found `{}`",
            crate::tree::clipped(text)
        )),
        Ok(_) => Ok(()),
    }
}

/// `0.8`: a share of the whole in thousandths.
pub(crate) fn share(text: &str) -> Result<u16, String> {
    let wrong =
        || format!("expected a share between 0 and 1 such as `0.8`, found `{}`", crate::tree::clipped(text));
    let digits = text.strip_prefix("0.").ok_or_else(wrong)?;
    if digits.is_empty() || digits.len() > 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let thousandths: u16 = format!("{digits:0<3}").parse().map_err(|_| wrong())?;
    if thousandths == 0 { Err(wrong()) } else { Ok(thousandths) }
}

fn currency(text: &str) -> Result<(), String> {
    if (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(format!("expected a currency such as `EUR`, found `{}`", crate::tree::clipped(text)))
}

fn path(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > 1024 || text.chars().any(char::is_control) {
        return Err(format!("expected a path of 1 to 1024 bytes, found `{}`", crate::tree::clipped(text)));
    }
    Ok(())
}
