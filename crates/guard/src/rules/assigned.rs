//! Secrets that look like nothing in particular and are known by the name they are assigned to.

use super::secrets::is_placeholder;
use crate::checks::entropy;
use crate::rule::{Candidate, Check, Extent, Rule, RuleName};
use std::borrow::Cow;

/// What the value of an assignment is made of.
#[derive(Clone, Copy)]
enum Of {
    Hex,
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `_`, `-`.
    Token,
    /// Base64.
    Base64,
    Uuid,
}

/// Rule, word in the name, what the value is made of, its shortest and its longest.
const ASSIGNED: &[(&str, &str, Of, u32, u32)] = &[
    ("secret.adafruit_key", "adafruit", Of::Token, 32, 32),
    ("secret.adobe_client_id", "adobe", Of::Hex, 32, 32),
    ("secret.algolia_key", "algolia", Of::Alnum, 32, 32),
    ("secret.alibaba_secret", "alibaba|aliyun", Of::Alnum, 30, 30),
    ("secret.amplitude_key", "amplitude", Of::Hex, 32, 32),
    ("secret.artifactory_key", "artifactory", Of::Token, 64, 73),
    ("secret.asana_secret", "asana", Of::Alnum, 32, 32),
    ("secret.atlassian_token", "atlassian|confluence|jira", Of::Alnum, 24, 24),
    ("secret.auth0_secret", "auth0", Of::Token, 32, 64),
    ("secret.aws_secret_access_key", "aws|secret_?access_?key|amazon", Of::Base64, 40, 40),
    ("secret.azure_client_secret", "azure|client_?secret", Of::Token, 34, 40),
    ("secret.azure_devops_pat", "azure|devops|azdo", Of::Alnum, 84, 84),
    ("secret.beamer_token", "beamer", Of::Token, 44, 46),
    ("secret.bitbucket_secret", "bitbucket", Of::Token, 32, 64),
    ("secret.bittrex_key", "bittrex", Of::Alnum, 32, 32),
    ("secret.bugsnag_key", "bugsnag", Of::Hex, 32, 32),
    ("secret.cisco_meraki_key", "meraki", Of::Hex, 40, 40),
    ("secret.clickup_token", "clickup", Of::Token, 40, 50),
    ("secret.cloudflare_key", "cloudflare", Of::Token, 37, 40),
    ("secret.cloudinary_secret", "cloudinary", Of::Token, 27, 27),
    ("secret.codecov_token", "codecov", Of::Alnum, 32, 32),
    ("secret.codecov_upload_token", "codecov", Of::Uuid, 36, 36),
    ("secret.cohere_key", "cohere|co_api_key", Of::Alnum, 40, 40),
    ("secret.coinbase_token", "coinbase", Of::Token, 64, 64),
    ("secret.confluent_secret", "confluent", Of::Base64, 64, 64),
    ("secret.contentful_token", "contentful", Of::Token, 43, 43),
    ("secret.datadog_key", "datadog|dd_api|dd_app", Of::Hex, 32, 40),
    ("secret.deepgram_key", "deepgram", Of::Hex, 40, 40),
    ("secret.deepl_key", "deepl", Of::Uuid, 36, 36),
    ("secret.discord_client_secret", "discord", Of::Token, 32, 32),
    ("secret.droneci_token", "drone", Of::Alnum, 32, 32),
    ("secret.dropbox_secret", "dropbox", Of::Alnum, 15, 15),
    ("secret.elastic_key", "elastic", Of::Base64, 40, 60),
    ("secret.etsy_token", "etsy", Of::Alnum, 24, 24),
    ("secret.facebook_secret", "facebook|fb_app", Of::Hex, 32, 32),
    ("secret.fastly_token", "fastly", Of::Token, 32, 32),
    ("secret.finicity_secret", "finicity", Of::Alnum, 20, 32),
    ("secret.finnhub_token", "finnhub", Of::Alnum, 20, 20),
    ("secret.flickr_token", "flickr", Of::Alnum, 32, 32),
    ("secret.freemius_key", "freemius|secret_key", Of::Token, 29, 32),
    ("secret.freshbooks_token", "freshbooks", Of::Alnum, 64, 64),
    ("secret.gitter_token", "gitter", Of::Token, 40, 40),
    ("secret.gocardless_token", "gocardless|live_", Of::Token, 40, 45),
    ("secret.hubspot_key", "hubspot|hapikey", Of::Uuid, 36, 36),
    ("secret.intercom_key", "intercom", Of::Token, 60, 60),
    ("secret.ionos_secret", "ionos", Of::Token, 64, 90),
    ("secret.jumpcloud_key", "jumpcloud", Of::Alnum, 40, 40),
    ("secret.kraken_token", "kraken", Of::Base64, 80, 90),
    ("secret.kucoin_token", "kucoin", Of::Uuid, 36, 36),
    ("secret.kucoin_token", "kucoin", Of::Hex, 24, 24),
    ("secret.linkedin_secret", "linkedin", Of::Alnum, 14, 16),
    ("secret.lob_key", "lob", Of::Token, 35, 40),
    ("secret.looker_secret", "looker", Of::Alnum, 20, 24),
    ("secret.mapbox_token", "mapbox", Of::Token, 60, 90),
    ("secret.mattermost_token", "mattermost", Of::Alnum, 26, 26),
    ("secret.maxmind_key", "maxmind|geoip", Of::Token, 40, 40),
    ("secret.messagebird_token", "messagebird|message_bird", Of::Alnum, 25, 25),
    ("secret.mistral_key", "mistral", Of::Alnum, 32, 32),
    ("secret.netlify_secret", "netlify", Of::Token, 40, 46),
    ("secret.new_relic_key", "newrelic|new_relic", Of::Alnum, 40, 64),
    ("secret.ngrok_token", "ngrok", Of::Token, 46, 52),
    ("secret.nytimes_key", "nytimes|newyorktimes", Of::Token, 32, 32),
    ("secret.okta_token", "okta|ssws", Of::Token, 40, 42),
    ("secret.openweather_key", "openweather|owm", Of::Hex, 32, 32),
    ("secret.pagerduty_key", "pagerduty|pager_duty|pd_", Of::Token, 20, 32),
    ("secret.paypal_secret", "paypal|braintree", Of::Token, 32, 80),
    ("secret.pendo_key", "pendo", Of::Uuid, 36, 40),
    ("secret.plaid_secret", "plaid", Of::Alnum, 24, 30),
    ("secret.pusher_secret", "pusher", Of::Hex, 20, 20),
    ("secret.rapidapi_key", "rapidapi|x-rapidapi-key", Of::Token, 50, 50),
    ("secret.recaptcha_secret", "recaptcha", Of::Token, 40, 40),
    ("secret.salesforce_secret", "salesforce|sfdc", Of::Alnum, 64, 112),
    ("secret.segment_key", "segment", Of::Alnum, 32, 32),
    ("secret.sendbird_token", "sendbird", Of::Hex, 40, 40),
    ("secret.sentry_token", "sentry", Of::Hex, 64, 64),
    ("secret.shodan_key", "shodan", Of::Alnum, 32, 32),
    ("secret.sidekiq_secret", "bundle_enterprise|bundle_gems", Of::Hex, 16, 17),
    ("secret.slack_signing_secret", "slack", Of::Hex, 32, 32),
    ("secret.snowflake_password", "snowflake", Of::Token, 16, 64),
    ("secret.snyk_key", "snyk", Of::Uuid, 36, 36),
    ("secret.splunk_hec_token", "splunk|hec_token", Of::Uuid, 36, 36),
    ("secret.spotify_secret", "spotify", Of::Hex, 32, 32),
    ("secret.squarespace_token", "squarespace", Of::Uuid, 36, 36),
    ("secret.sumologic_key", "sumo|sumologic", Of::Alnum, 64, 64),
    ("secret.telnyx_key", "telnyx", Of::Token, 50, 60),
    ("secret.together_key", "together", Of::Hex, 64, 64),
    ("secret.travisci_token", "travis", Of::Alnum, 22, 22),
    ("secret.trello_token", "trello", Of::Alnum, 32, 64),
    ("secret.twilio_auth_token", "twilio", Of::Hex, 32, 32),
    ("secret.twitch_secret", "twitch", Of::Alnum, 30, 30),
    ("secret.twitter_secret", "twitter", Of::Alnum, 25, 50),
    ("secret.unsplash_key", "unsplash", Of::Token, 43, 43),
    ("secret.vonage_secret", "vonage|nexmo", Of::Alnum, 16, 16),
    ("secret.wakatime_key", "wakatime", Of::Uuid, 36, 40),
    ("secret.yandex_key", "yandex", Of::Token, 39, 60),
    ("secret.zendesk_key", "zendesk", Of::Alnum, 40, 40),
    ("secret.zoom_secret", "zoom", Of::Alnum, 32, 36),
];

