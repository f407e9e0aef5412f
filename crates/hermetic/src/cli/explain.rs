//! `hermetic explain CODE`: the page behind an error code.

use super::Context;
use hermetic_diagnostics::{Code, Diagnose, Report};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// An error code such as E0401; without one, all codes are listed.
    code: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("no page for the code `{code}`")]
struct UnknownCode {
    code: String,
}

impl Diagnose for UnknownCode {
    fn code(&self) -> Code {
        Code::new("E1001")
    }
    fn hint(&self) -> Option<String> {
        hermetic_diagnostics::nearest(&self.code).map(|nearest| format!("did you mean {nearest}?"))
    }
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    match &arguments.code {
        None => hermetic_diagnostics::index()
            .into_iter()
            .for_each(|(code, title)| context.out.line(format!("{code}  {title}"))),
        Some(code) => {
            let page = hermetic_diagnostics::page(code)
                .ok_or_else(|| UnknownCode { code: code.chars().take(40).collect() })?;
            context.out.line(page.trim_end());
        }
    }
    Ok(ExitCode::SUCCESS)
}
