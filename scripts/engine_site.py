"""Engines that are servers, each behind a gateway of its own: llama.cpp's and vLLM, with the models of the demo.

What is here starts and stops processes and writes a configuration; what is asked of them is in engine_checks.py.
"""

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.request
from typing import NamedTuple

from demo_site import CHAT, EMBED, HOME, Enclave, Failed, hermetic, say

READY_SECONDS = 1200
CONTEXT_TOKENS = 2048

POLICY = '@id("all-may-infer") permit (principal, action in Action::"infer", resource);\n'

# `watched` and `breaks` are virtual models: targets are probed, a model with one source is not. The limit bounds nobody; what a
# request is charged stands in its record, also when the engine never said what it used.
CONFIG = """tier: air-gapped
state_dir: state
gateway: {{ listen: "127.0.0.1:{port}", drain_grace: 10s }}
policy: {{ dir: policy }}
ledger: {{ origin: engines.hermetic.example/ledger }}
limits:
  - {{ name: answers, limit: 1000000000, unit: output-tokens, window: day }}
models:
  - name: {chat}
    endpoint: "{chat_url}"
    upstream_model: {chat_name}
    tokenize: engine
    context_tokens: {context}
  - {{ name: watched, targets: [{{ model: {chat} }}] }}
  - {{ name: {embed}, kind: embedding, endpoint: "{embed_url}", upstream_model: {embed_name} }}
  - name: breaks
    targets:
      - {{ endpoint: "{broken_url}", upstream_model: {chat_name}, continues: true }}
      - {{ endpoint: "{chat_url}", upstream_model: {chat_name}, continues: true, tier: 1 }}
"""


class Server(NamedTuple):
    engine: str
    version: str
    chat_url: str
    chat_name: str
    embed_url: str
    embed_name: str


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def reachable(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextlib.contextmanager
def process(name, words, folder, url, env=None):
    """A server, from the moment it says that it is ready."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        child = subprocess.Popen([str(word) for word in words], stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                                 env={**os.environ, **(env or {})}, start_new_session=True)
    try:
        until = time.monotonic() + READY_SECONDS
        while not reachable(url):
            if child.poll() is not None or time.monotonic() > until:
                raise Failed(f"{name} is not ready:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.2)
        yield child
    finally:
        stop(child)


def stop(child):
    """Ends a server and what it started: it leads a session of its own."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, 9)
            child.wait()


class Front(Enclave):
    """A gateway whose models are served elsewhere; nothing is imported."""

    def __init__(self, folder, server, broken_url):
        super().__init__(folder, free_port())
        self.server, self.broken_url = server, broken_url

    def configure(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "policy").mkdir(exist_ok=True)
        (self.folder / "policy" / "10-all.cedar").write_text(POLICY)
        server = self.server._asdict()
        self.config.write_text(CONFIG.format(port=self.port, chat=CHAT, embed=EMBED, context=CONTEXT_TOKENS,
                                             broken_url=self.broken_url, **server))
        hermetic("config", "check", self.config)

    def events(self, kind):
        """Records of one kind, oldest first."""
        text, decoder, found = self.hermetic("--json", "audit", "tail", "--limit", "100000").stdout, json.JSONDecoder(), []
        while text := text.lstrip():
            record, end = decoder.raw_decode(text)
            text = text[end:]
            event = record["record"]["event"]
            if event["kind"] == kind:
                found.append(event)
        return found


@contextlib.contextmanager
def serving(enclave):
    with (enclave.folder / "serve.log").open("wb") as log:
        child = enclave.serve(stdout=log, stderr=log, start_new_session=True)
    try:
        enclave.wait_until_ready(child)
        say("serve", enclave.base_url)
        yield
    finally:
        stop(child)


# -- llama.cpp --------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def llama_cpp(binary, version, chat_weights, embed_weights, folder):
    """Two of llama.cpp's servers, one a model, with their load metrics on."""
    chat, embed = free_port(), free_port()
    common = ("--host", "127.0.0.1", "--metrics", "--threads", max(1, (os.cpu_count() or 2) - 1))
    asked = (binary, "--model", chat_weights, "--port", chat, "--ctx-size", 2 * CONTEXT_TOKENS, "--parallel", 2, "--jinja", *common)
    embeds = (binary, "--model", embed_weights, "--port", embed, "--embeddings", "--pooling", "mean", *common)
    with process("llama-chat", asked, folder, f"http://127.0.0.1:{chat}/health"), \
            process("llama-embed", embeds, folder, f"http://127.0.0.1:{embed}/health"):
        yield Server("llama.cpp's server", version, f"http://127.0.0.1:{chat}/v1", CHAT, f"http://127.0.0.1:{embed}/v1", EMBED)


# -- vLLM -------------------------------------------------------------------------------------------------------------

# Nothing is asked of the internet, and nothing told to it.
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "VLLM_NO_USAGE_STATS": "1",
           "DO_NOT_TRACK": "1", "VLLM_HOST_IP": "127.0.0.1", "VLLM_CPU_KVCACHE_SPACE": "1",
           # Its imports take minutes when they are compiled each time.
           "PYTHONDONTWRITEBYTECODE": ""}


@contextlib.contextmanager
def vllm(python, version, chat_folder, embed_folder, folder):
    """Two vLLM servers. As a module: the package for CPUs is called otherwise than its own command looks for."""
    chat, embed = free_port(), free_port()
    common = ("--host", "127.0.0.1", "--enforce-eager", "--dtype", "bfloat16")
    serve = (python, "-m", "vllm.entrypoints.openai.api_server")
    asked = (*serve, "--model", chat_folder, "--served-model-name", CHAT, "--port", chat, "--max-model-len", CONTEXT_TOKENS,
             "--max-num-seqs", 4, "--enable-auto-tool-choice", "--tool-call-parser", "hermes", *common)
    embeds = (*serve, "--model", embed_folder, "--served-model-name", EMBED, "--port", embed, "--runner", "pooling", *common)
    with process("vllm-chat", asked, folder, f"http://127.0.0.1:{chat}/health", OFFLINE), \
            process("vllm-embed", embeds, folder, f"http://127.0.0.1:{embed}/health", OFFLINE):
        yield Server("vLLM", version, f"http://127.0.0.1:{chat}/v1", CHAT, f"http://127.0.0.1:{embed}/v1", EMBED)
