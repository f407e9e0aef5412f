"""Unmodified clients against a running Hermetic, feature by feature, and the committed table of what they did.

`checked` runs clients and holds every cell against reports/sdks.json; `written` puts better and new cells into it, never
worse ones, and renders docs/sdks.md from it.
"""

import json
import os
import shutil
import subprocess
import sys

from demo_site import CHAT, EMBED, HOME, ROOT, Failed, pip_with_venv, run, say

SDK = ROOT / "tests" / "sdk"
REPORT = ROOT / "reports" / "sdks.json"
FRAMEWORKS = HOME / "frameworks"
EMBEDDED = "the embedded engine"
# From worst to best: a cell may only move to the right.
RANKS = ("fails", "not done", "refused", "not offered", "works")
# So that a hanging client is a failed one.
CLIENT_SECONDS = 1200


# Everything else is installed with it: it takes a twentieth of pip's time.
UV = "uv==0.13.8"


def python(name, venv=HOME / "venv"):
    return (venv / "bin" / "python", SDK / "python" / name)


# `langchain` and its like bring an older `openai`, so they live apart.
ALL = [
    *(python(name) for name in ("curl_client.py", "openai_client.py", "openai_responses.py", "anthropic_client.py")),
    *(("node", SDK / "node" / name) for name in ("openai.mjs", "anthropic.mjs", "vercel.mjs")),
    *(python(name, FRAMEWORKS) for name in ("langchain_clients.py", "llamaindex_client.py", "litellm_client.py")),
]
# The SDKs of the two vendors alone, and the features for which an engine has to force the form of a call.
VENDORS = [*ALL[1:6]]
TOOLS = ("tools", "tools, streamed", "several tool calls", "responses, tools")


# -- installing -------------------------------------------------------------------------------------------------------

def uv():
    pip = pip_with_venv()
    if not pip.with_name("uv").exists():
        run(pip, "install", "--quiet", UV)
    return pip.with_name("uv")


def install():
    """The clients, installed while there still is a network. The enclave never sees them come."""
    if not (FRAMEWORKS / "bin" / "python").exists():
        run(uv(), "venv", "--quiet", FRAMEWORKS, "--python", sys.executable)
    for venv, names in ((HOME / "venv", "requirements.txt"), (FRAMEWORKS, "requirements-frameworks.txt")):
        run(uv(), "pip", "install", "--quiet", "--python", venv / "bin" / "python", "-r", SDK / "python" / names)
    say("sdk", "the Python SDKs of OpenAI and Anthropic, LangChain, LlamaIndex and LiteLLM installed")
    if shutil.which("npm"):
        run("npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", SDK / "node")
        say("sdk", "the Node SDKs of OpenAI, Anthropic and Vercel installed")


# -- running ----------------------------------------------------------------------------------------------------------

def rows_of(script, engine, env, features):
    """One row a feature, as the script printed them."""
    words = [*(str(word) for word in script), *features]
    try:
        done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **env}, timeout=CLIENT_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failed(f"{script[1].name}: no end within {CLIENT_SECONDS} seconds") from None
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"client"')]
    if done.returncode or not lines:
        raise Failed(f"{script[1].name} ended with {done.returncode}\n{done.stdout[-500:]}{done.stderr[-2000:]}")
    for line in lines:
        if line["result"] == "fails":
            say("sdk", f"{line['client']}, {line['feature']} on {engine}: {line['note']}")
        yield {"system": line["client"], "case": line["feature"], "metric": engine, "value": line["result"], "unit": "result",
               "version": line["version"], **({"note": line["note"]} if line["note"] else {})}


def ran(scripts, engine, base_url, key, features=()):
    """The rows of `scripts`, of all their features or of some."""
    env = {"BASE_URL": base_url, "API_KEY": key, "CHAT_MODEL": CHAT, "EMBED_MODEL": EMBED, "PYTHONDONTWRITEBYTECODE": "1"}
    rows = []
    for script in scripts:
        if script[0] == "node" and not shutil.which("node"):
            say("sdk", f"{script[1].name} is left out: Node.js is not installed here")
            continue
        found = list(rows_of(script, engine, env, features))
        rows += found
        works = sum(row["value"] == "works" for row in found)
        systems = ", ".join(dict.fromkeys(f"{row['system']} {row['version']}".strip() for row in found))
        say("sdk", f"{systems} on {engine}: {works} features work, {sum(row['value'] == 'refused' for row in found)} refused")
    return rows


# -- the table --------------------------------------------------------------------------------------------------------

def cell(row):
    return row["system"], row["case"], row["metric"]


def committed():
    return {cell(row): row for row in json.loads(REPORT.read_text())["rows"]} if REPORT.exists() else {}


def worse(rows):
    known = committed()
    return [f"{', '.join(cell(row))}: expected `{known[cell(row)]['value']}`, found `{row['value']}` {row.get('note', '')}"
            for row in rows if cell(row) in known and RANKS.index(row["value"]) < RANKS.index(known[cell(row)]["value"])]


def checked(rows):
    """Every cell is what the table says. For CI, which writes nothing."""
    known = committed()
    if regressed := worse(rows):
        raise Failed("cells of reports/sdks.json are worse:\n  " + "\n  ".join(regressed))
    changed = [", ".join(cell(row)) for row in rows if known.get(cell(row)) != row]
    if changed:
        raise Failed("cells differ from reports/sdks.json; `make test-sdks` writes it:\n  " + "\n  ".join(changed))


def written(rows):
    """Puts `rows` into the table. Cells of the same engine and client that this run no longer has are gone."""
    regressed = worse(rows)
    new = {cell(row): row for row in rows}
    ran_now = {(row["system"], row["metric"]) for row in rows}
    kept = {at: row for at, row in committed().items() if (row["system"], row["metric"]) not in ran_now}
    if regressed:
        raise Failed("cells of reports/sdks.json are worse:\n  " + "\n  ".join(regressed))
    table = sorted({**kept, **new}.values(), key=lambda row: row["metric"])
    counts = {value: sum(row["value"] == value for row in table) for value in RANKS}
    engines = sorted({row["metric"] for row in table})
    report = {"name": "sdks", "rows": table, "ratios": {
        **{f"cells_{value.replace(' ', '_')}": count for value, count in counts.items()},
        **{f"cells_that_work_{engine}": sum(row["value"] == "works" for row in table if row["metric"] == engine)
           for engine in engines}}}
    if failing := [", ".join(cell(row)) for row in rows if row["value"] == "fails"]:
        raise Failed("cells fail:\n  " + "\n  ".join(failing))
    REPORT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
