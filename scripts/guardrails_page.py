"""docs/guardrails-quality.md, from reports/guardrails.json: nobody types the figures."""

import pathlib

from quote_results import shown, table

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "guardrails-quality.md"


def ratios(row):
    return [shown(row["precision"]), shown(row["recall"]), shown(row["f1"]), str(row["support"])]


def personal(found):
    ours, theirs = found["ours"], found["presidio"]
    yield "## Personal data"
    yield ""
    yield f"{found['sentences']} sentences of presidio-evaluator's templates (one seed, {found['seed']}), filled with its FakeNameGenerator "
    yield "identities; the templates write ends of lines as two characters, which were made ends of lines. Presidio runs with spaCy's "
    yield "`en_core_web_md`: the large model, which it takes by default, is not on PyPI. Its least score is the one of six that gives it "
    yield f"the best F1 here, {theirs['score_threshold']}, and it looks for organisations too; overlaps are settled as its anonymizer does. A span is found when half of "
    yield "its characters are covered by findings of its category, a finding is right when half of it lies in such spans. "
    yield f"Left out on both sides: {', '.join(found['left_out'])}. Our rules for names were written while looking at sentences of the "
    yield "same templates with another seed, so these figures are kinder to them than a text of another kind is."
    yield ""
    head = ["category", "precision", "recall", "F1", "Presidio: precision", "recall", "F1", "spans"]
    lines = [["**all**", *ratios(ours["overall"])[:3], *ratios(theirs["overall"])]]
    lines += [[name, *ratios(row)[:3], *ratios(theirs["categories"][name])] for name, row in ours["categories"].items()]
    yield from table(head, lines)
    for system, result in (("Ours", ours), ("Presidio", theirs)):
        worst = ", ".join(f"{one['found']} for {one['was']} {one['times']}×" for one in result["confusions"][:8])
        yield f"{system}, what was found where something else was: {worst}."
        yield ""
    yield "Dates are found where they name a day; the sentences also count years and weekdays, which name nobody."
    yield ""


def secrets(found):
    yield "## Secrets"
    yield ""
    yield f"{found['positives']} generated leaks, {found['seed']} as the seed: formats as issuers document them and gitleaks' samples have "
    yield "them, in environment files, YAML, JSON, code, prose and logs. The rules were mended on another seed. Found: "
    yield f"{shown(found['recall'])}; detect-secrets, all plugins, on the same texts: {shown(found['detect_secrets_recall'])}."
    yield ""
    yield from table(["where", "recall", "leaks"],
                     [[place, shown(row["recall"]), str(row["support"])] for place, row in found["by_place"].items()])
    kinds = found["by_kind_below_one"]
    yield "Kinds of which not all were found: " + (", ".join(
        f"`{kind.lstrip('=')}` {shown(row['recall'])}" for kind, row in kinds.items()) or "none") + "."
    yield ""
    yield "False alarms on source code that holds no secret on purpose, drawn anew after the rules were mended on another draw:"
    yield ""
    yield from table(["source", "MB", "alarms", "per MB"], [
        [name, shown(row["mb"]), str(row["alarms"]), shown(row["per_mb"])] for name, row in found["false_alarms"].items()])


def injection(found):
    yield "## Prompt injection"
    yield ""
    yield "The linear tier. It was trained on the train splits of the first two sets and on what `weights.md` beside the weights lists, "
    yield "PyRIT's jailbreak templates among it, which are of the kind that garak collected; texts that share a run of twelve words with "
    yield "any set below were left out. The other three sets of attacks it has never seen. The ordinary texts of bastioncorpus are "
    yield "written to be taken for injections; yanismiraoui is in several languages, the training sets are nearly all English."
    yield ""
    names = list(found["support"])
    count = lambda name: f"{name} ({found['support'][name]['injected']} / {found['support'][name]['ordinary']})"
    yield "Recall / false-positive rate at each threshold; in the head, how many injected and ordinary texts there are."
    yield ""
    yield from table(["threshold", *map(count, names)], [
        [shown(row["threshold"]), *(f"{shown(row[name]['recall'])} / {shown(row[name]['fpr'])}" for name in names)]
        for row in found["thresholds"]])
    lines = [[f"{name}, at 1 % of its own ordinary texts", shown(value)] for name, value in found["recall_at_1pct_fpr"].items()]
    for kind, words in (("traps", "at 5 % of the traps of bastioncorpus"), ("manuals", "at 5 % of pieces of documentation")):
        lines += [[f"{name}, {words}", shown(value)] for name, value in found[f"cross_set_recall_at_5pct_fpr_of_{kind}"].items()]
    yield from table(["set", "recall"], lines)
    yield f"4 KB take {found['ns_for_4_kb'] / 1000:.0f} µs."
    yield ""


def write(report):
    lines = ["# How good the guardrails are", "",
             "Written by `scripts/guardrails.py` from `reports/guardrails.json`; run it to measure again.", "",
             f"Measured {report['date']} on {report['machine']['cores']} cores ({report['machine']['architecture']}), shared with "
             "other work; " + ", ".join(f"{name} {version}" for name, version in report["versions"].items()) + ".", ""]
    lines += table(["figure", "value"], [[f"`{name}`", shown(value)] for name, value in report["ratios"].items()])
    lines += [*personal(report["pii"]), *secrets(report["secrets"]), *injection(report["injection"])]
    fast = report["speed"]
    lines += ["## Speed", "",
              f"All rules but names, over {fast['text']}: {shown(fast['mb_per_s'])} MB/s of processor time on one core, 4 KiB in "
              f"{shown(fast['us_for_4_kib'])} µs, ready {shown(fast['start_ms'])} ms after the start. With the rules for names: {shown(fast['with_names']['mb_per_s'])} MB/s, "
              f"{shown(fast['with_names']['us_for_4_kib'])} µs, {shown(fast['with_names']['start_ms'])} ms.", ""]
    PAGE.write_text("\n".join(line.rstrip() for line in lines).rstrip() + "\n")
