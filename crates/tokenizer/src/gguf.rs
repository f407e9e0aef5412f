//! A tokenizer from a GGUF header. What llama.cpp decides by the header is decided the same way here.

use crate::bpe::Bpe;
use crate::error::TokenizerError;
use crate::reader::Reader;
use crate::special::{Kind, Specials};
use crate::split::{Pattern, Split};
use crate::template::ChatTemplate;
use crate::tokenizer::{Model, Tokenizer};
use crate::word_piece::{Folding, WordPiece};
use hermetic_gguf::{Array, Header, Value};

/// Marks the beginning of a word in WordPiece vocabularies written as GGUF.
const WORD: char = '▁';

/// `tokenizer.ggml.token_type`, as llama.cpp numbers it.
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;

/// Texts that are control tokens whatever their type says, as in llama.cpp (`llama_vocab::impl::load`).
const CONTROL_LOOKING: [&str; 57] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
    "<|fim_prefix|>",
    "<fim-prefix>",
    "<fim_prefix>",
    "<｜fim▁begin｜>",
    "<PRE>",
    "▁<PRE>",
    "<|code_prefix|>",
    "<|prefix|>",
    "<|fim_suffix|>",
    "<fim-suffix>",
    "<fim_suffix>",
    "<｜fim▁hole｜>",
    "<SUF>",
    "▁<SUF>",
    "<|code_suffix|>",
    "<|suffix|>",
    "<|fim_middle|>",
    "<fim-middle>",
    "<fim_middle>",
    "<｜fim▁end｜>",
    "<MID>",
    "▁<MID>",
    "<|code_middle|>",
    "<|middle|>",
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "[PAD]",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
];

/// Texts that any text may spell, whatever their type says.
const ADDED_LOOKING: [&str; 4] = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

impl Tokenizer {
    /// Reads vocabulary, merges, special tokens and chat template.
    pub fn from_gguf(header: &Header) -> Result<Self, TokenizerError> {
        let tokens = texts(header, "tokenizer.ggml.tokens")?;
        let specials = Specials::new(specials(header, tokens)?.into_iter())?;
        let family = header.text("tokenizer.ggml.model").unwrap_or_default();
        let (model, edges) = match family {
            "gpt2" => byte_level(header, tokens)?,
            "bert" => (word_piece(header, tokens), 2),
            found => {
                return Err(TokenizerError::Unsupported {
                    what: "a vocabulary of kind",
                    found: found.to_owned(),
                });
            }
        };
        let template = template(header, tokens)?;
        let composed_specials = Specials::none();
        Ok(Self { model, specials, composed_specials, edges, chat_edges: true, composes: false, template })
    }
}

fn texts<'h>(header: &'h Header, key: &'static str) -> Result<&'h [String], TokenizerError> {
    match header.metadata.get(key) {
        Some(Value::Array(Array::String(texts))) => Ok(texts),
        Some(_) => Err(TokenizerError::Malformed { key, expected: "a list of texts" }),
        None => Err(TokenizerError::Missing { key }),
    }
}

/// Tokens that are found before anything is cut.
fn specials<'h>(header: &'h Header, tokens: &'h [String]) -> Result<Vec<(&'h str, Kind)>, TokenizerError> {
    const KEY: &str = "tokenizer.ggml.token_type";
    let types: &[i32] = match header.metadata.get(KEY) {
        Some(Value::Array(Array::I32(types))) if types.len() >= tokens.len() => types,
        Some(_) => {
            return Err(TokenizerError::Malformed { key: KEY, expected: "one whole number for each token" });
        }
        None => &[],
    };
    let kind = |(index, token): (usize, &'h String)| {
        let token = token.as_str();
        let kind = match types.get(index) {
            _ if ADDED_LOOKING.contains(&token) => Kind::Added,
            _ if CONTROL_LOOKING.contains(&token) => Kind::Control,
            Some(&CONTROL) => Kind::Control,
            Some(&UNKNOWN) => Kind::Unknown,
            Some(&USER_DEFINED) => Kind::Added,
            _ => return None,
        };
        Some((token, kind))
    };
    Ok(tokens.iter().enumerate().filter_map(kind).collect())
}

fn flag(header: &Header, key: &str) -> Option<bool> {
    header.metadata.get(key)?.as_bool()
}

