//! `count TOKENIZER.json TEXT`: for each line of standard input, a number, counts the text that often and writes its tokens.
//! Whoever wrote the line takes the time (`scripts/bench_counting.py`).

use hermetic_tokenizer::{Cap, HuggingFaceFiles, Tokenizer};
use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead as _, Write as _, stdin, stdout};

#[expect(
    clippy::disallowed_methods,
    reason = "whoever measures chose the files; the crate itself knows no disk"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(tokenizer), Some(text)) = (arguments.next(), arguments.next()) else {
        return Err("expected a tokenizer.json and a text file".into());
    };
    let tokenizer = std::fs::read(tokenizer)?;
    let files = HuggingFaceFiles { tokenizer: &tokenizer, config: None, template: None };
    let tokenizer = Tokenizer::from_hugging_face(files)?;
    let text = std::fs::read_to_string(text)?;
    for line in stdin().lock().lines() {
        let rounds: u32 = line?.parse()?;
        let mut tokens = 0;
        for _ in 0..rounds {
            tokens = black_box(tokenizer.count_text_open(black_box(&text), Cap::none()));
        }
        let mut out = stdout().lock();
        writeln!(out, "{tokens}")?;
        out.flush()?;
    }
    Ok(())
}
