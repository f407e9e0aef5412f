//! What a reader of configuration files may rely on.

use super::*;
use proptest::prelude::*;

const GOOD: &str = "\
tier: air-gapped
state_dir: state
network:
  enclave: [10.20.0.0/16, corp.example]
gateway:
  listen: 127.0.0.1:8081
  drain_grace: 5 s
models:
  - name: smollm2-135m-instruct
    engine: { threads: 2, context_tokens: 2048 }
  - name: big
    endpoint: http://vllm.corp.example:8000/v1
    upstream_model: org/big
ledger:
  origin: llm.corp.example/ledger
";

fn mistakes(text: &str) -> Vec<String> {
    let error = parse(text, Path::new("etc/hermetic.yaml")).expect_err("a file with mistakes");
    error.mistakes().iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_file_becomes_typed_settings_with_defaults_filled_in() {
    let config = parse(GOOD, Path::new("etc/hermetic.yaml")).unwrap();
    assert_eq!(config.state_dir, Path::new("etc/state"));
    assert_eq!(config.gateway.drain_grace.as_secs(), 5);
    assert_eq!(config.gateway.limits.request_body_bytes, 4 << 20);
    let [ours, theirs] = config.models.as_slice() else { panic!("two models") };
    assert!(matches!(&ours.source, ModelSource::Artifact { label, .. } if label.as_str() == "production"));
    assert!(
        matches!(&theirs.source, ModelSource::Endpoint { upstream_model, .. } if upstream_model.as_str() == "org/big")
    );
}

#[test]
fn the_smallest_file_names_the_ledger_and_is_air_gapped() {
    let config = parse("ledger: {origin: a.example/l}", Path::new("h.yaml")).unwrap();
    assert_eq!(config.tier, Tier::AirGapped);
    assert!(config.models.is_empty() && config.policy.dir.is_none());
}

#[test]
fn content_is_kept_only_where_the_file_says_so() {
    let capture = |text: &str| parse(text, Path::new("h.yaml")).unwrap().ledger.capture;
    assert_eq!(capture("ledger: {origin: a.example/l}"), Capture::None);
    assert_eq!(capture("ledger: {origin: a.example/l, capture: none}"), Capture::None);
    assert_eq!(capture("ledger: {origin: a.example/l, capture: encrypted}"), Capture::Encrypted);
    let found = mistakes("ledger: {origin: a.example/l, capture: plain}");
    assert!(found[0].contains("[E0104] ledger.capture:"), "{found:?}");
}

#[test]
fn every_mistake_of_a_file_is_reported_at_once_with_its_place() {
    let text = "\
teir: air-gapped
gateway:
  listen: everywhere
  limits:
    connections: many
    request_body_bytes: 16
models:
  - nmae: x
  - name: y
    kind: chat
ledger:
  checkpoint_interval: often
";
    let found = mistakes(text);
    let expected = [
        "1:1 [E0103] teir: expected a known key, found `teir`; did you mean `tier`?",
        "3:11 [E0104] gateway.listen:",
        "5:18 [E0104] gateway.limits.connections: expected a whole number from 1 to 1000000, found `many`",
        "6:25 [E0104] gateway.limits.request_body_bytes:",
        "8:5 [E0103] models[0].nmae: expected a known key, found `nmae`; did you mean `name`?",
        "8:5 [E0105] models[0].name: expected this key, found nothing",
        "10:5 [E0109] models[1].kind:",
        "12:3 [E0105] ledger.origin: expected this key, found nothing",
        "12:24 [E0104] ledger.checkpoint_interval: expected a whole number and a unit such as `30s`, found `often`",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} should start with {expected}");
    }
}

#[test]
fn a_sealed_tier_refuses_an_endpoint_outside_with_the_line_that_named_it() {
    for outside in [
        "https://api.openai.com/v1",
        "http://8.8.8.8/v1",
        "http://[::ffff:8.8.8.8]/v1",
        "http://0x08080808/v1",
        "http://corp.example.evil.com/v1",
        "http://evilcorp.example/v1",
        "http://0.0.0.0/v1",
        "http://169.254.169.254/latest",
    ] {
        let text = GOOD.replace("http://vllm.corp.example:8000/v1", &format!("\"{outside}\""));
        let found = mistakes(&text);
        assert!(
            found[0].starts_with("12:15 [E0106] models[1].endpoint: expected a host inside"),
            "{outside}: {found:?}"
        );
        let connected = text.replace("air-gapped", "connected");
        assert!(parse(&connected, Path::new("h.yaml")).is_ok(), "{outside}");
    }
}

