"""Makes the files beside it: small vocabularies, texts, and what Hugging Face's `tokenizers` makes of them.

    pip install tokenizers==0.23.3
    python make.py

The steps of each vocabulary (normalizer, pre-tokenizer, post-processor) are those that GPT-2, SmolLM, Llama 3, Qwen 2 and
BERT declare in their own files; what is trained is only which pairs merge. The texts are made up from a fixed seed.
"""

import json
import pathlib
import random
import sys
import unicodedata

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[3]
SEED = 20
TEXTS = 2500
VOCABULARY = 1200

WORDS = [
    "The", " quick", "brown ", "it's", " WE'LL", "'re", "'S", "'ſ", "'ſt", "'Ve", "'lL", "'D", "’s", "'", "''", "don’t",
    "straße", " über", "naïve", "ﬁne", "İI", "K", "Å", "ẞ", "日本語", "中文。", "русский", " слово", "ελληνικά", "עִבְרִית",
    "العَرَبِيَّة", "हिन्दी", "क्षि", "ภาษาไทย", "한국어", "한국", "ქართული", "አማርኛ", "Ⅷ", "²", "½", "①", "〇", "٣٤", "१२३४", "𝟘𝟙𝟚",
    "🙂", "👩‍👩‍👧", "👩🏽‍🚀", "🇩🇪", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "❤️", "1️⃣", "e\u0301", "ë\u0323", "q\u0307\u0323", "\u0301", "\u200b",
    "\u200d", "\ufeff", "\u00ad", "\u2060", "\u00a0", "\u3000", "\u2009", "\u202f", "\u1680", "\u180e", "\u2028", "\u2029",
    "\u0085", "\u000b", "\u000c", "\u001c", "\u001f", "\u0000", "\u0007", "\u001b[31m", "\u007f", "\u009f", "\ufffd",
    "\ue000", "\U000f0000", "\uffff", "\U0010ffff", "\u0378", "\u166d", "\u1734", "\u1885", "\U000113c2\U000113c2",
    "\U00016d67", "\U00013909", "\U00011de0", "\u1dfb\u0323", "1234567", " 3.14", "1,000", "0x1F", "1e-9", "<|im_start|>",
    "<|im_end|>", "<|endoftext|>", "<|begin_of_text|>", "<|eot_id|>", "<|im_", "[CLS]", "[SEP]", "[UNK]", "[MASK]", "##ing",
    "▁", "Ġ", "Ċ", "<think>", "</think>", "<tool_call>", "<tool_call>\u0338", "<é>", "<e\u0301>", "<s>", "fn main() {",
    "\n    return x;\n", "}\n\n", "\t\t", '{"key": [1, 2.5e3, null]}', "https://a.example/?q=%20", "\\n", "\r\n", "\r\n\r\n",
    "\n\r", "\r", " \n", " \r\n \n", "  ", "          ", " \t ", "---", "====", "...", "!?", "€100", "x^2", "C++", "_a_b",
    "#!/bin/sh\n", "/* */", "»«", "—", "…", "¿", "、", "。", "!\n\n", "?\r\n", "'\n", "\u2028\n", "\u0085\n",
    "\u00a0\u00a0", "\u3000\u3000a", "\u00a0'll", "\u212a", "\u0345", "\u0f71\u0f72", "\u1100\u1161\u11a8", "\uac00\u11a8",
    "\u0958", "\u2126", "\ufb1d", "\U0002f800", "\U0001d15e",
]
SPACES = "".join(map(chr, [*range(9, 14), *range(28, 33), 0x85, 0xA0, 0x1680, 0x180E, *range(0x2000, 0x200C), 0x2028,
                           0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF]))
SCALARS = [*range(0xD800), *range(0xE000, 0x110000)]

BY_CATEGORY = {}
for scalar in SCALARS:
    BY_CATEGORY.setdefault(unicodedata.category(chr(scalar)), []).append(chr(scalar))
CATEGORIES = sorted(set(BY_CATEGORY) - {"Cn", "Co"})
DIGITS = BY_CATEGORY["Nd"] + BY_CATEGORY["Nl"] + BY_CATEGORY["No"]
ENDINGS = ["s", "S", "ſ", "t", "T", "re", "rE", "RE", "ve", "vE", "m", "M", "ll", "Ll", "lL", "d", "D", "l", "r", "v", "x"]


