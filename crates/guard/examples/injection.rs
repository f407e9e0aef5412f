//! Scores of texts: reads lines, each a JSON string, and prints the score of each. `injection --places` prints what each
//! is made of instead, for training: an array of arrays, one a word. `injection --speed` prints processor time for 4 KB.
use hermetic_guard::{Injection, injection_places};
use std::io::{BufRead, BufWriter, Write};

#[expect(clippy::unwrap_used, reason = "a measurement")]
fn main() {
    let asked = std::env::args().nth(1).unwrap_or_default();
    let injection = Injection::new();
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let text: String = serde_json::from_str(&line.unwrap()).unwrap();
        match asked.as_str() {
            "--places" => writeln!(out, "{:?}", injection_places(&text)).unwrap(),
            "--speed" => {
                let begin = ran();
                for _ in 0..2_000 {
                    std::hint::black_box(injection.score(std::hint::black_box(&text)));
                }
                let each = (ran() - begin) / 2_000;
                writeln!(out, "{} bytes: {} ns", text.len(), each.as_nanos()).unwrap();
            }
            _ => writeln!(out, "{}", injection.score(&text)).unwrap(),
        }
    }
}

/// Time on a processor so far, of a process with one thread.
#[expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a measurement")]
fn ran() -> std::time::Duration {
    let line = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    std::time::Duration::from_nanos(line.split(' ').next().unwrap().parse().unwrap())
}
