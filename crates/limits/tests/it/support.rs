//! What the tests share.

use hermetic_limits::{Amounts, Denied, Exceeded, Facts, OnExhausted, Rule, Unit, When, Window};

/// 2026-11-27T16:35:50Z.
pub(crate) const NOW: u64 = 1_795_797_350_000;

pub(crate) fn rule(name: &str, unit: Unit, window: &str, cap: u64) -> Rule {
    Rule {
        name: name.into(),
        when: When::default(),
        per: Vec::new(),
        cap,
        unit,
        window: window.parse::<Window>().unwrap(),
        soft: Vec::new(),
        on_exhausted: OnExhausted::Refuse,
        shadow: false,
        shared: false,
        currency: None,
    }
}

pub(crate) const ALICE: Facts<'static> = Facts {
    subject: "alice",
    team: "eng",
    project: "demo",
    workflow: "docs",
    key: "key_1",
    model: "chat",
    surface: "chat.completions",
    metadata: &[],
};

pub(crate) fn tokens(input: u64, output: u64) -> Amounts {
    Amounts { requests: 1, input_tokens: input, output_tokens: output, concurrent: 1, ..Amounts::default() }
}

pub(crate) fn exceeded<T: std::fmt::Debug>(result: Result<T, Denied>) -> Exceeded {
    match result {
        Err(Denied::Exceeded(exceeded)) => *exceeded,
        other => panic!("expected a rule to refuse, found {other:?}"),
    }
}