/// Between the name's word and the value: the rest of the name, what assigns (also the next line of a list of variables,
/// and a verb), what the value is wrapped in, an opening quote.
const BETWEEN: &str = r#"[A-Za-z0-9_.-]{0,32}(?:["'\x60]?[ \t]{0,4}(?:=|:|=>|:=|\|\|=|\?=|,|<)[ \t]{0,4}(?:[A-Za-z_:.]{1,24}\()?|["']?,?\n[ \t]{0,12}["']?value["']?: {0,2}|["'\x60]? (?:is|was)[ :]{1,2})["'\x60]?"#;

/// Names of anything that must stay secret.
const SECRETIVE: &str = r"(?:api|app|access|auth|client|consumer|encryption|master|private|secret|service|session|shared|signing|admin|root|db|database|user|bot|refresh|id|deploy|webhook|license|account)?[_.-]?(?:api_?key|apikey|key|token|secret|passwd|password|pass_?phrase|passphrase|pwd|credentials?|auth)";

pub(super) fn rules() -> Vec<Rule> {
    let named = ASSIGNED.iter().map(|(name, word, of, shortest, longest)| {
        let value = of.pattern(*shortest, *longest);
        let pattern = format!("(?i:{word}){BETWEEN}{value}");
        Rule { name: RuleName::built_in(name), pattern: Cow::Owned(pattern), check: of.check() }
    });
    let generic = [
        Rule {
            name: RuleName::built_in("secret.generic"),
            pattern: Cow::Owned(format!(r"(?i:{SECRETIVE}){BETWEEN}[A-Za-z0-9_.=+/~@!%^&*$#-]{{8,160}}")),
            check: generic,
        },
        Rule {
            name: RuleName::built_in("secret.password"),
            pattern: Cow::Borrowed(
                r#"(?i:(?:pass(?:word|code|phrase)|pwd|pin))(?: is|:| =|=)[ \t]{1,3}["'\x60]?[^\s"'<>\x60]{4,64}"#,
            ),
            check: spoken,
        },
    ];
    named.chain(generic).collect()
}