fn byte_level(header: &Header, tokens: &[String]) -> Result<(Model, u64), TokenizerError> {
    let name = header.text("tokenizer.ggml.pre").unwrap_or_default();
    let Some(cutting) = Cutting::named(name) else {
        return Err(TokenizerError::Unsupported { what: "the pre-tokenizer", found: name.to_owned() });
    };
    let merges: Vec<(&str, &str)> =
        texts(header, "tokenizer.ggml.merges")?.iter().map(|merge| halves(merge)).collect();
    let bpe = Bpe::new(tokens, &merges, cutting.whole_first)?;
    let begins = flag(header, "tokenizer.ggml.add_bos_token").unwrap_or(cutting.begins);
    let ends = flag(header, "tokenizer.ggml.add_eos_token").unwrap_or(false);
    let split = Split { pattern: cutting.pattern, reader: Reader::LlamaCpp };
    Ok((Model::Bpe { bpe: Box::new(bpe), split }, u64::from(begins) + u64::from(ends)))
}

/// The space between two halves is never the first character: that would be the space itself, merged.
fn halves(merge: &str) -> (&str, &str) {
    let first = merge.chars().next().map_or(0, char::len_utf8);
    match merge.get(first..).and_then(|rest| rest.find(' ')) {
        Some(at) => {
            (merge.get(..first + at).unwrap_or_default(), merge.get(first + at + 1..).unwrap_or_default())
        }
        None => ("", ""),
    }
}

/// What the name of a pre-tokenizer stands for.
struct Cutting {
    pattern: Pattern,
    /// A word that is a token is that token, whatever the merges say.
    whole_first: bool,
    /// A text begins with the begin token unless the file says otherwise.
    begins: bool,
}

impl Cutting {
    fn named(name: &str) -> Option<Self> {
        let plain = |pattern| Some(Self { pattern, whole_first: false, begins: false });
        match name {
            "gpt-2" | "phi-2" | "jina-es" | "jina-de" | "gigachat" | "jina-v2-es" | "jina-v2-de"
            | "a.x-4.0" | "mellum" | "modern-bert" | "jina-v1-en" | "jina-v2-code" | "roberta-bpe"
            | "exaone4" | "mpt" | "olmo" | "jais" | "trillion" | "granite-docling" => plain(Pattern::Gpt2),
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" => {
                plain(Pattern::LoneDigits)
            }
            "qwen2" | "deepseek-r1-qwen" | "kormo" | "f2llmv2" | "stablelm2" | "hunyuan" | "megrez" => {
                plain(Pattern::Llama3 { digits: 1 })
            }
            "dbrx" | "smaug-bpe" => plain(Pattern::Llama3 { digits: 3 }),
            "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0"
            | "lfm2" | "jina-v5-nano" => {
                Some(Self { pattern: Pattern::Llama3 { digits: 3 }, whole_first: true, begins: true })
            }
            _ => None,
        }
    }
}

fn word_piece(header: &Header, tokens: &[String]) -> Model {
    let lowercase = flag(header, "tokenizer.ggml.normalizer.lowercase").unwrap_or(true);
    let strip_accents = flag(header, "tokenizer.ggml.normalizer.strip_accents").unwrap_or(lowercase);
    let first = tokens.iter().filter_map(|token| token.strip_prefix(WORD));
    // A text may hold the mark itself, so pieces that begin a word may also go on with one.
    let rest = tokens.iter().map(String::as_str);
    let folding = Folding { reader: Reader::LlamaCpp, lowercase, strip_accents };
    Model::WordPiece(WordPiece::new(first, rest, folding))
}

/// `None` when the model brings no template.
fn template(header: &Header, tokens: &[String]) -> Result<Option<ChatTemplate>, TokenizerError> {
    let Some(source) = header.text("tokenizer.chat_template") else { return Ok(None) };
    let named = |key: &str, otherwise: Option<usize>| {
        let id = header.number(key).and_then(|id| usize::try_from(id).ok()).filter(|id| *id < tokens.len());
        id.or(otherwise).and_then(|id| tokens.get(id)).cloned().unwrap_or_default()
    };
    // What llama.cpp takes for both in byte-level vocabularies that name neither.
    let otherwise = (header.text("tokenizer.ggml.model") == Some("gpt2")).then_some(11);
    let begin = named("tokenizer.ggml.bos_token_id", otherwise);
    let end = named("tokenizer.ggml.eos_token_id", otherwise);
    let control = specials(header, tokens)?.into_iter().filter(|(_, kind)| *kind == Kind::Control);
    let template = ChatTemplate::new(source, begin, end, control.map(|(text, _)| text.to_owned()));
    template.map(Some).map_err(TokenizerError::Template)
}
