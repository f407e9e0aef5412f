"""What each stage of a request costs the gateway, in instructions, into bench/results/stages.json.

    make bench-stages

The gateway runs under callgrind while eight connections ask, once plain and once governed. Time on a shared machine says little
about a stage of a few microseconds; instructions are the same in every run. The inner loops of SHA-256 are not counted:
the processor has instructions of its own for them, which valgrind does not know and would replace by thousands. What the
kernel does is not counted either.
"""

import contextlib
import json
import os
import pathlib
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
HERMETIC, BENCH = ROOT / "target/dist/hermetic", ROOT / "target/dist/hermetic-bench"
OUT = ROOT / "bench/results/stages.json"

# Inclusive cost of these functions, in the order of the pipeline. A stage that the compiler merged into its caller has no
# function of its own and is part of "the rest of the pipeline".
STAGES = [
    ("accept", "hermetic_gateway::stage::accept::accept"),
    ("identify", "hermetic_gateway::stage::identify::identify_headers::{{closure}}"),
    ("read: collect the body", "hermetic_gateway::collect::collect::{{closure}}"),
    ("read: its facts", "hermetic_gateway::stage::read::understand"),
    ("authorize", "hermetic_policy::authorizer::Authorizer::decide"),
    ("route", "hermetic_gateway::stage::route::route"),
    ("count", "hermetic_gateway::stage::count::count::{{closure}}"),
    ("limit", "hermetic_limits::limits::Limits::reserve"),
    ("admit, with its record", "hermetic_gateway::stage::admit::admit"),
    ("call the engine", "hermetic_gateway::stage::attempts::attempt::{{closure}}"),
    ("settle, with its record", "hermetic_gateway::stage::settle::settle::{{closure}}"),
    ("reply", "hermetic_gateway::respond::whole"),
]
# The compiler puts the pipeline itself into what handles a request.
PIPELINE = "hermetic_gateway::server::handle::{{closure}}"
# The boxed task of the exchange: the compiler merges it into the poll of its box.
EXCHANGE = "<core::pin::Pin<P> as core::future::future::Future>::poll"
LEDGER = [("ledger: write", "hermetic_ledger_store::writer::Writer::run"),
          ("ledger: publish", "hermetic_ledger_store::publisher::Publisher::run")]
NOT_COUNTED = ["sha2::sha256::soft::unroll::compress*", "*sha256_block_data_order_*"]

CONFIG = """state_dir: state
gateway: {{listen: "127.0.0.1:{port}", threads: 1}}
policy: {{dir: policy}}
ledger: {{origin: bench.example/ledger, durability: {durability}}}
log: {{level: error}}
models:
  - {{name: bench, endpoint: "http://127.0.0.1:{engine}/v1"{price}}}
{limits}"""
LIMITS = """limits:
  - {name: requests-at-once, per: [project], limit: 100000, unit: concurrent}
  - {name: requests-a-minute, per: [subject], limit: 1000000000, unit: requests, window: minute/sliding}
  - {name: tokens-a-month, when: {models: [bench]}, limit: 100000000000000, unit: tokens, window: month}
  - {name: budget-a-month, per: [project], limit: 1000000000, unit: money, currency: EUR, window: month}
"""
POLICY = """@id("bench-may-chat")
permit (principal in Project::"bench", action == Action::"chat.completions", resource) when { resource.kind == "chat" };
"""
SECONDS, WARM_UP = 12, 4


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def running(command, **how):
    process = subprocess.Popen(command, **how)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(port, process):
    for _ in range(600):
        if process.poll() is not None:
            sys.exit("bench-stages  the gateway ended; see its messages above")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit("bench-stages  the gateway is not ready after a minute")


def load(port, key, seconds):
    command = [BENCH, "load", "--port", str(port), "--key", key, "--connections", "8", "--warm-up", "0", "--seconds", str(seconds)]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    if report["failures"]:
        sys.exit(f"bench-stages  requests failed: {report['failures']}")
    return report["requests"]


def measure(governed, engine, place):
    port = free_port()
    (place / "policy").mkdir(parents=True)
    (place / "policy/bench.cedar").write_text(POLICY)
    config = place / "hermetic.yaml"
    config.write_text(CONFIG.format(
        port=port, engine=engine, durability="strict" if governed else "relaxed",
        price=", price: {input: 0.15, output: 0.60}" if governed else "", limits=LIMITS if governed else ""))
    made = subprocess.run(
        [HERMETIC, "--config", config, "--json", "api-key", "create", "--subject", "load", "--project", "bench",
         "--team", "bench", "--workflow", "bench"], capture_output=True, text=True, check=True)
    key = json.loads(made.stdout)["key"]
    profile = place / "callgrind.out"
    valgrind = ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={profile}"]
    valgrind += [f"--toggle-collect={name}" for name in NOT_COUNTED] + ["--collect-atstart=yes"]
    with running([*valgrind, HERMETIC, "--config", config, "serve"], stdout=subprocess.DEVNULL) as gateway:
        wait_until_ready(port, gateway)
        load(port, key, WARM_UP)
        subprocess.run(["callgrind_control", "-i", "on", str(gateway.pid)], capture_output=True, check=True)
        requests = load(port, key, SECONDS)
        subprocess.run(["callgrind_control", "-i", "off", str(gateway.pid)], capture_output=True, check=True)
    return costs(profile, requests)


def costs(profile, requests):
    text = subprocess.run(
        ["callgrind_annotate", "--inclusive=yes", "--threshold=100", profile], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s*([0-9,]+) \([^)]*\)\s+\S*?:(.*)", line)
        if match:
            name = re.sub(r" \[[^\]]*\]$", "", match.group(2))
            found[name] = found.get(name, 0) + int(match.group(1).replace(",", "")) / requests
        elif "PROGRAM TOTALS" in line:
            found["all"] = int(line.split()[0].replace(",", "")) / requests
    stages = {name: found[function] for name, function in STAGES if function in found}
    pipeline = found[PIPELINE] + found[EXCHANGE]
    stages["the rest of the pipeline"] = pipeline - sum(stages.values())
    stages.update({name: found.get(function, 0) for name, function in LEDGER})
    stages["HTTP, tasks, timers, sockets"] = found["all"] - sum(stages.values())
    stages["all"] = found["all"]
    return {name: round(cost) for name, cost in stages.items()}


def main():
    if not shutil.which("valgrind"):
        sys.exit("bench-stages  valgrind is missing (Debian: valgrind)")
    subprocess.run(["cargo", "build", "--profile", "dist", "--locked", "-p", "hermetic", "-p", "hermetic-bench"], cwd=ROOT, check=True)
    result = {}
    with tempfile.TemporaryDirectory() as place, running(
            [BENCH, "mock-engine", "--tokens", "57"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as engine:
        port = int(engine.stdout.readline().strip().rsplit(":", 1)[-1])
        for name, governed in (("plain", False), ("governed", True)):
            result[name] = measure(governed, port, pathlib.Path(place) / name)
    versions = {"valgrind": subprocess.run(["valgrind", "--version"], capture_output=True, text=True).stdout.strip(),
                "hermetic": subprocess.run([HERMETIC, "--version"], capture_output=True, text=True).stdout.strip()}
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    OUT.write_text(json.dumps({"date": date, "machine": platform.machine(), "versions": versions, "unit": "instructions a request",
                               "stages": result}, indent=2) + "\n")
    for name, cost in result["governed"].items():
        print(f"{name:<30}{result['plain'].get(name, 0):>10}{cost:>10}")
    print(f"written: {os.path.relpath(OUT)}")


if __name__ == "__main__":
    main()
