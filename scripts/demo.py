"""`make demo`: the story of first light, unattended. Exits 0 only if every step did what it promises.

The connected half collects, signs and writes the disk. The enclave half runs in a network namespace that has loopback
and nothing else, so that needing anything from outside fails it; see enclave_half.py.
"""

import os
import pathlib
import shutil
import subprocess
import sys

import sdks
from demo_site import HOME, Failed, build_bundle, ceremony, collect, say


def in_a_network_of_its_own(*words):
    """`words`, in a network namespace with loopback only: as root directly, else inside a user namespace."""
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    script = 'ip link set lo up && exec "$@"'
    return [*unshare, "--", "sh", "-c", script, "enclave", *[str(word) for word in words]]


def main():
    collect()
    ceremony()
    build_bundle()
    sdks.install()
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
