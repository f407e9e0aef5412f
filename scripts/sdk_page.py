"""Writes the tables of reports/sdks.json and reports/engines.json into docs/sdks.md, between the marks of each.

The page quotes committed results and nothing else; so that it cannot drift, nobody types them.
"""

import json

from demo_site import ROOT

PAGE = ROOT / "docs" / "sdks.md"
SIGNS = {"works": "✓", "refused": "refused", "not done": "not done", "not offered": "–"}


def rows_of(name):
    path = ROOT / "reports" / f"{name}.json"
    return json.loads(path.read_text())["rows"] if path.exists() else []


def distinct(rows, key):
    return list(dict.fromkeys(row[key] for row in rows))


def table(head, lines):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for line in lines:
        yield "| " + " | ".join(line) + " |"
    yield ""


def clients():
    """One table an engine: a line a feature, a column a client."""
    rows = rows_of("sdks")
    # The features in the order of the client that has most of them.
    for engine in distinct(rows, "metric"):
        here = [row for row in rows if row["metric"] == engine]
        systems = distinct(here, "system")
        found = {(row["system"], row["case"]): row["value"] for row in here}
        yield f"### {engine[0].upper()}{engine[1:]}"
        yield ""
        features = distinct(here, "case")
        yield from table(["", *systems], ([feature, *(SIGNS.get(found.get((system, feature)), "–") for system in systems)]
                                          for feature in features))


def versions():
    seen = {row["system"]: row["version"] for row in rows_of("sdks")}
    yield ", ".join(f"{system} {version}".strip() for system, version in seen.items()) + "."
    yield ""


def engines():
    rows = rows_of("engines")
    names = {row["system"]: row["version"] for row in rows}
    found = {(row["system"], row["case"]): row for row in rows}

    def shown(system, case):
        row = found.get((system, case))
        return "" if row is None else f"{SIGNS[row['value']]}{'; ' + row['note'].replace('|', '/') if row.get('note') else ''}"
    head = ["", *(f"{name} {version}" for name, version in names.items())]
    yield from table(head, ([case, *(shown(name, case) for name in names)] for case in distinct(rows, "case")))


SECTIONS = {"versions": versions, "clients": clients, "engines": engines}


def write():
    text = PAGE.read_text()
    for name, lines in SECTIONS.items():
        opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, rest = text.split(opening)
        text = before + opening + "\n".join(lines()) + closing + rest.split(closing, 1)[1]
    PAGE.write_text(text)


if __name__ == "__main__":
    write()
