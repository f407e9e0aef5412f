"""Measures the guardrails from nothing: reports/guardrails.json and docs/guardrails-quality.md.

    python3 scripts/guardrails.py [--page-only]

Installs what it needs from PyPI into .hermetic/guardrails, builds the examples of hermetic-guard, runs our detectors and
those of others over the same texts, and writes down what came out. One core, a quarter of an hour.
"""

import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOME = ROOT / ".hermetic" / "guardrails"
REPORT = ROOT / "reports" / "guardrails.json"
PINNED = [
    "presidio-analyzer==2.2.366", "presidio-anonymizer==2.2.366", "detect-secrets==1.5.0", "Faker==40.63.0",
    "scikit-learn==1.9.1", "spacy==3.8.18", "pyarrow==26.0.1", "PyYAML==6.0.4", "tzdata==2026.6",
    "python-dotenv==1.2.4", "pandas==3.1.1", "tqdm==4.70.1",
]
# Its requirements are for training models; what makes sentences needs none of those.
ALONE = ["presidio-evaluator==0.3.2"]


def in_its_own_environment():
    if pathlib.Path(sys.prefix) == HOME:
        return
    interpreter = HOME / "bin" / "python"
    if not (HOME / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", *PINNED], check=True)
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", "--no-deps", *ALONE], check=True)
        (HOME / "complete").touch()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.execv(interpreter, [interpreter, *sys.argv])


def examples():
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "hermetic-guard", "--examples"], cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / "examples"


def speed(binary, *arguments):
    """Megabytes a second of processor time, the best of five: others share the machine."""
    pages = "".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")) if path.name != "guardrails-quality.md")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as text:
        text.write(pages)
        text.flush()
        runs = [subprocess.run([binary, text.name, *arguments], capture_output=True, text=True, check=True).stdout.splitlines()
                for _ in range(5)]
    number = lambda line, unit: float(line.split(f" {unit}")[0].split()[-1])
    whole, prompt = (max(number(run[place], "MB/s") for run in runs) for place in (1, 2))
    start = min(float(run[0].split()[1].removesuffix("ms")) for run in runs if run[0].endswith("ms"))
    return {"mb_per_s": whole, "us_for_4_kib": round(4096 / prompt, 1), "start_ms": round(start, 1),
            "text": "the pages of this manual"}


def measure():
    import guardrails_injection
    import guardrails_pii
    import guardrails_secrets
    import guardrails_sets
    at = examples()
    pii = guardrails_pii.run(at / "findings")
    print("pii", pii["ours"]["overall"], pii["presidio"]["overall"], flush=True)
    secrets = guardrails_secrets.run(at / "findings")
    print("secrets", secrets["recall"], secrets["false_alarms_per_mb"], flush=True)
    injection = guardrails_injection.run(at / "injection")
    fast = speed(at / "speed") | {"with_names": speed(at / "speed", "--names")}
    ratios = {
        "pii_f1_vs_presidio": round(pii["ours"]["overall"]["f1"] / pii["presidio"]["overall"]["f1"], 4),
        "secrets_recall": secrets["recall"],
        "secrets_false_alarms_per_mb": secrets["false_alarms_per_mb"],
        "injection_recall_at_1pct_fpr": injection["injection_recall_at_1pct_fpr"],
        "injection_cross_set_recall_at_5pct_fpr": injection["injection_cross_set_recall_at_5pct_fpr"],
        "mb_per_s": fast["mb_per_s"],
    }
    from importlib.metadata import version
    names = ["presidio-analyzer", "presidio-evaluator", "spacy", "detect-secrets", "scikit-learn", "Faker"]
    return {
        "date": datetime.date.today().isoformat(),
        "machine": {"cores": os.cpu_count(), "architecture": platform.machine(), "python": platform.python_version()},
        "versions": {name: version(name) for name in names} | {
            name: f"{number} ({licence})" for name, (number, licence) in guardrails_sets.PACKAGES.items()},
        "ratios": ratios, "pii": pii, "secrets": secrets, "injection": injection, "speed": fast,
    }


def main():
    in_its_own_environment()
    import guardrails_page
    if "--page-only" not in sys.argv:
        REPORT.write_text(json.dumps(measure(), indent=1, ensure_ascii=False) + "\n")
    guardrails_page.write(json.loads(REPORT.read_text()))


if __name__ == "__main__":
    main()
