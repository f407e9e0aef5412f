//! Rules of `identity` and `gateway.tls`.

use crate::formats;
use crate::mistake::{CONTRADICTION, MISSING_KEY, Mistake, Position};
use crate::tree::{Node, Value, clipped};
use std::collections::HashMap;
use url::{Host, Url};

pub(super) fn check(root: &Node, mistakes: &mut Vec<Mistake>) {
    let identity = root.get("identity");
    let list = |name: &str| identity.and_then(|node| node.get(name)).map(Node::items).unwrap_or_default();
    for (i, issuer) in list("issuers").iter().enumerate() {
        one_issuer(issuer, &format!("identity.issuers[{i}]"), mistakes);
    }
    each_issuer_once(list("issuers"), mistakes);
    for (i, rule) in list("certificates").iter().enumerate() {
        has_conditions(rule, &format!("identity.certificates[{i}]"), mistakes);
    }
    if let Some(tls) = root.get("gateway").and_then(|gateway| gateway.get("tls")) {
        client_certificates_have_an_authority(tls, mistakes);
    }
}

/// The URLs that keys are fetched from, with where they stand: the boundary holds for them as for endpoints.
pub(super) fn urls(root: &Node) -> Vec<(String, &Node, Url)> {
    let issuers = root
        .get("identity")
        .and_then(|identity| identity.get("issuers"))
        .map(Node::items)
        .unwrap_or_default();
    let fetched = |(i, issuer)| {
        let (name, node) = fetched_from(issuer)?;
        Some((format!("identity.issuers[{i}].{name}"), node, formats::endpoint(node.text()?).ok()?))
    };
    issuers.iter().enumerate().filter_map(fetched).collect()
}

/// The key that says where an issuer's keys are fetched from; `None`: they are read from a file.
fn fetched_from(issuer: &Node) -> Option<(&'static str, &Node)> {
    if issuer.get("jwks_file").is_some() {
        return None;
    }
    issuer
        .get("jwks_uri")
        .map(|node| ("jwks_uri", node))
        .or(issuer.get("issuer").map(|node| ("issuer", node)))
}

fn add(mistakes: &mut Vec<Mistake>, at: Position, key: String, message: String) {
    mistakes.push(Mistake { at, key, code: CONTRADICTION, message });
}

fn one_issuer(issuer: &Node, key: &str, mistakes: &mut Vec<Mistake>) {
    let (uri, file) = (issuer.get("jwks_uri"), issuer.get("jwks_file"));
    if let (Some(_), Some(file)) = (uri, file) {
        let message = "expected `jwks_uri` or `jwks_file`, found both".to_owned();
        add(mistakes, file.at, format!("{key}.jwks_file"), message);
    }
    for name in ["audience", "algorithms", "token_types"] {
        if let Some(node) = issuer.get(name).filter(|node| is_empty_list(node)) {
            let message = "expected at least one entry, found none".to_owned();
            add(mistakes, node.at, format!("{key}.{name}"), message);
        }
    }
    let Some((name, node)) = fetched_from(issuer) else { return };
    // Keys that come over plain HTTP are whoever's is in between.
    let plain =
        node.text().and_then(|text| formats::endpoint(text).ok()).filter(|url| url.scheme() == "http");
    if let Some(url) = plain.filter(|url| !is_loopback(url)) {
        let message = format!(
            "expected `https`, or a host on this machine, to fetch keys from, found `{}`",
            clipped(url.as_str())
        );
        add(mistakes, node.at, format!("{key}.{name}"), message);
    }
}

fn is_empty_list(node: &Node) -> bool {
    matches!(&node.value, Value::List(items) if items.is_empty())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn each_issuer_once(issuers: &[Node], mistakes: &mut Vec<Mistake>) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (i, issuer) in issuers.iter().enumerate() {
        let Some((node, name)) = issuer.get("issuer").and_then(|node| Some((node, node.text()?))) else {
            continue;
        };
        if let Some(first) = seen.get(name) {
            let message =
                format!("expected each issuer once, found `{}` again (first on line {first})", clipped(name));
            add(mistakes, node.at, format!("identity.issuers[{i}].issuer"), message);
        } else {
            seen.insert(name, node.at.line);
        }
    }
}

/// A rule without a condition would let every certificate of the authority in.
fn has_conditions(rule: &Node, key: &str, mistakes: &mut Vec<Mistake>) {
    let Some(node) = rule.get("match") else { return };
    if !matches!(&node.value, Value::Map(entries) if !entries.is_empty()) {
        let message = "expected at least one condition, found none".to_owned();
        add(mistakes, node.at, format!("{key}.match"), message);
    }
}

fn client_certificates_have_an_authority(tls: &Node, mistakes: &mut Vec<Mistake>) {
    let asked = tls.get("client_certificates").and_then(|node| Some((node, node.text()?)));
    let Some((node, word @ ("optional" | "required"))) = asked else { return };
    if tls.get("client_ca").is_none() {
        mistakes.push(Mistake {
            at: node.at,
            key: "gateway.tls.client_ca".to_owned(),
            code: MISSING_KEY,
            message: format!("expected this key beside `client_certificates: {word}`, found nothing"),
        });
    }
}
