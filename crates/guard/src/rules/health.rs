//! Identifiers of health care.

use super::{all_if, last_run, stands_alone};
use crate::checks;
use crate::rule::{Candidate, Extent, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        "phi.mrn",
        r"(?i:(?:mrn|medical record|med rec|patient id|patient no|patient number|chart|encounter|accession|fin|hospital number)(?: (?:no|number|num|id))?\.?[ :#=]{1,3}(?:is )?)[A-Za-z]{0,4}-?[0-9]{4,14}",
        identifier,
    ),
    Rule::new(
        "phi.health_plan",
        r"(?i:(?:member|subscriber|beneficiary|health plan|insurance|policy|group|medicaid|medicare|hicn)(?: (?:no|number|num|id))?\.?[ :#=]{1,3}(?:is )?)[A-Za-z]{0,4}-?[0-9]{5,14}[A-Za-z]?",
        identifier,
    ),
    Rule::new("phi.npi", r"[12][0-9]{9}", npi),
    Rule::new("phi.dea", r"[ABCDEFGHJKLMPRSTUXabcdefghjklmprstux][A-Za-z9][0-9]{7}", dea),
    Rule::new(
        "phi.mbi",
        r"[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y][0-9]-?[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y][0-9]-?[AC-HJKMNP-RT-Y]{2}[0-9]{2}",
        crate::rule::as_it_looks,
    ),
    Rule::new("phi.nhs", r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}", nhs),
];

fn identifier(candidate: &Candidate<'_>) -> Option<Extent> {
    last_run(candidate, |b| b.is_ascii_alphanumeric() || b == b'-')
}

/// 45 CFR 162.406: Luhn over the number with 80840 before it.
fn npi(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = [&[8, 0, 8, 4, 0][..], &candidate.digits()].concat();
    all_if(
        checks::luhn(&digits)
            && candidate.follows(&["npi", "provider", "provider id", "national provider"])
            && stands_alone(candidate),
    )
}

/// The last digit is that of the sum of the odd places and twice the even ones.
fn dea(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let digits = digits.get(digits.len().checked_sub(7)?..)?;
    let sum = checks::weighted(digits, &[1, 2, 1, 2, 1, 2]);
    all_if(digits.last() == Some(&(sum % 10)))
}

/// Ten digits, the last of which checks the others by eleven. Grouped, or behind the name.
fn nhs(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let check = 11 - checks::weighted(&digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if check == 11 { 0 } else { check };
    all_if(
        digits.last() == Some(&check)
            && candidate.follows(&["nhs", "health service"])
            && stands_alone(candidate),
    )
}