#[test]
fn a_mistyped_tier_does_not_open_the_door() {
    let text = GOOD.replace("air-gapped", "conected").replace("vllm.corp.example", "evil.com");
    let found = mistakes(&text);
    assert!(found.iter().any(|mistake| mistake.contains("did you mean `connected`?")), "{found:?}");
    assert!(found.iter().any(|mistake| mistake.contains("[E0106]")), "{found:?}");
}

#[test]
fn a_boundary_that_holds_the_world_is_refused_in_a_sealed_tier() {
    for wide in ["0.0.0.0/0", "\"::/0\"", "8.0.0.0/5"] {
        let found = mistakes(&GOOD.replace("10.20.0.0/16", wide));
        assert!(found[0].contains("[E0107] network.enclave[0]"), "{wide}: {found:?}");
    }
}

#[test]
fn anchors_tags_duplicates_and_second_documents_are_refused() {
    for (text, needle) in [
        ("ledger: &l {origin: a/b}", "anchor"),
        ("ledger: {origin: a/b}\nlog: *l", "YAML"),
        ("log: &l {}\nimport: *l\nledger: {origin: a/b}", "alias"),
        ("ledger: {origin: !!str a/b}", "tag"),
        ("ledger: {origin: a/b}\nledger: {origin: c/d}", "found `ledger` again (first on line 1)"),
        ("ledger: {origin: a/b}\n---\nlog: {}", "second one"),
        ("ledger: {origin: \"a/b}", "expected YAML"),
        ("[a, b]", "expected a group of keys, found a list"),
    ] {
        let found = mistakes(text);
        assert!(found.iter().any(|mistake| mistake.contains(needle)), "{text:?}: {found:?}");
    }
}

#[test]
fn a_billion_laughs_costs_nothing() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for i in 1..60 {
        let before = format!("*a{}, ", i - 1).repeat(9);
        text.push_str(&format!("a{i}: &a{i} [{}]\n", before.trim_end_matches(", ")));
    }
    assert!(!mistakes(&text).is_empty());
    assert!(mistakes(&"[".repeat(10_000))[0].contains("[E0102]"));
    let nested = format!("{}x{}", "[".repeat(100), "]".repeat(100));
    assert!(mistakes(&nested)[0].contains("levels of nesting"));
}

#[test]
fn a_value_left_empty_is_a_mistake_and_a_group_left_empty_is_not() {
    assert!(parse("ledger: {origin: a/b}\nnetwork:\nmodels:\n", Path::new("h.yaml")).is_ok());
    let found = mistakes("ledger: {origin: a/b}\nstate_dir:\n");
    assert!(found[0].starts_with("2:10 [E0104] state_dir: expected text, found nothing"), "{found:?}");
}

#[test]
fn contradictions_between_the_keys_of_a_model_are_named() {
    let found = mistakes(
        "ledger: {origin: a/b}\nmodels:\n  - {name: a, endpoint: 'http://127.0.0.1/v1', artifact: b}\n  - {name: a}\n",
    );
    assert!(found[0].contains("models[0].artifact: expected no `artifact`"), "{found:?}");
    assert!(found[1].contains("models[1].name: expected each model name once"), "{found:?}");
}

#[test]
fn a_password_in_an_endpoint_is_not_repeated_in_the_error() {
    let found =
        mistakes("ledger: {origin: a/b}\nmodels: [{name: a, endpoint: 'http://u:hunter2@127.0.0.1/v1'}]\n");
    assert!(found[0].contains("without user and password") && !found[0].contains("hunter2"), "{found:?}");
}

#[test]
fn every_key_is_documented_and_optional_ones_say_what_happens_without_them() {
    for reference in keys() {
        assert!(!reference.description.is_empty(), "{} has no doc comment", reference.key);
        let says_default = reference.required
            || reference.default.is_some()
            || !reference.below.is_empty()
            || [
                "Default",
                "Without",
                "when it is called",
                "Contradicts",
                "answers instead",
                "when the command line",
            ]
            .iter()
            .any(|word| reference.description.contains(word));
        assert!(says_default, "{} does not say its default", reference.key);
    }
}