def part(r):
    """A piece of a text: a known hard case, or characters of one kind."""
    def some(characters, most):
        return "".join(r.choice(characters) for _ in range(r.randint(1, most)))

    return r.choices([
        lambda: r.choice(WORDS),
        lambda: some("abcdefghijklmnopqrstuvwxyzABCDEFSTLMRVDE", 12),
        lambda: some(SPACES, 6),
        lambda: some(" \n\r\t", 8),
        lambda: some(BY_CATEGORY[r.choice(CATEGORIES)], 5),
        lambda: some(BY_CATEGORY["Mn"], 4),
        lambda: some(DIGITS, 9),
        lambda: chr(r.choice(SCALARS)),
        lambda: "'" + r.choice(ENDINGS) + r.choice(["", " ", "s", "1"]),
        lambda: r.choice("ab𝒳日é") * r.randint(50, 200),
    ], [45, 10, 8, 6, 12, 4, 4, 4, 4, 0.3])[0]()


def texts():
    r = random.Random(SEED)
    return ["".join(part(r) for _ in range(r.choice([1, 2, 3, 5, 8, 12]))) for _ in range(TEXTS)]


CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def expression(digits):
    split = pre_tokenizers.Split(Regex(CONTRACTIONS + digits + REST), behavior="isolated", invert=False)
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def byte_level(pre_tokenizer, special, corpus):
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=alphabet, special_tokens=special, show_progress=False))
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    return made


def gpt2(corpus):
    made = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), [], corpus)
    made.add_special_tokens([AddedToken("<|endoftext|>", normalized=True)])
    return made


def smollm(corpus):
    steps = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    return byte_level(pre_tokenizers.Sequence(steps), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], corpus)


def llama3(corpus):
    made = byte_level(expression(r"\p{N}{1,3}"), ["<|begin_of_text|>", "<|eot_id|>"], corpus)
    begin = made.token_to_id("<|begin_of_text|>")
    made.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", begin)])
    # Words that are tokens although no merges lead there, as Llama 3 has.
    wire = json.loads(made.to_str())
    wire["model"]["ignore_merges"] = True
    for word in (" über", "naïve", "ქართული", "straße"):
        visible = made.pre_tokenizer.pre_tokenize_str(word)[0][0]
        wire["model"]["vocab"].setdefault(visible, len(wire["model"]["vocab"]))
    return Tokenizer.from_str(json.dumps(wire))


def qwen2(corpus):
    made = byte_level(expression(r"\p{N}"), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], corpus)
    made.normalizer = normalizers.NFC()
    made.add_tokens([AddedToken("<think>", normalized=False), AddedToken("<tool_call>", normalized=True),
                     AddedToken("<e\u0301>", normalized=True)])
    return made


def bert(corpus, lowercase=True):
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.train_from_iterator(corpus, trainers.WordPieceTrainer(
        vocab_size=3 * VOCABULARY, limit_alphabet=1000, special_tokens=special, show_progress=False))
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, made.token_to_id(name)) for name in ("[CLS]", "[SEP]")])
    return made


def bert_cased(corpus):
    return bert(corpus, lowercase=False)


def runs(values):
    """The places where a value begins, with the value; places are Unicode scalars."""
    found, last = [], None
    for place, value in values:
        if value != last:
            found.append([place, value])
        last = value
    return found


def counts(made, some):
    made.encode_special_tokens = False
    spelled = [len(made.encode(text).ids) for text in some]
    made.encode_special_tokens = True
    plain = [len(made.encode(text).ids) for text in some]
    return {"special_tokens_spelled": spelled, "special_tokens_as_text": plain}


def lengths(made, text):
    return " ".join(str(end - begin) for _, (begin, end) in made.pre_tokenizer.pre_tokenize_str(text))


def write(name, value):
    (HERE / name).write_text(json.dumps(value, separators=(",", ":")) + "\n")


def main():
    corpus = [path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))]
    made_up = texts()
    counted = {"version": tokenizers.__version__, "texts": made_up, "counts": {}, "characters": {}}
    words = {"texts": {}, "characters": {}}
    for family in (gpt2, smollm, llama3, qwen2, bert, bert_cased):
        name = family.__name__
        print(name, file=sys.stderr)
        made = family(corpus + made_up)
        write(f"{name}.json", json.loads(made.to_str()))
        counted["counts"][name] = counts(made, made_up)
        if family in (bert, bert_cased):
            alone = ((c, len(made.encode(f"b{chr(c)}b").ids)) for c in SCALARS)
            counted["characters"][name] = runs(alone)
        else:
            words["texts"][name] = [lengths(made, text) for text in made_up]
            alone = ((c, lengths(made, f"b{chr(c)}b {chr(c)}1{chr(c)} '{chr(c)}x")) for c in SCALARS)
            words["characters"][name] = runs(alone)
    write("counts.json", counted)
    write("words.json", words)


if __name__ == "__main__":
    main()
