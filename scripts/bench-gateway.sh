#!/bin/sh
# Measures the gateway beside nginx and other gateways, in one run, into bench/results/gateway.json. Unattended: what is
# missing is installed where this user may, and what cannot be had is said and left out.
#
#   scripts/bench-gateway.sh [--quick]
set -eu

say() { printf 'bench-gateway %s\n' "$*"; }

missing=""
command -v nginx >/dev/null 2>&1 || missing="$missing nginx-light"
command -v wrk >/dev/null 2>&1 || missing="$missing wrk"
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        say "installing$missing"
        apt-get update -qq
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
            say "cannot be installed:$missing"
    else
        say "these Debian packages are missing, and what needs them is left out:$missing"
    fi
fi
# What ships is what is measured: the whole of it optimised as one, which takes longer to build than `make up` does.
cargo build --profile dist --locked -p hermetic
cargo build --profile dist --locked -p hermetic-bench
sh bench/gateway/peers.sh install
target/dist/hermetic-bench gateway "$@" --out bench/results
PYTHONDONTWRITEBYTECODE=1 python3 scripts/quote_results.py