#[test]
fn defaults_and_examples_in_the_schema_pass_the_check_themselves() {
    for reference in keys() {
        for shown in reference.default.iter().chain(&reference.example) {
            let text = yaml_with(&reference.key, shown);
            let path = Path::new("h.yaml");
            assert!(parse(&text, path).is_ok(), "{}: {text}\n{:?}", reference.key, parse(&text, path));
        }
    }
}

/// The least that `identity`, `gateway.tls` and `guardrails` hold, in a file that has `key` set to `value`.
fn json_with(key: &str, value: &str) -> String {
    let mut file = serde_json::json!({
        "tier": "connected",
        "ledger": {"origin": "a/b"},
        "gateway": {"tls": {"certificate": "c", "key": "k", "client_ca": "a"}},
        "identity": {
            "issuers": [{
                "issuer": "https://idp.corp.example", "audience": ["a"],
                "claims": {"project": "p", "team": "t", "workflow": "w", "metadata": [{"name": "n", "value": "v"}]},
            }],
            "certificates": [{
                "match": {"dns": "d"}, "subject": "s", "project": "p", "team": "t", "workflow": "w",
                "metadata": [{"name": "n", "value": "v"}],
            }],
            "throttle": {},
        },
        "guardrails": {
            "rules": [{"name": "everybody"}],
            "patterns": [{"name": "own", "pattern": "PRJ-[0-9]{6}", "finds": ["PRJ-123456"]}],
            "exceptions": [{"rule": "pii.ip", "until": "2027-01-01", "owner": "o", "reason": "r"}],
        },
    });
    let mut place = &mut file;
    for part in key.split('.') {
        if place.is_array() {
            place = &mut place[0];
        }
        place = &mut place[part];
    }
    *place = serde_json::from_str(value).unwrap_or_else(|_| serde_json::Value::from(value));
    serde_json::to_string_pretty(&file).unwrap()
}

/// The keys of a virtual model that has `key` set to `value`; `None` when it is not one of them.
fn virtual_model_with(key: &str, value: &str) -> Option<String> {
    let nested = |key: &str| match key.rsplit_once('.') {
        None => format!("{key}: {value}"),
        Some(("hedge", "percent")) => format!("hedge: {{after: p95, percent: {value}}}"),
        Some((group, key)) => format!("{group}: {{{key}: {value}}}"),
    };
    if let Some(key) = key.strip_prefix("models.routing.") {
        return Some(format!("targets: [{{artifact: a}}], routing: {{{}}}", nested(key)));
    }
    if let Some(key) = key.strip_prefix("models.timeouts.") {
        return Some(format!("timeouts: {{{}}}", nested(key)));
    }
    let key = key.strip_prefix("models.targets.")?;
    let source = match key {
        "model" | "artifact" | "endpoint" => "",
        "upstream_model" => "endpoint: 'http://127.0.0.1/v1', ",
        _ => "artifact: b, ",
    };
    Some(format!("targets: [{{artifact: a}}, {{{source}{}}}]", nested(key)))
}

