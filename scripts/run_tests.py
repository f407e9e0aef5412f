#!/usr/bin/env python3
"""Builds the tests once and runs their binaries two at a time: most of what they do is wait for disks and sockets.

    run_tests.py [-- ARGUMENTS OF EVERY BINARY]

What each says is printed when it ends, whole, so that two never mix. Ends with 1 when a binary failed, and names it.
"""
import json
import os
import pathlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

ROOT = pathlib.Path(__file__).resolve().parent.parent
CARGO = ["cargo", "test", "--release", "--locked", "--workspace", "--lib", "--bins", "--tests"]
# Two test binaries beside each other keep two cores busy; more would make them wait for one another.
AT_ONCE = 2


def build() -> list[tuple[str, pathlib.Path, pathlib.Path]]:
    """Name, program and folder of each test binary, those first that took longest when last looked at."""
    command = [*CARGO, "--no-run", "--message-format=json-render-diagnostics"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as cargo:
        messages = [json.loads(line) for line in cargo.stdout if line.startswith("{")]
    if cargo.returncode != 0:
        sys.exit(cargo.returncode)
    found = []
    for message in messages:
        if message.get("reason") == "compiler-artifact" and message.get("executable") and message["profile"]["test"]:
            folder = pathlib.Path(message["manifest_path"]).parent
            found.append((f"{folder.name} {message['target']['name']}", pathlib.Path(message["executable"]), folder))
    slow = ["engine-llama", "hermetic", "gateway", "worker", "transfer", "policy", "ledger-store", "guard"]
    by_length = {name: place for place, name in enumerate(slow)}
    key = lambda test: (not test[0].endswith(" it"), by_length.get(test[2].name, len(slow)), test[0])
    return sorted(found, key=key)


def run(test: tuple[str, pathlib.Path, pathlib.Path], arguments: list[str]) -> tuple[str, int, str, float]:
    name, program, folder = test
    begun = time.monotonic()
    done = subprocess.run(
        [str(program), *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env={**os.environ, "CARGO_MANIFEST_DIR": str(folder)},
    )
    return name, done.returncode, done.stdout, time.monotonic() - begun


def main() -> int:
    arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    tests = build()
    failed = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for ended in as_completed([pool.submit(run, test, arguments) for test in tests]):
            name, code, said, took = ended.result()
            print(f"\n== {name} ({took:.1f} s)\n{said}", end="", flush=True)
            if code != 0:
                failed.append(name)
    print(f"\n{len(tests)} test binaries, {len(failed)} failed" + "".join(f"\n  {name}" for name in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
