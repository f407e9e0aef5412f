//! Limits: from the configuration and the ledger into the gateway, and written down now and then.

use crate::cli::enclave::Enclave;
use hermetic_config::Config;
use hermetic_diagnostics::Report;
use hermetic_gateway::{
    CommitmentSecret, Limiting, LimitsOnRecord, ModelTerms, OUTPUT_TOKENS_DEFAULT, RulesRefused, recover,
};
use hermetic_ids::ModelName;
use hermetic_ledger_store::Ledger;
use hermetic_limits::RuleSet;
use std::collections::HashMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the counters are written down: so many records are read again at most when the process is killed.
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// The rules and what models cost, as the configuration has them: what `Limiting::replace` takes at a reload.
pub(crate) fn of_config(config: &Config) -> Result<(RuleSet, HashMap<ModelName, ModelTerms>), RulesRefused> {
    let rules = RuleSet::new(config.limits.clone()).map_err(RulesRefused)?;
    let terms = config.models.iter().map(|model| {
        let terms = ModelTerms {
            price: model.terms.price,
            output_tokens_default: model.terms.output_tokens_default.unwrap_or(OUTPUT_TOKENS_DEFAULT),
            output_tokens_max: model.terms.output_tokens_max,
        };
        (model.name.clone(), terms)
    });
    Ok((rules, terms.collect()))
}

/// Reads what is on record, settles what a killed process left open, and begins there.
pub(crate) fn open(
    enclave: &Enclave,
    ledger: &Ledger,
    clock: &hermetic_clock::Clock,
) -> Result<(Limiting, LimitsOnRecord), Report> {
    let (rules, terms) = of_config(&enclave.config)?;
    let counters = usize::try_from(enclave.config.gateway.limits.limit_counters).unwrap_or(usize::MAX);
    let secret = enclave.commitment_secret()?;
    let commitments = CommitmentSecret::from_bytes(secret.bytes());
    let on_record = recover(ledger, enclave.paths.counters(), &commitments, clock, &enclave.metadata()?)?;
    let limiting = Limiting::new(rules, terms, counters);
    limiting.restore(on_record.fold());
    Ok((limiting, on_record))
}

/// Follows the ledger and writes the counters down, until the service ends.
pub(crate) async fn keep_on_record(mut on_record: LimitsOnRecord, ledger: Ledger, ending: CancellationToken) {
    loop {
        let last = tokio::select! {
            () = ending.cancelled() => true,
            () = tokio::time::sleep(WRITE_EVERY) => false,
        };
        let ledger = ledger.clone();
        let step = tokio::task::spawn_blocking(move || {
            let done = on_record.follow(&ledger);
            (on_record, done)
        });
        match step.await {
            Ok((back, done)) => {
                on_record = back;
                if let Err(error) = done {
                    let causes = hermetic_diagnostics::chain(&error).join(": ");
                    tracing::warn!(
                        causes,
                        "the counters of the limits could not be written down; the ledger has them"
                    );
                }
            }
            Err(error) => {
                tracing::error!(%error, "writing the counters of the limits down ended abnormally");
                return;
            }
        }
        if last {
            return;
        }
    }
}
