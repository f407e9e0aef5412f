"""Writes the figures of bench/results/{gateway,stages,counting,surfaces,soak}.json into docs/performance.md, between the marks of each.

The page quotes a committed result and nothing else; so that it cannot drift, nobody types the figures.
"""

import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"


def shown(value):
    """Three digits, as in the file, without a needless point."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:g}"


def table(head, lines):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for line in lines:
        yield "| " + " | ".join(line) + " |"
    yield ""


class Result:
    def __init__(self, name):
        self.json = json.loads((ROOT / "bench" / "results" / f"{name}.json").read_text())
        self.rows = {}
        for row in self.json["rows"]:
            self.rows.setdefault(row["case"], {}).setdefault(row["system"], {})[row["metric"]] = row["value"]

    def pivot(self, case, metrics):
        """One line a system, one column a metric."""
        for system, found in self.rows.get(case, {}).items():
            yield [system] + [shown(found.get(metric)) for metric in metrics]

    def origin(self):
        machine, versions = self.json["machine"], self.json["versions"]
        yield f"Measured {self.json['date'][:10]} on {machine['cores']} cores of {machine['cpu']}, Linux {machine['kernel']}; "
        yield ", ".join(f"{name}: {version}" for name, version in versions.items()) + "."
        yield ""


def gateway():
    result = Result("gateway")
    yield from result.origin()
    ratios = ((f"`{name}`", shown(value)) for name, value in result.json["ratios"].items())
    yield from table(["ratio of requests per second", "value"], ratios)
    metrics = ["requests", "p50", "p99", "p99.9"]
    head = ["system", "requests/s", "p50 ms", "p99 ms", "p99.9 ms"]
    full = [case for case in result.rows if case.startswith("full load") or "cores" in case]
    for case in full:
        yield f"{case[0].upper()}{case[1:]}:"
        yield ""
        yield from table(head, result.pivot(case, metrics))
    for case in (case for case in result.rows if case.startswith("half load")):
        yield f"{case[0].upper()}{case[1:]}, added to asking the engine directly at the same rate:"
        yield ""
        yield from table(
            ["system", "requests/s", "added p50 ms", "added p99 ms", "added p99.9 ms"],
            result.pivot(case, ["requests", "added p50", "added p99", "added p99.9"]))
    case = "100 streams of 50 events/s"
    if case in result.rows:
        yield f"{case}, added to asking the engine directly, in ms:"
        yield ""
        yield from table(
            ["system", "first event p50", "first event p99", "per event p50", "per event p99"],
            result.pivot(case, ["added p50 to first event", "added p99 to first event", "added p50 per event",
                                "added p99 per event"]))
    lines = []
    for case in (case for case in result.rows if "open streams" in case):
        lines += [[system, case.split(" ")[0]] + rest for system, *rest in
                  result.pivot(case, ["streams completed", "event under way p99", "RSS"])]
    yield from table(["system", "streams open at once", "completed in 10 s", "event under way p99 ms", "RSS MiB"], lines)
    lines = []
    for case in (case for case in result.rows if "keys" in case or "policies" in case or "rules" in case):
        lines += [[case] + line for line in result.pivot(case, ["requests", "p99", "RSS"])]
    yield from table(["case, its state in memory", "system", "requests/s", "p99 ms", "RSS MiB"], lines)


def soak():
    result = Result("soak")
    yield from result.origin()
    rows = ((row["metric"], f"{shown(row['value'])} {row['unit']}") for row in result.json["rows"])
    yield from table(["", ""], rows)


def stages():
    result = json.loads((ROOT / "bench" / "results" / "stages.json").read_text())
    yield f"Measured {result['date'][:10]}; " + ", ".join(f"{name}: {version}" for name, version in result["versions"].items()) + "."
    yield ""
    plain, governed = result["stages"]["plain"], result["stages"]["governed"]
    rows = ([name, shown(plain.get(name)), shown(cost)] for name, cost in governed.items())
    yield from table(["instructions a request", "plain", "governed"], rows)


def counting():
    result = Result("counting")
    yield from result.origin()
    lines = []
    for case, found in result.rows.items():
        ours, library = (shown(found[system]["a KiB"]) for system in ("hermetic", "tokenizers"))
        lines.append(case.split(", ") + [ours, library, shown(result.json["ratios"][case])])
    yield from table(["vocabulary", "text", "length", "µs a KiB", "`tokenizers`, µs a KiB", "times as fast"], lines)


def surfaces():
    result = Result("surfaces")
    yield from result.origin()
    lines = {}
    for case, found in result.rows.items():
        for system, metrics in found.items():
            lines.setdefault(system, {})[case] = f"{shown(metrics['p50'])} / {shown(metrics['p99'])}"
    cases = list(result.rows)
    rows = ([system] + [found.get(case, "") for case in cases] for system, found in lines.items())
    yield from table(["µs, p50 / p99"] + cases, rows)


def main():
    page = PAGE.read_text()
    for name, quote in (("gateway", gateway), ("stages", stages), ("counting", counting), ("surfaces", surfaces), ("soak", soak)):
        if not (ROOT / "bench" / "results" / f"{name}.json").exists():
            continue
        begin, end = f"<!-- {name}.json -->\n", f"<!-- end of {name}.json -->"
        before, rest = page.split(begin, 1)
        _, after = rest.split(end, 1)
        page = before + begin + "\n" + "\n".join(quote()) + end + after
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
