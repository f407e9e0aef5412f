//! `hermetic serve`: the gateway and its workers, until a signal ends them.

use super::Context;
use super::enclave::Enclave;
use hermetic_diagnostics::Report;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    let enclave = Enclave::open(context)?;
    crate::serving::serve(&enclave, context)?;
    Ok(ExitCode::SUCCESS)
}
