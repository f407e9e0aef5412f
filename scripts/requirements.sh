#!/bin/sh
# Checks what building and the demo need, and installs what Debian has. Says what it does, one line a step.
set -eu

say() { printf 'requirements  %s\n' "$*"; }

missing=""
need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

need c++ g++
need cmake cmake
need pkg-config pkg-config
need python3 python3
need curl curl
need ip iproute2
need strace strace
need unshare util-linux
need git git
# bindgen loads libclang at build time; it is a library, so there is no command to look for. `libclang-cpp`, which other
# packages bring, is another one.
libclang() {
    for place in /usr/lib/llvm-*/lib /usr/lib/*-linux-gnu /usr/lib /usr/lib64; do
        for file in "$place"/libclang.so* "$place"/libclang-[0-9]*.so*; do
            if [ -e "$file" ]; then return 0; fi
        done
    done
    return 1
}
libclang || missing="$missing libclang-dev"
if command -v python3 >/dev/null 2>&1; then
    python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || missing="$missing python3-venv"
else
    missing="$missing python3-venv"
fi
# The Node SDK is exercised by the demo; without Node that one step is left out, and said so.
if [ "${1:-}" = "--all" ]; then
    need node nodejs
    need npm npm
    need skopeo skopeo
    # Shared counters are tested against a real server.
    need redis-server redis-server
fi

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        say "installing$missing"
        apt-get update -qq
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    else
        say "these Debian packages are missing:$missing"
        say "install them, then run this again:  sudo apt-get install$missing"
        exit 1
    fi
fi

if ! command -v cargo >/dev/null 2>&1 && [ -x "$HOME/.cargo/bin/cargo" ]; then
    PATH="$HOME/.cargo/bin:$PATH"
fi
if ! command -v cargo >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && apt-cache show rustup >/dev/null 2>&1; then
        say "installing rustup"
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rustup >/dev/null
    else
        say "Rust is missing. Install rustup as your distribution offers it; the toolchain itself"
        say "(see rust-toolchain.toml) is then fetched by rustup on its own."
        exit 1
    fi
fi

# The tests of tokens run against a real issuer.
if [ "${1:-}" = "--all" ] && [ ! -d tests/oidc/node_modules/oidc-provider ]; then
    say "installing npm's oidc-provider for the tests"
    npm install --silent --no-audit --no-fund --no-package-lock --prefix tests/oidc
fi

want=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
have=$(cargo --version 2>/dev/null | cut -d' ' -f2) || have=""
if [ "$have" != "$want" ]; then
    say "expected Rust $want, found ${have:-none}: asking rustup for it"
    rustup toolchain install "$want" --profile minimal --component clippy --component rustfmt
fi
if [ "$(uname -m)" = x86_64 ] && ! grep -qw avx2 /proc/cpuinfo; then
    say "this processor has no AVX2; the build is for x86-64-v3 (see .cargo/config.toml)"
    exit 1
fi
say "all there (Rust $want)"