/// A file that is complete and has `key` set to `value`.
fn yaml_with(key: &str, value: &str) -> String {
    if ["identity.", "gateway.tls.", "guardrails."].iter().any(|part| key.starts_with(part)) {
        return json_with(key, value);
    }
    let value = if value.starts_with(['[', '{']) { value.to_owned() } else { format!("\"{value}\"") };
    let number = value.trim_matches('"').parse::<i64>().is_ok();
    let boolean = matches!(value.trim_matches('"'), "true" | "false");
    let value = if number || boolean { value.trim_matches('"').to_owned() } else { value };
    if let Some(below) = key.strip_prefix("limits_store.") {
        let least = [("redis", "'redis://127.0.0.1:6379'"), ("replicas", "2"), ("password_file", "p")];
        let others = least.iter().filter(|(other, _)| *other != below);
        let others: String = others.map(|(other, value)| format!(", {other}: {value}")).collect();
        return format!(
            "tier: connected\nledger: {{origin: a/b}}\nlimits_store: {{{below}: {value}{others}}}\n"
        );
    }
    if let Some(below) = key.strip_prefix("gateway.queue.shares.") {
        let other = if below == "weight" { "project: a" } else { "weight: 1" };
        return format!(
            "{{ledger: {{origin: a/b}}, gateway: {{queue: {{shares: [{{{below}: {value}, {other}}}]}}}}}}"
        );
    }
    if let Some(model) = virtual_model_with(key, &value) {
        let models = format!("[{{name: smollm2-135m-instruct}}, {{name: m, {model}}}]");
        return format!("tier: connected\nledger: {{origin: a/b}}\nmodels: {models}\n");
    }
    if let Some(below) = key.strip_prefix("limits.") {
        return limit_with(below, &value);
    }
    if let Some(below) = key.strip_prefix("models.price.") {
        return format!("{{ledger: {{origin: a/b}}, models: [{{name: m, price: {{{below}: {value}}}}}]}}");
    }
    if let Some(below) = key.strip_prefix("models.") {
        let mut model = String::new();
        if below.starts_with("engine.") {
            model = format!("engine: {{{}: {value}}}", below.trim_start_matches("engine."));
        } else if below != "name" {
            model = format!("{below}: {value}");
        }
        let endpoint =
            if matches!(below, "upstream_model" | "kind" | "tokenizer" | "tokenize" | "context_tokens") {
                ", endpoint: 'http://127.0.0.1/v1'"
            } else {
                ""
            };
        let tier = if below == "endpoint" { "connected" } else { "air-gapped" };
        let comma = if model.is_empty() { "" } else { ", " };
        return format!(
            "tier: {tier}\nledger: {{origin: a/b}}\nmodels: [{{name: m{comma}{model}{endpoint}}}]\n"
        );
    }
    let parts: Vec<&str> = key.split('.').collect();
    let open: String = parts.iter().map(|part| format!("{{{part}: ")).collect();
    let text = format!("{open}{value}{}", "}".repeat(parts.len()));
    match key {
        "ledger.origin" => text,
        _ if key.starts_with("ledger.") => text.replacen("{ledger: {", "{ledger: {origin: a/b, ", 1),
        _ => text.replacen('{', "{ledger: {origin: a/b}, ", 1),
    }
}

/// The least of a limit, and `key` set to `value`.
fn limit_with(key: &str, value: &str) -> String {
    let word = value.trim_matches('"');
    let value = if matches!(word, "true" | "false") { word } else { value };
    let unit = if key == "currency" { "money" } else { "requests" };
    let least = [("name", "a"), ("limit", "1"), ("unit", unit), ("window", "day")];
    let mut keys: Vec<String> = least
        .iter()
        .filter(|(least, _)| *least != key)
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    keys.push(match key.split_once('.') {
        Some((group, below)) => format!("{group}: {{{below}: {value}}}"),
        None => format!("{key}: {value}"),
    });
    format!("{{ledger: {{origin: a/b}}, limits: [{{{}}}]}}", keys.join(", "))
}

#[test]
fn whoever_names_a_level_names_one_of_the_site() {
    let text = |classification: &str, model: &str| {
        format!("ledger: {{origin: a/b}}\nclassification: {classification}\nmodels: [{{name: m, {model}}}]\n")
    };
    let mistakes = |classification: &str, model: &str| {
        let parsed = parse(&text(classification, model), Path::new("h.yaml"));
        parsed.map_or_else(|error| error.mistakes().iter().map(|m| m.key.clone()).collect(), |_| Vec::new())
    };
    assert!(mistakes("{levels: [low, high], default: high}", "classification: low, tags: {a: b}").is_empty());
    assert_eq!(mistakes("{levels: [low, high], default: mid}", "label: canary"), ["classification.default"]);
    assert_eq!(mistakes("{levels: [low]}", "classification: public"), ["models[0].classification"]);
    assert_eq!(mistakes("{levels: [low, low]}", "label: canary"), ["classification.levels[1]"]);
    assert_eq!(mistakes("{levels: []}", "label: canary"), ["classification.levels"]);
    let config =
        parse(&text("{levels: [low, high]}", "tags: {b: '2', a: '1'}"), Path::new("h.yaml")).unwrap();
    assert_eq!(config.classification.default.as_str(), "low");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(config.models[0].marks.tags, [pair("a", "1"), pair("b", "2")]);
}

