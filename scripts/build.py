"""Builds the release binary and says how far it is, with an estimate of the time left.

The estimate weighs each crate: most take about a second, a few take minutes. The weights are CPU seconds of one measured
build; only their ratio matters. Nothing is shown before a twentieth is done. The engine's native code is a fifth of all
and one step to cargo: its object files are counted.
"""

import json
import pathlib
import subprocess
import sys
import threading
import time

WEIGHTS = {
    "llama-cpp-sys-2": 370, "aws-lc-sys": 70, "hermetic-gateway": 60, "libsqlite3-sys": 45, "cedar-policy-core": 44,
    "minijinja": 32, "regex-automata": 32, "hermetic": 30, "rustls": 27, "hermetic-config": 23, "hermetic-ledger": 22,
    "hermetic-policy": 21, "tokio": 19, "hermetic-transfer": 19, "hermetic-worker": 17, "jiff": 17, "tough": 17,
    "regex-syntax": 16, "clap_builder": 14, "hermetic-identity": 12, "serde-saphyr": 12, "lalrpop": 12,
    "hermetic-tokenizer": 11, "hermetic-trust": 11, "hermetic-bundle": 10, "hermetic-ledger-store": 10, "bindgen": 15,
    "libmimalloc-sys": 10, "cedar-policy": 9, "rustix": 8, "syn": 6, "hyper": 8,
}

ENGINE = "llama-cpp-sys-2"
ENGINE_OBJECTS = 78


def weight(crate):
    return WEIGHTS.get(crate, 1.5)


def name_in(package_id):
    """`…/folder#name@1.0`, or `…/name#1.0` where the folder is called like the package."""
    folder, _, rest = package_id.rsplit("/", 1)[-1].partition("#")
    return rest.split("@")[0] if "@" in rest else folder


def names_to_build():
    """Names of the crates in the tree, once each."""
    tree = subprocess.run(
        ["cargo", "tree", "--locked", "-p", "hermetic", "-e", "normal,build", "--prefix", "none", "-f", "{lib}|{p}"],
        capture_output=True, text=True, check=True).stdout
    return {line.split("|", 1)[1].split(" ")[0] for line in tree.splitlines() if "|" in line}


def engine_objects():
    return sum(1 for _ in pathlib.Path("target/release/build").glob(f"{ENGINE}-*/out/build/**/*.o"))


def clock(seconds):
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


class Progress:
    """What is done, by weight, and the line that says so: redrawn every second, so that minutes of native code do not
    look like a hang. Between two finished crates the estimate counts down, but never below what is certainly left."""

    def __init__(self):
        self.left = {name: weight(name) for name in names_to_build()}
        self.total, self.done = sum(self.left.values()), 0.0
        self.started = self.moved = time.monotonic()
        self.lock = threading.Lock()
        self.tty, self.shown, self.engine = sys.stderr.isatty(), 0.0, 0.0

    def take(self, message):
        if message.get("reason") not in ("compiler-artifact", "build-script-executed"):
            return
        name = name_in(message["package_id"])
        if "custom-build" in message.get("target", {}).get("kind", []):
            return  # the script is compiled; what it does is still to come
        if message["reason"] == "build-script-executed" and name not in WEIGHTS:
            return
        worth = self.left.pop(name, 0.0)
        if name == ENGINE:
            worth, self.engine = worth - self.engine, 0.0
        if message.get("fresh"):
            self.total -= worth
        else:
            self.done += worth
            self.moved = time.monotonic()

    def look_at_engine(self):
        """Takes what is compiled of the native code, but for its last step."""
        worth = self.left.get(ENGINE, 0.0)
        part = worth * min(engine_objects() / ENGINE_OBJECTS, 0.98) if worth else 0.0
        if part > self.engine:
            self.done += part - self.engine
            self.engine, self.moved = part, time.monotonic()

    def draw(self):
        self.look_at_engine()
        now = time.monotonic()
        if self.done < self.total / 20 or now - self.shown < (1 if self.tty else 30):
            return
        rest = (self.moved - self.started) * (self.total - self.done) / self.done
        rest = max(rest - (now - self.moved), rest / 4, 0)
        text = f"build         {100 * self.done / self.total:3.0f}%  {clock(now - self.started)} so far, about {clock(rest)} left"
        print(f"{text:<78}", end="\r" if self.tty else "\n", file=sys.stderr, flush=True)
        self.shown = now

    def clear(self):
        if self.tty and self.shown:
            print(" " * 78, end="\r", file=sys.stderr)


def build():
    progress = Progress()
    cargo = subprocess.Popen(
        ["cargo", "build", "--release", "--locked", "-p", "hermetic", "--message-format", "json-render-diagnostics", "-q"],
        stdout=subprocess.PIPE, text=True)

    def read():
        for line in cargo.stdout:
            with progress.lock:
                progress.take(json.loads(line))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    while reader.is_alive():
        reader.join(timeout=1)
        with progress.lock:
            progress.draw()
    code = cargo.wait()
    progress.clear()
    if code:
        sys.exit(f"build         failed; run `cargo build --release -p hermetic` to see why (exit {code})")
    print(f"build         target/release/hermetic, {clock(time.monotonic() - progress.started)}")


if __name__ == "__main__":
    try:
        build()
    except KeyboardInterrupt:
        sys.exit("\nbuild         stopped; what is compiled is kept")
