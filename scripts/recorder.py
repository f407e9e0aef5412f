"""Records every attempt of a process tree to reach an address, with strace, and judges the recordings."""

import collections
import ipaddress
import re
import subprocess
import sys

from demo_site import Failed, say

CALLS = "connect,sendto,sendmsg,sendmmsg"
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"|sin6?_addr=.*?"([0-9a-fA-F.:]+)"')
FAMILY = re.compile(r"sa_family=(AF_\w+)")


def prefix(trace):
    """What to put before a command. One file a process, so that lines never mix; only the traced calls stop it."""
    return ("strace", "-ff", "--seccomp-bpf", "-qq", "-s", "0", "-e", "signal=none", "-e", f"trace={CALLS}", "-o", trace)


def judge(line):
    """`local`, `loopback`, `connected` (no address given) or `outside` for one recorded call."""
    family = FAMILY.search(line)
    if family is None:
        return "connected"
    if family.group(1) in ("AF_UNIX", "AF_NETLINK", "AF_UNSPEC"):
        return "local"
    found = ADDRESS.search(line)
    if found is None:
        return "outside"
    address = ipaddress.ip_address(next(part for part in found.groups() if part))
    mapped = getattr(address, "ipv4_mapped", None)
    return "loopback" if (mapped or address).is_loopback else "outside"


def read(folder, name):
    calls, outside, processes = collections.Counter(), [], 0
    for path in sorted(folder.glob(f"{name}.*")):
        processes += 1
        for line in path.read_text(errors="replace").splitlines():
            if not re.match(r"(connect|sendto|sendmsg|sendmmsg)\(", line):
                continue
            verdict = judge(line)
            calls[verdict] += 1
            if verdict == "outside":
                outside.append(line)
    return calls, outside, processes


def prove_that_it_records(trace):
    """A recorder that sees nothing proves nothing: a process that does reach out must be caught."""
    attempt = "import socket\ntry: socket.create_connection(('192.0.2.1', 80), 1)\nexcept OSError: pass"
    subprocess.run([*map(str, prefix(trace)), sys.executable, "-c", attempt], check=False)
    _, outside, _ = read(trace.parent, trace.name)
    if not outside:
        raise Failed("expected the recorder to catch a deliberate connect to 192.0.2.1, found nothing")
    say("recorder", "catches a deliberate connect to 192.0.2.1")


def nothing_left(folder, name):
    calls, outside, processes = read(folder, name)
    if outside:
        raise Failed(f"{len(outside)} calls left the enclave, the first: {outside[0]}")
    if not calls["local"]:
        raise Failed("expected at least the worker sockets in the recording, found none")
    say("recorder", f"{processes} processes and threads of the enclave: {calls['local']} local, {calls['loopback']} loopback, "
        f"0 outside")
