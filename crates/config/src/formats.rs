//! The named formats of text values: what the schema calls `format`, checked.

use crate::boundary::BoundaryEntry;
use crate::units::{ByteSize, HumanDuration};
use hermetic_ids::{GroupName, Label, LevelName, ModelName, ProjectName};
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// Why a text does not have the format its key asks for, in the words of the type that reads it. Unknown formats are
/// for other readers of the schema and accept anything.
pub(crate) fn check(format: &str, text: &str) -> Result<(), String> {
    fn parsed<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<(), String> {
        text.parse::<T>().map(|_| ()).map_err(|error| error.to_string())
    }
    match format {
        "duration-with-unit" => parsed::<HumanDuration>(text),
        "size-with-unit" => parsed::<ByteSize>(text),
        "enclave-entry" => parsed::<BoundaryEntry>(text),
        "model-name" => parsed::<ModelName>(text),
        "project-name" => parsed::<ProjectName>(text),
        "label" => parsed::<Label>(text),
        "hedge-delay" => parsed::<HedgeDelay>(text),
        "level" => parsed::<LevelName>(text),
        "listen-address" => listen_address(text).map(|_| ()),
        "endpoint" => endpoint(text).map(|_| ()),
        "redis-endpoint" => redis_endpoint(text).map(|_| ()),
        "ledger-origin" => ledger_origin(text),
        "path" => path(text),
        "limit-name" => limit_name(text),
        "limit-window" => limit_window(text),
        "limit-dimension" => parsed::<hermetic_limits::Dimension>(text),
        "limit-share" => share(text).map(|_| ()),
        "price" => hermetic_limits::Price::parse_one(text).map(|_| ()).map_err(|error| error.to_string()),
        "currency" => currency(text),
        "issuer" => discovery(text).map(|_| ()),
        "template" => template(text),
        "pattern" => pattern(text),
        "model-pattern" => parsed::<ModelName>(&text.replacen('*', "x", usize::from(text.ends_with('*')))),
        "group-name" => parsed::<GroupName>(text),
        "metadata-name" => metadata_name(text),
        "guard-name" => guard_name(text),
        "day" => day(text).map(|_| ()),
        "network" => network(text).map(|_| ()),
        "oid" => oid(text),
        _ => Ok(()),
    }
}

/// When a stream counts as slow to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeDelay {
    Fixed(Duration),
    /// After the time within which so many percent of the streams before began.
    Percentile(u32),
}

impl FromStr for HedgeDelay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(percent) = text.strip_prefix('p') {
            return match percent.parse() {
                Ok(percent @ 50..=99) => Ok(Self::Percentile(percent)),
                _ => Err(format!(
                    "expected `p50` to `p99` or a length of time, found `{}`",
                    crate::tree::clipped(text)
                )),
            };
        }
        text.parse::<HumanDuration>().map(|after| Self::Fixed(after.get())).map_err(|error| error.to_string())
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

fn guard_name(text: &str) -> Result<(), String> {
    let fits = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if fits && (1..=64).contains(&text.len()) {
        return Ok(());
    }
    let found = crate::tree::clipped(text);
    Err(format!("expected 1 to 64 small letters, digits and underscores, found `{found}`"))
}

/// The beginning of a day, in milliseconds of Unix time.
pub(crate) fn day(text: &str) -> Result<u64, String> {
    let found = || format!("expected a day such as `2027-01-01`, found `{}`", crate::tree::clipped(text));
    let date: jiff::civil::Date = text.parse().map_err(|_| found())?;
    let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| found())?;
    u64::try_from(midnight.timestamp().as_millisecond()).map_err(|_| found())
}

/// Redis's own, where a URL names no port.
pub(crate) const REDIS_PORT: u16 = 6379;

/// `redis://HOST:PORT/DATABASE`, and the database. A password has a file of its own.
pub(crate) fn redis_endpoint(text: &str) -> Result<(url::Url, u32), String> {
    // Not shown when it may hold a password.
    let shown = if text.contains('@') {
        "a URL with `@`".to_owned()
    } else {
        format!("`{}`", crate::tree::clipped(text))
    };
    let expected = |what: &str| format!("expected {what}, found {shown}");
    let url =
        url::Url::parse(text).map_err(|_| expected("a URL such as `redis://redis.corp.example:6379`"))?;
    if url.scheme() != "redis" || url.host_str().is_none_or(str::is_empty) {
        return Err(expected("a `redis` URL with a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(expected("a URL without user and password, which have keys of their own"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(expected("a URL without `?` and `#`"));
    }
    let database = match url.path().trim_start_matches('/') {
        "" => 0,
        number => number.parse().map_err(|_| expected("the number of a database behind the host"))?,
    };
    Ok((url, database))
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

/// Where an issuer's discovery document is (OpenID Connect Discovery §4).
pub(crate) fn discovery(issuer: &str) -> Result<url::Url, String> {
    endpoint(issuer)?;
    endpoint(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))
}

/// A text in which every `{` is closed by a `}` with a name between them.
fn template(text: &str) -> Result<(), String> {
    let wrong = || {
        format!(
            "expected a text of 1 to 1024 bytes in which `{{name}}` or `{{name|text}}` stands for a value, found `{}`",
            crate::tree::clipped(text)
        )
    };
    if text.is_empty() || text.len() > 1024 {
        return Err(wrong());
    }
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, behind) = after.split_once('}').ok_or_else(wrong)?;
        let named = !inside.is_empty() && !inside.starts_with('|') && !inside.contains('{');
        if !named || before.contains('}') {
            return Err(wrong());
        }
        rest = behind;
    }
    if rest.contains('}') { Err(wrong()) } else { Ok(()) }
}

fn pattern(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > 512 || text.matches('*').count() > 1 {
        return Err(format!(
            "expected a text of 1 to 512 bytes with at most one `*`, found `{}`",
            crate::tree::clipped(text)
        ));
    }
    Ok(())
}

fn metadata_name(text: &str) -> Result<(), String> {
    let fits = (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits {
        return Ok(());
    }
    let found = crate::tree::clipped(text);
    Err(format!("expected 1 to 63 letters, digits, `.`, `_` and `-`, found `{found}`"))
}

/// An address block; an address alone is a block of one.
pub(crate) fn network(text: &str) -> Result<ipnet::IpNet, String> {
    let one = || text.parse::<std::net::IpAddr>().ok().map(ipnet::IpNet::from);
    text.parse().ok().or_else(one).ok_or_else(|| {
        format!("expected an address block such as `10.20.1.0/24`, found `{}`", crate::tree::clipped(text))
    })
}

/// An object identifier in dotted form.
fn oid(text: &str) -> Result<(), String> {
    let arcs: Vec<&str> = text.split('.').collect();
    let number = |arc: &&str| {
        let canonical = *arc == "0" || !arc.starts_with('0');
        canonical && !arc.is_empty() && arc.len() <= 39 && arc.bytes().all(|b| b.is_ascii_digit())
    };
    if (2..=64).contains(&arcs.len()) && arcs.iter().all(number) {
        return Ok(());
    }
    let found = crate::tree::clipped(text);
    Err(format!("expected an object identifier such as `2.16.840.1.101.3.2.1.3.13`, found `{found}`"))
}