#[test]
fn explain_finds_a_key_and_suggests_one_for_a_mistyped_one() {
    assert_eq!(explain("models[3].name").unwrap().key, "models.name");
    let hint =
        |key: &str| hermetic_diagnostics::Diagnose::hint(&explain(key).unwrap_err()).unwrap_or_default();
    assert!(hint("gateway.lissten").contains("gateway.listen"));
    assert!(hint("connections").contains("gateway.limits.connections"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_every_mistake_has_a_place(text in "[ -~\n]{0,200}") {
        if let Err(error) = parse(&text, Path::new("h.yaml")) {
            prop_assert!(!error.mistakes().is_empty());
            prop_assert!(error.mistakes().iter().all(|mistake| mistake.at.line >= 1 && mistake.at.column >= 1));
        }
    }

    #[test]
    fn a_cut_or_changed_file_never_makes_it_panic(at in 0usize..GOOD.len(), byte in 32u8..127) {
        let mut changed = GOOD.as_bytes().to_vec();
        changed[at] = byte;
        let _ = parse(&String::from_utf8(changed).unwrap(), Path::new("h.yaml"));
        let _ = parse(&GOOD[..at], Path::new("h.yaml"));
    }

    #[test]
    fn a_sealed_configuration_never_names_an_address_outside(a: u8, b: u8, c: u8, d: u8) {
        let text = GOOD.replace("vllm.corp.example", &format!("{a}.{b}.{c}.{d}"));
        let inside = a == 127 || (a == 10 && b == 20);
        prop_assert_eq!(parse(&text, Path::new("h.yaml")).is_ok(), inside);
    }
}

#[test]
fn keys_are_fetched_from_inside_the_enclave_and_never_over_a_wire_anybody_can_read() {
    let text = |issuer: &str, more: &str| {
        format!(
            "network: {{enclave: [corp.example]}}\nledger: {{origin: a/b}}\nidentity:\n  issuers:\n    - issuer: {issuer}\n      audience: [a]\n{more}      claims: {{project: p, team: t, workflow: w}}\n"
        )
    };
    let good = |issuer: &str, more: &str| parse(&text(issuer, more), Path::new("h.yaml")).is_ok();
    assert!(good("https://idp.corp.example", "") && good("http://127.0.0.1:3000", ""));
    assert!(good("https://idp.elsewhere.example", "      jwks_file: keys.json\n"), "nothing is fetched");
    let outside = mistakes(&text("https://idp.elsewhere.example", ""));
    assert!(
        outside[0].starts_with("5:15 [E0106] identity.issuers[0].issuer: expected a host inside"),
        "{outside:?}"
    );
    let uri = mistakes(&text("https://idp.corp.example", "      jwks_uri: https://8.8.8.8/keys\n"));
    assert!(uri[0].contains("[E0106] identity.issuers[0].jwks_uri"), "{uri:?}");
    let plain = mistakes(&text("http://idp.corp.example", ""));
    assert!(plain[0].contains("[E0109] identity.issuers[0].issuer: expected `https`"), "{plain:?}");
    let both = mistakes(&text(
        "https://a.corp.example",
        "      jwks_uri: https://a.corp.example/k\n      jwks_file: k\n",
    ));
    assert!(both[0].contains("found both"), "{both:?}");
}

#[test]
fn a_certificate_rule_without_a_condition_and_client_certificates_without_an_authority_are_refused() {
    let rule = "ledger: {origin: a/b}\nidentity: {certificates: [{match: {}, subject: s, project: p, team: t, workflow: w}]}\n";
    assert!(mistakes(rule)[0].contains("[E0109] identity.certificates[0].match"), "{:?}", mistakes(rule));
    let tls =
        "ledger: {origin: a/b}\ngateway: {tls: {certificate: c, key: k, client_certificates: required}}\n";
    assert!(mistakes(tls)[0].contains("[E0105] gateway.tls.client_ca"), "{:?}", mistakes(tls));
}

#[test]
fn symmetric_algorithms_and_none_cannot_be_configured() {
    for bad in ["none", "HS256", "RS1"] {
        let found = mistakes(&json_with("identity.issuers.algorithms", &format!("[\"{bad}\"]")));
        assert!(found[0].contains("[E0104] identity.issuers[0].algorithms[0]"), "{found:?}");
    }
}

const POOL: &str = "\
network: { enclave: [corp.example] }
models:
  - name: small
  - name: pool
    targets:
      - endpoint: http://vllm-1.corp.example:8000/v1
        upstream_model: org/big
        weight: 2
        continues: true
        timeouts: { first_token: 5s }
      - { artifact: small, label: canary, canary_percent: 5 }
      - { model: small, tier: 1 }
    routing: { affinity: 4 KiB, canary_sticks_to: project, hedge: { after: p95 } }
    timeouts: { total: 10m }
ledger: { origin: a.example/l }
";

#[test]
fn a_virtual_model_has_targets_with_names_tiers_and_shares() {
    let config = parse(POOL, Path::new("h.yaml")).unwrap();
    let ModelSource::Targets(pool) = &config.models[1].source else { panic!("{:?}", config.models[1]) };
    let names: Vec<_> =
        pool.targets.iter().map(|target| (target.name.as_str(), target.tier, target.weight)).collect();
    assert_eq!(names, [("vllm-1.corp.example:8000", 0, 2), ("small:canary", 0, 1), ("small", 1, 1)]);
    assert_eq!((pool.targets[1].canary_percent, pool.targets[0].continues), (5, true));
    assert_eq!(pool.routing.hedge.unwrap().after, HedgeDelay::Percentile(95));
    assert_eq!(pool.routing.retry_percent, 20);
    assert_eq!(config.models[1].timeouts.total, Some(std::time::Duration::from_secs(600)));
}

#[test]
fn targets_that_contradict_each_other_are_refused_each_with_its_place() {
    let cases = [
        (
            "{ model: small, tier: 1 }",
            "{ model: pool, tier: 1 }",
            "targets[2].model: expected another model of this list",
        ),
        ("{ model: small, tier: 1 }", "{ model: nobody }", "targets[2].model: expected another model"),
        (
            "{ model: small, tier: 1 }",
            "{ model: small, artifact: small }",
            "targets[2]: expected one of model, artifact and endpoint, found model and artifact",
        ),
        (
            "{ model: small, tier: 1 }",
            "{ tier: 1 }",
            "targets[2]: expected one of model, artifact and endpoint, found nothing",
        ),
        (
            "{ model: small, tier: 1 }",
            "{ model: small, label: x }",
            "targets[2].label: expected no `label` beside `model`",
        ),
        (
            "{ model: small, tier: 1 }",
            "{ artifact: small, label: canary }",
            "targets[2]: expected each target once, found `small:canary` again",
        ),
        ("{ first_token: 5s }", "{ total: 5s }", "targets[0].timeouts.total: expected"),
        (
            "canary_percent: 5",
            "canary_percent: 100",
            "targets[1].canary_percent: expected a whole number from 1 to 99",
        ),
        (
            "{ after: p95 }",
            "{ after: p100 }",
            "routing.hedge.after: expected `p50` to `p99` or a length of time",
        ),
        (
            "  - name: pool\n",
            "  - name: pool\n    artifact: x\n",
            "models[1].artifact: expected a source in each of the `targets`",
        ),
        (
            "  - name: pool\n",
            "  - name: pool\n    tokenize: engine\n",
            "models[1].tokenize: expected a source in each of the `targets` and none beside them, nor what",
        ),
        ("  - name: small\n", "  - name: small\n    routing: {}\n", "models[0].routing: expected"),
        (
            "vllm-1.corp.example",
            "evil.example",
            "[E0106] models[1].targets[0].endpoint: expected a host inside",
        ),
    ];
    for (from, to, expected) in cases {
        let text = POOL.replacen(from, to, 1);
        assert_ne!(text, POOL);
        let found = mistakes(&text);
        assert!(found.iter().any(|mistake| mistake.contains(expected)), "{to}: {found:?}");
    }
}

#[test]
fn canaries_alone_are_no_plan() {
    let text = "models:\n  - name: p\n    targets: [{ artifact: a, canary_percent: 60 }, { artifact: b, canary_percent: 60 }]\nledger: { origin: a.example/l }\n";
    let found = mistakes(text);
    assert!(found.iter().any(|m| m.contains("at most 100 percent together, found 120")), "{found:?}");
    assert!(found.iter().any(|m| m.contains("expected a target that is not a canary")), "{found:?}");
}
