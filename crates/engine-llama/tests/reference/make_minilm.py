"""Reference vectors of a sentence encoder, as sentence-transformers computes them. See README.md."""

import json
import sys

from sentence_transformers import SentenceTransformer

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "A fast auburn fox leapt above a sleepy hound.",
    "What is the capital of France?",
    "Paris is the capital and most populous city of France.",
    "a",
    ".",
    "   leading and trailing white space   ",
    "tabs\tand\nnew lines\r\nand more",
    "Größe, Äpfel und Öl: Straßenbahn",
    "naïve café résumé coöperate",
    "日本語の文章です。漢字とかな。",
    "Это предложение на русском языке.",
    "مرحبا بالعالم",
    "emoji 😀🎉 and symbols ∑∂√ → ©",
    "def add(a, b):\n    return a + b  # Python code",
    "SELECT name FROM users WHERE id = 42 AND active = TRUE;",
    "unbelievably antidisestablishmentarianism floccinaucinihilipilification",
    "1,234.56 USD on 2026-11-23 at 14:05 UTC, ref #A-99/b",
    "repeat " * 200,
    "This sentence is written again and again so that it passes the window of the model. " * 30,
    "user@example.com wrote: \"please reset my password\"; IP 10.0.0.1",
]

model = SentenceTransformer(sys.argv[1], device="cpu")
vectors = model.encode(TEXTS, normalize_embeddings=True)
rows = [{"text": t, "vector": [round(float(x), 7) for x in v]} for t, v in zip(TEXTS, vectors)]
json.dump({"max_seq_length": model.max_seq_length, "rows": rows}, sys.stdout, ensure_ascii=False, indent=0)
