"""What counting the tokens of a prompt costs, beside Hugging Face's `tokenizers` in the same run, into
bench/results/counting.json.

    pip install tokenizers
    make bench-counting VOCABULARIES="NAME=TOKENIZER.json …"

Both count the same texts on one core, in turns; the best of some turns counts, for whatever else runs makes one longer and
never shorter. The library is called in the way of it that works out least (`encode_batch_fast`: no offsets). It makes
tokens, where we only count; it also remembers words, which favours it in a text that is counted again and again.
"""

import datetime
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import time

# Before the library is loaded: one thread, as ours.
os.environ.update(TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1")

import tokenizers

ROOT = pathlib.Path(__file__).resolve().parent.parent
COUNT = ROOT / "target/release/examples/count"
OUT = ROOT / "bench/results/counting.json"
SIZES = (1, 32)
TURNS = 9
TURN_SECONDS = 0.03

# The first article of the Universal Declaration of Human Rights.
CJK = (
    "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。"
    "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを授けられており、"
    "互いに同胞の精神をもって行動しなければならない。"
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 "
    "정신으로 행동하여야 한다.\n")


def texts():
    def joined(pattern):
        return "".join(path.read_text() for path in sorted(ROOT.glob(pattern)))

    longest = max(SIZES) * 1024
    whole = {"English": joined("docs/*.md"), "code": joined("crates/gateway/src/**/*.rs"), "CJK": CJK * 80}
    for name, text in whole.items():
        raw = text.encode()[:longest]
        for size in SIZES:
            yield name, size, raw[:size * 1024].decode(errors="ignore")


class Ours:
    def __init__(self, vocabulary, text):
        self.text = tempfile.NamedTemporaryFile("w", suffix=".txt")
        self.text.write(text)
        self.text.flush()
        self.process = subprocess.Popen([COUNT, vocabulary, self.text.name], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.count(1)

    def count(self, rounds):
        self.process.stdin.write(f"{rounds}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Library:
    def __init__(self, vocabulary, text):
        self.tokenizer, self.text = tokenizers.Tokenizer.from_file(vocabulary), [text]
        self.count(1)

    def count(self, rounds):
        for _ in range(rounds):
            made = self.tokenizer.encode_batch_fast(self.text)
        return len(made[0].ids)

    def close(self):
        pass


def seconds(system, rounds):
    begin = time.perf_counter()
    system.count(rounds)
    return (time.perf_counter() - begin) / rounds


def measure(vocabulary, text):
    """Seconds a count takes: ours, the library's."""
    systems = [Ours(vocabulary, text), Library(vocabulary, text)]
    assert systems[0].count(1) == systems[1].count(1), "the counts differ"
    rounds = [max(1, int(TURN_SECONDS / seconds(system, 3))) for system in systems]
    turns = [[seconds(*each) for each in zip(systems, rounds)] for _ in range(TURNS)]
    for system in systems:
        system.close()
    return [min(column) for column in zip(*turns)]


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"cpu": cpu.group(1) if cpu else "unknown", "cores": os.cpu_count(), "kernel": platform.release()}


def main():
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows, ratios = [], {}
    for argument in sys.argv[1:]:
        name, vocabulary = argument.split("=", 1)
        for text_name, size, text in texts():
            case = f"{name}, {text_name}, {size} KiB"
            ours, library = measure(vocabulary, text)
            ratios[case] = float(f"{library / ours:.3g}")
            for system, took in (("hermetic", ours), ("tokenizers", library)):
                value = float(f"{took * 1e6 * 1024 / len(text.encode()):.3g}")
                rows.append({"system": system, "case": case, "metric": "a KiB", "value": value, "unit": "µs"})
            print(f"{case:<28} {rows[-2]['value']:>8} µs/KiB, tokenizers {rows[-1]['value']:>8}, {ratios[case]:>6} times")
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    versions = {"hermetic": "0.1.0", "tokenizers": tokenizers.__version__}
    result = {"name": "counting", "date": date, "machine": machine(), "versions": versions, "rows": rows, "ratios": ratios}
    OUT.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
