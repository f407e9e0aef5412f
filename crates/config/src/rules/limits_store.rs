//! The store of shared counters against the rest of the file.

use crate::boundary::EnclaveBoundary;
use crate::formats;
use crate::mistake::{CONTRADICTION, Mistake, OUTSIDE_ENCLAVE};
use crate::tree::{Node, clipped};

/// In a sealed tier the server lies inside.
pub(super) fn stays_inside(root: &Node, inside: &EnclaveBoundary, mistakes: &mut Vec<Mistake>) {
    let Some(node) = root.get("limits_store").and_then(|store| store.get("redis")) else { return };
    let Some((url, _)) = node.text().and_then(|text| formats::redis_endpoint(text).ok()) else { return };
    let Some(host) = url.host_str() else { return };
    // The scheme is none of the web's, so a numeric host was not read as an address yet.
    let host = url::Host::parse(host).unwrap_or_else(|_| url::Host::Domain(host.to_owned()));
    let borrowed = match &host {
        url::Host::Domain(name) => url::Host::Domain(name.as_str()),
        url::Host::Ipv4(address) => url::Host::Ipv4(*address),
        url::Host::Ipv6(address) => url::Host::Ipv6(*address),
    };
    if inside.contains_host(&borrowed) {
        return;
    }
    mistakes.push(Mistake {
        at: node.at,
        key: "limits_store.redis".to_owned(),
        code: OUTSIDE_ENCLAVE,
        message: format!(
            "expected a host inside the enclave (`network.enclave`), found `{}`",
            clipped(&host.to_string())
        ),
    });
}

/// A user without a password signs in nowhere; a shared limit without a store is shared with nobody.
pub(super) fn means_something(root: &Node, mistakes: &mut Vec<Mistake>) {
    let store = root.get("limits_store");
    if let Some(user) = store.and_then(|store| store.get("user"))
        && store.is_some_and(|store| store.get("password_file").is_none())
    {
        mistakes.push(Mistake {
            at: user.at,
            key: "limits_store.user".to_owned(),
            code: CONTRADICTION,
            message: "expected a `password_file` beside `user`, found none".to_owned(),
        });
    }
    if store.is_some() {
        return;
    }
    let rules = root.get("limits").map(Node::items).unwrap_or_default();
    for (i, rule) in rules.iter().enumerate() {
        let Some(shared) = rule.get("shared").filter(|shared| shared.text() == Some("true")) else {
            continue;
        };
        mistakes.push(Mistake {
            at: shared.at,
            key: format!("limits[{i}].shared"),
            code: CONTRADICTION,
            message: "expected a `limits_store` for a limit that is shared, found none".to_owned(),
        });
    }
}
