//! How fast a text is looked at: `speed FILE [--names]`. Prints MB/s of processor time, for the file and for its first 4 KiB.
use hermetic_guard::{Detectors, View, Writing, built_in, names};
use std::hint::black_box;

#[expect(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used, reason = "a measurement")]
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let text = std::fs::read(path).unwrap();
    let begin = std::time::Instant::now();
    let named = std::env::args().any(|argument| argument == "--names");
    let rules = if named { [built_in(), names()].concat() } else { built_in() };
    let detectors = Detectors::new(rules).unwrap();
    let mut scratch = detectors.scratch();
    println!("start {:?}", begin.elapsed());
    for piece in [&text[..], &text[..text.len().min(4096)]] {
        let (mut rounds, begin) = (0u32, std::time::Instant::now());
        let mut found = 0;
        let on_processor = ran();
        while begin.elapsed().as_millis() < 1500 {
            let view = View::of(Writing::Json, piece);
            found = black_box(detectors.find(&mut scratch, view.seen())).len();
            rounds += 1;
        }
        let each = (ran() - on_processor) / rounds;
        println!(
            "{} bytes: {each:?}, {:.0} MB/s, {found} found",
            piece.len(),
            piece.len() as f64 / each.as_secs_f64() / 1e6
        );
    }
}

/// Time on a processor so far, of a process with one thread.
#[expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a measurement")]
fn ran() -> std::time::Duration {
    let line = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    std::time::Duration::from_nanos(line.split(' ').next().unwrap().parse().unwrap())
}
