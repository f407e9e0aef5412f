"""`make conformance`: what the tests and the SDKs asked and were told, held against OpenAI's own description.

Reads the exchanges that `make test` and `make demo` kept below .hermetic/exchanges. A difference is repaired, or declared
in reports/openai-declared.json with its reason; one that is not declared fails, and so does a declared one that no longer
occurs, so that the list can only shrink. Writes reports/openai.json, which is committed.
"""

import json
import os
import re
import sys
from collections import Counter, defaultdict

import openai_description
from demo_site import HOME, ROOT, Failed, pip_with_venv, run, say
from openai_description import Difference, of_answer, of_request, operation_of, operations

EXCHANGES = HOME / "exchanges"
# Who keeps exchanges; without one of them the check would be about less than it says.
SOURCES = {"tests": "`make test`", "sdks": "`make demo`"}
DECLARED = ROOT / "reports" / "openai-declared.json"
REPORT = ROOT / "reports" / "openai.json"
VALIDATOR = "jsonschema==4.26.0"
SAME = re.compile(r"[0-9a-f]{16,}|created(_at)?[\\\\]*\":\\s*[0-9]+")


def inside_venv():
    """The validator is a package; this script goes on under the Python that has it."""
    python = pip_with_venv().with_name("python")
    if run(python, "-c", "import jsonschema, referencing", check=False).returncode:
        run(pip_with_venv(), "install", "--quiet", VALIDATOR)
    if sys.prefix == sys.base_prefix:
        os.execv(python, [str(python), *sys.argv])


def exchanges():
    for source, command in SOURCES.items():
        files = sorted((EXCHANGES / source).glob("*.jsonl"))
        if not files:
            raise Failed(f"expected exchanges of {command} in .hermetic/exchanges/{source}, found none; run it first")
        for file in files:
            for line in file.read_text().splitlines():
                exchange = json.loads(line)
                yield {"scripted": False, "request": "", **exchange, "source": source,
                       "operation": operation_of(exchange["method"], exchange["path"])}


def of_the_gateway(exchange, scripted):
    """Differences that the gateway answers for. What an engine brought, that says what its test wants it to, is that engine's
    and is handed on as it came; what such an engine was asked is the gateway's own, unless the caller said it so."""
    operation, accepted = exchange["operation"], exchange["status"] < 400
    requested = set(of_request(operation, "request", exchange)) if operation and accepted else set()
    asked = {difference for engine in scripted for difference in of_request(engine["operation"], "asked", engine)}
    answered = set(of_answer(operation, exchange)) if operation else set()
    brought = {difference for engine in scripted for difference in of_answer(engine["operation"], engine)}
    as_requested = {difference._replace(part="asked") for difference in requested}
    return requested | (asked - as_requested if accepted else set()) | (answered - brought)


def examined():
    """Differences with an example of each, the operations that were answered, and how many exchanges there were."""
    found, covered, counts, seen = {}, set(), Counter(), set()
    everything = list(exchanges())
    scripted = defaultdict(list)
    for exchange in everything:
        if exchange["scripted"] and exchange["request"] and exchange["operation"]:
            scripted[exchange["request"]].append(exchange)
    for exchange in everything:
        if exchange["scripted"] or exchange["status"] == 0:
            continue
        operation, engines = exchange["operation"], scripted.get(exchange["request"], [])
        counts[f"of {SOURCES[exchange['source']]}" if operation else "of Anthropic's API, pages and probes"] += 1
        counts["asked of engines"] += len(engines)
        if operation and exchange["status"] < 400:
            covered.add(operation.name)
        # Load tests ask the same thousands of times; ids and times are all that differs.
        words = SAME.sub("", json.dumps([exchange["path"], exchange["status"], exchange["sent"], exchange["told"],
                                         [(engine["sent"], engine["told"]) for engine in engines]]))
        for difference in () if words in seen else of_the_gateway(exchange, engines):
            found.setdefault(difference, exchange)
        seen.add(words)
    return found, covered, counts


def excuse_of(operation, not_offered):
    """Why an operation is not offered: the longest path that it begins with decides."""
    fitting = [entry for entry in not_offered if operation.path.startswith(entry["path"])]
    return max(fitting, key=lambda entry: len(entry["path"]), default=None)


def rows(covered, not_offered):
    """One row an operation. What is not answered has its reason, and no reason is there for nothing."""
    idle = {entry["path"] for entry in not_offered}
    for operation in operations():
        row = {"system": "hermetic", "case": f"{operation.method} {operation.path}", "metric": "covered",
               "value": int(operation.name in covered), "unit": "operation"}
        if not row["value"]:
            excuse = excuse_of(operation, not_offered)
            if excuse is None:
                raise Failed(f"{row['case']} was neither answered in a test nor said to be not offered in {DECLARED.name}")
            idle.discard(excuse["path"])
            row["reason"] = excuse["reason"]
        yield row
    if idle:
        raise Failed(f"said to be not offered, and is: {', '.join(sorted(idle))}")


def report(covered, declared):
    info = openai_description.description()["info"]
    listed = list(rows(covered, declared["not_offered"]))
    return {
        "name": "openai",
        "versions": {"description": info["version"], "sha256": openai_description.SHA256, "validator": VALIDATOR},
        "rows": listed,
        "ratios": {
            "undeclared_differences": 0,
            "declared_differences": len(declared["differences"]),
            "operations_covered": sum(row["value"] for row in listed),
            "operations_of_the_description": len(listed),
        },
    }


def main():
    inside_venv()
    declared = json.loads(DECLARED.read_text())
    known = {Difference(entry["operation"], entry["part"], entry["place"], entry["what"]) for entry in declared["differences"]}
    found, covered, counts = examined()
    say("conformance", "exchanges: " + ", ".join(f"{count} {whose}" for whose, count in sorted(counts.items())))
    new = {difference: example for difference, example in found.items() if difference not in known}
    gone = known - set(found)
    for difference, example in sorted(new.items()):
        print(f"  {' '.join(difference)}\n    {example['source']} {example['sent'][:600]!r}\n    {example['told'][:600]!r}")
    for difference in sorted(gone):
        print(f"  declared, and occurs no more: {' '.join(difference)}")
    if new or gone:
        raise Failed(f"{len(new)} differences are not declared, {len(gone)} declared ones occur no more")
    text = json.dumps(report(covered, declared), indent=2) + "\n"
    stale = not REPORT.exists() or REPORT.read_text() != text
    REPORT.write_text(text)
    say("conformance", f"{len(covered)} operations answered, {len(known)} declared differences, no other")
    if stale and "--check" in sys.argv:
        raise Failed(f"{REPORT.relative_to(ROOT)} was not what this run found; it is now, commit it")


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"\nmake conformance failed: {failed}")
