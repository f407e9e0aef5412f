//! `x-ratelimit-*`: what is left, as the OpenAI API says it, for the rule that stops the caller soonest.

use crate::stage::limit::Reserved;
use hermetic_limits::{Quota, Unit};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The model that answers, where a limit handed the request down to it.
const X_MODEL: HeaderName = HeaderName::from_static("x-hermetic-model");

/// `limit`, `remaining`, `reset`.
type Names = [HeaderName; 3];

const REQUESTS: Names = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: Names = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// For a request that was reserved for.
pub(crate) fn insert(headers: &mut HeaderMap, reserved: &Reserved) {
    let tab = &reserved.tab;
    if let Some(quota) = &tab.requests_left {
        insert_quota(headers, REQUESTS, quota);
    }
    if let Some(quota) = &tab.tokens_left {
        insert_quota(headers, TOKENS, quota);
    }
    if tab.downgraded_from.is_some()
        && let Ok(model) = HeaderValue::from_str(reserved.route.model.as_str())
    {
        headers.insert(X_MODEL, model);
    }
}

/// For a request that a rule refused. What is not requests or tokens has no such headers.
pub(crate) fn insert_refused(headers: &mut HeaderMap, quota: &Quota) {
    match quota.unit {
        Unit::Requests => insert_quota(headers, REQUESTS, quota),
        Unit::Tokens | Unit::InputTokens | Unit::OutputTokens => insert_quota(headers, TOKENS, quota),
        Unit::Concurrent | Unit::GpuSeconds | Unit::Money => {}
    }
}

fn insert_quota(headers: &mut HeaderMap, names: Names, quota: &Quota) {
    let [limit, remaining, reset] = names;
    headers.insert(limit, HeaderValue::from(quota.limit));
    headers.insert(remaining, HeaderValue::from(quota.remaining));
    if let Ok(value) = HeaderValue::from_str(&duration(quota.resets_in_ms)) {
        headers.insert(reset, value);
    }
}

/// `20ms`, `1s`, `6m0s`, `2h0m5s`: as the OpenAI API writes it.
fn duration(ms: u64) -> String {
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let seconds = ms.div_ceil(1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn times_are_written_as_the_openai_api_does() {
        for (ms, text) in
            [(20, "20ms"), (1_000, "1s"), (59_001, "1m0s"), (360_000, "6m0s"), (7_205_000, "2h0m5s")]
        {
            assert_eq!(duration(ms), text);
        }
    }
}
