//! Companies and institutions.

use super::WORD;
use crate::rule::{Candidate, Extent};

/// How companies are registered, and what institutions are.
const FORMS: &str = r"Inc|INC|LLC|L\.L\.C|Ltd|LTD|Limited|LIMITED|Corp|CORP|Corporation|CORPORATION|Company|Co|CO|PLC|plc|Plc|GmbH|AG|SE|KG|S\.A|SA|S\.p\.A|SpA|SPA|NV|N\.V|BV|B\.V|AB|Oyj|Oy|ASA|AS|A/S|LP|LLP|Group|Holdings|Holding|Bank|ETF|Trust|Fund|University|Hospital|Institute|Foundation|Association|Partners|Industries|Bancorp|Clinic|Orchestra|Ministry|Pty Ltd";

pub(super) fn patterns() -> Vec<String> {
    let part = r"[A-Z0-9\xC3-\xC5][A-Za-z0-9'&/.\x80-\xC9-]{0,20}";
    vec![
        format!(
            r"{part}(?: (?:{part}|&|and)){{0,6}}(?:,? (?:{FORMS})|Ltd|LTD|Limited)(?:\.|,? (?:Inc|Ltd|LTD|LLC|plc|PLC|AG|Corporation|Limited)\.?)?"
        ),
        format!(r"(?:University|Bank|Ministry|Institute|Museum) of {WORD}(?: {WORD}){{0,3}}"),
    ]
}

/// Words that begin a sentence, and no name.
const BEGINNINGS: &[&[u8]] =
    &[b"The ", b"A ", b"An ", b"In ", b"At ", b"For ", b"My ", b"I ", b"We ", b"Our ", b"This "];

pub(super) fn check(candidate: &Candidate<'_>) -> Option<Extent> {
    let behind = candidate.text.get(candidate.end);
    // The point of `Inc.` is behind the last letter of the shorter match, and part of the longer.
    let whole = behind.is_none_or(|byte| !byte.is_ascii_alphanumeric() && byte.is_ascii());
    let before = candidate
        .previous()
        .is_none_or(|byte| !byte.is_ascii_alphanumeric() && byte.is_ascii() && !b"@_/\\.-&".contains(&byte));
    let text = candidate.matched();
    let skipped = BEGINNINGS
        .iter()
        .find(|beginning| text.starts_with(beginning))
        .map_or(0, |beginning| beginning.len());
    let rest = text.get(skipped..)?;
    // What is left is more than the form alone.
    (whole && before && rest.contains(&b' ') && rest.len() > 5)
        .then_some(Extent::Between(candidate.start + skipped, candidate.end))
}
