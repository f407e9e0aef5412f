"""Builds the release binary and says how far it is, with an estimate of the time left.

The estimate weighs each crate: most take about a second, a few (native code, the policy engine) take minutes. The
weights are CPU seconds of one measured build; only their ratio matters. Nothing is shown before a twentieth is done.
"""

import json
import subprocess
import sys
import time

WEIGHTS = {
    "llama-cpp-sys-2": 420, "aws-lc-sys": 70, "libsqlite3-sys": 45, "cedar-policy-core": 60, "cedar-policy": 20,
    "tough": 15, "tokio": 15, "regex-automata": 12, "syn": 6, "hyper": 8, "rustix": 8, "clap_builder": 8,
    "hermetic": 15, "hermetic-gateway": 10, "serde_derive": 5, "bindgen": 15, "schemars_derive": 4,
}


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


def clock(seconds):
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def build():
    left = {name: weight(name) for name in names_to_build()}
    total, done, started = sum(left.values()), 0.0, time.monotonic()
    tty, shown = sys.stderr.isatty(), 0.0
    cargo = subprocess.Popen(
        ["cargo", "build", "--release", "--locked", "-p", "hermetic", "--message-format", "json-render-diagnostics", "-q"],
        stdout=subprocess.PIPE, text=True)
    for line in cargo.stdout:
        message = json.loads(line)
        if message.get("reason") not in ("compiler-artifact", "build-script-executed"):
            continue
        name = name_in(message["package_id"])
        kinds = message.get("target", {}).get("kind", [])
        if "custom-build" in kinds:
            continue  # the script is compiled; what it does is still to come
        if message["reason"] == "build-script-executed" and name not in WEIGHTS:
            continue
        worth = left.pop(name, 0.0)
        if message.get("fresh"):
            total -= worth
        else:
            done += worth
        now = time.monotonic()
        if done >= total / 20 and now - shown > (1 if tty else 30):
            spent = now - started
            rest = spent * (total - done) / done
            end = "\r" if tty else "\n"
            text = f"build         {100 * done / total:3.0f}%  {clock(spent)} so far, about {clock(rest)} left"
            print(f"{text:<78}", end=end, file=sys.stderr, flush=True)
            shown = now
    code = cargo.wait()
    if tty and shown:
        print(" " * 78, end="\r", file=sys.stderr)
    if code:
        sys.exit(f"build         failed; run `cargo build --release -p hermetic` to see why (exit {code})")
    print(f"build         target/release/hermetic, {clock(time.monotonic() - started)}")


if __name__ == "__main__":
    try:
        build()
    except KeyboardInterrupt:
        sys.exit("\nbuild         stopped; what is compiled is kept")
