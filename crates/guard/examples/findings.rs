//! What is found in texts: `findings` reads lines, each a JSON string, and prints for each a line, a JSON array of
//! `["rule", start, end]` in bytes of the text as it was written. `findings --files` reads paths instead of texts.
use hermetic_guard::{Detectors, Scratch, View, Writing, built_in, names};
use std::io::{BufRead, BufWriter, Write};

#[expect(clippy::unwrap_used, reason = "a measurement")]
fn main() {
    let files = std::env::args().any(|argument| argument == "--files");
    let mut rules = built_in();
    if !std::env::args().any(|argument| argument == "--no-names") {
        rules.extend(names());
    }
    let detectors = Detectors::new(rules).unwrap();
    let mut scratch = detectors.scratch();
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let found = if files {
            read(&line).map_or_else(|| "[]".to_owned(), |text| found(&detectors, &mut scratch, &text))
        } else {
            found(&detectors, &mut scratch, serde_json::from_str::<String>(&line).unwrap().as_bytes())
        };
        writeln!(out, "{found}").unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn read(path: &str) -> Option<Vec<u8>> {
    std::fs::read(path).ok()
}

fn found(detectors: &Detectors, scratch: &mut Scratch, text: &[u8]) -> String {
    let view = View::of(Writing::Plain, text);
    let found = detectors.find(scratch, view.seen());
    let shown: Vec<String> = found
        .iter()
        .map(|finding| {
            let (start, end) = (view.written_start(finding.place.start), view.written_end(finding.place.end));
            format!("[\"{}\",{start},{end}]", detectors.name(finding.rule))
        })
        .collect();
    format!("[{}]", shown.join(","))
}