impl Of {
    fn pattern(self, shortest: u32, longest: u32) -> String {
        match self {
            Self::Hex => format!("[0-9a-fA-F]{{{shortest},{longest}}}"),
            Self::Alnum => format!("[A-Za-z0-9]{{{shortest},{longest}}}"),
            Self::Token => format!("[A-Za-z0-9_-]{{{shortest},{longest}}}"),
            Self::Base64 => format!("[A-Za-z0-9+/]{{{shortest},{longest}}}={{0,2}}"),
            Self::Uuid => "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}".to_owned(),
        }
    }

    fn check(self) -> Check {
        match self {
            Self::Hex | Self::Uuid => hex,
            Self::Alnum => alnum,
            Self::Token => token,
            Self::Base64 => base64,
        }
    }
}

fn hex(candidate: &Candidate<'_>) -> Option<Extent> {
    varied(candidate, 2.8, |b| b.is_ascii_hexdigit() || b == b'-')
}

fn alnum(candidate: &Candidate<'_>) -> Option<Extent> {
    varied(candidate, 3.0, |b| b.is_ascii_alphanumeric())
}

fn token(candidate: &Candidate<'_>) -> Option<Extent> {
    varied(candidate, 3.2, |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn base64(candidate: &Candidate<'_>) -> Option<Extent> {
    varied(candidate, 3.6, |b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
}

/// The value, where it is as varied as something random is, and no name: those have no digits, or few.
fn varied(candidate: &Candidate<'_>, least: f64, is: impl Fn(u8) -> bool) -> Option<Extent> {
    // A letter, digit or sign of the same kind behind it: longer than the value can be.
    if candidate.text.get(candidate.end).is_some_and(|next| is(*next)) {
        return None;
    }
    let text = candidate.matched();
    let run = text.iter().rev().take_while(|byte| is(**byte)).count();
    let from = candidate.end - run;
    let value = candidate.text.get(from..candidate.end)?;
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    let letters = value.iter().filter(|b| b.is_ascii_alphabetic()).count();
    ((digits * 16 >= value.len() || is_mixed(value))
        && letters * 16 >= value.len()
        && entropy(value) >= least
        && !is_placeholder(value))
    .then_some(Extent::From(from))
}

/// How often a value goes from one kind of letter to another, other than names do where a word begins.
fn changes(value: &[u8]) -> usize {
    let kind = |byte: u8| match byte {
        b'a'..=b'z' => Some(0),
        b'A'..=b'Z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let changed = |pair: &&[u8]| match **pair {
        [first, last] => match (kind(first), kind(last)) {
            (Some(1), Some(0)) | (None, _) | (_, None) => false,
            (first, last) => first != last,
        },
        _ => false,
    };
    value.windows(2).filter(changed).count()
}

/// Whether its letters and digits are drawn and not composed.
fn is_mixed(value: &[u8]) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let (changes, length) = (changes(value), value.len());
    digits > 0 && (changes * 10 >= length * 3 || digits * 8 >= length && changes * 5 >= length)
}

/// What may stand in a value whose kind is not known.
fn is_value(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.=+/~@!%^&*$#-".contains(&byte)
}

fn generic(candidate: &Candidate<'_>) -> Option<Extent> {
    if candidate.text.get(candidate.end).is_some_and(|next| is_value(*next) || b"([{<".contains(next)) {
        return None;
    }
    let text = candidate.matched();
    let run = text.iter().rev().take_while(|byte| is_value(**byte)).count();
    let before = text.get(..text.len() - run)?;
    // `key=value` without a blank or a quote is one run: the value is behind the sign that assigns.
    let assigned = text.get(text.len() - run..)?;
    let inside = if before.iter().any(|b| b":=,<\"'`".contains(b)) {
        0
    } else {
        assigned.iter().position(|b| *b == b'=')? + 1
    };
    let from = candidate.end - run + inside;
    let value = candidate.text.get(from..candidate.end)?;
    let quoted = candidate.text.get(from.checked_sub(1)?).is_some_and(|b| b"\"'`".contains(b));
    let closed = candidate.text.get(candidate.end).is_none_or(|b| b"\"'`\r\n ;,)".contains(b));
    let letters = value.iter().filter(|b| b.is_ascii_alphabetic()).count();
    // Without a quote it may be the name of a type or a variable.
    let named = !quoted && value.len() < 16 && changes(value) * 10 < value.len() * 4;
    // Names of things have points, slashes and few digits; calls have brackets.
    let name_like =
        value.contains(&b'.') && !value.contains(&b'=') || value.starts_with(b"/") || value.starts_with(b"$");
    let length = value.len();
    let least = if quoted || length >= 32 { 3.0 } else { 3.3 };
    let random = length >= 12 && letters >= 2 && is_mixed(value) && entropy(value) >= least;
    // `AWS::ApiGateway::ApiKey` is a kind of thing.
    let of_a_kind = candidate.previous() == Some(b':');
    (random && !named && !of_a_kind && closed && !name_like && !is_placeholder(value))
        .then_some(Extent::From(from))
}

/// As people say it: "the password is Tr0ub4dor&3".
fn spoken(candidate: &Candidate<'_>) -> Option<Extent> {
    let text = candidate.matched();
    let run = text.iter().rev().take_while(|b| !b.is_ascii_whitespace() && !b"\"'`".contains(b)).count();
    let mut value = text.get(text.len() - run..)?;
    let end = candidate.end;
    if candidate.text.get(end).is_some_and(|next| !next.is_ascii_whitespace() && !b"\"'`<>".contains(next)) {
        return None;
    }
    let mut tail = 0;
    while let Some((last, rest)) = value.split_last() {
        if !b".,;:!?)".contains(last) {
            break;
        }
        (value, tail) = (rest, tail + 1);
    }
    let kinds = [
        value.iter().any(u8::is_ascii_digit),
        value.iter().any(u8::is_ascii_lowercase),
        value.iter().any(u8::is_ascii_uppercase),
        value.iter().any(u8::is_ascii_punctuation),
    ];
    let varied = kinds.iter().filter(|kind| **kind).count() >= 2 && kinds[0];
    (varied
        && value.len() >= 4
        && !value.first().is_some_and(|first| b"$[{&*%".contains(first))
        && !value.contains(&b'(')
        && !is_placeholder(value))
    .then_some(Extent::Between(end - run, end - tail))
}
