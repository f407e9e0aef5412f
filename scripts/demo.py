"""`make demo`: the story of first light, unattended. Exits 0 only if every step did what it promises.

The connected half collects, signs and writes the disk. The enclave half runs in a network namespace that has loopback
and nothing else, so that needing anything from outside fails it; see enclave_half.py.
"""

import os
import pathlib
import shutil
import subprocess
import sys

from demo_site import HOME, ROOT, Failed, build_bundle, ceremony, collect, pip_with_venv, run, say

SDK = ROOT / "tests" / "sdk"


def install_sdks():
    """The clients, installed while there still is a network. The enclave never sees them come."""
    pip = pip_with_venv()
    if any(run(pip, "show", "--quiet", name, check=False).returncode for name in ("openai", "anthropic")):
        run(pip, "install", "--quiet", "-r", SDK / "python" / "requirements.txt")
        say("sdk", "the Python SDKs of OpenAI and Anthropic installed")
    if shutil.which("npm") and not (SDK / "node" / "node_modules" / "@anthropic-ai").exists():
        run("npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", SDK / "node")
        say("sdk", "the Node SDKs of OpenAI and Anthropic installed")


def in_a_network_of_its_own(*words):
    """`words`, in a network namespace with loopback only: as root directly, else inside a user namespace."""
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    script = 'ip link set lo up && exec "$@"'
    return [*unshare, "--", "sh", "-c", script, "enclave", *[str(word) for word in words]]


def main():
    collect()
    ceremony()
    build_bundle()
    install_sdks()
    say("enclave", "entering a network namespace that has loopback only")
    half = pathlib.Path(__file__).with_name("enclave_half.py")
    folder = HOME / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    code = subprocess.run(in_a_network_of_its_own(sys.executable, half, folder)).returncode
    if code:
        sys.exit(code)
    say("demo", "every step did what it promises")


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"\nmake demo failed: {failed}")
    except KeyboardInterrupt:
        sys.exit("\nmake demo: stopped")
