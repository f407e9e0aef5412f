#!/bin/sh
# Runs every benchmark and puts the results into bench/results/first-light.json. Each measures its floor or peer in the
# same run; what cannot be run here is said and left out.
set -eu
out=bench/results
bench=target/dist/hermetic-bench
parts=""

measure() { # measure NAME ARGUMENTS…
    name=$1; shift
    printf 'bench         %s\n' "$name"
    "$bench" "$name" "$@" --out "$out"
    parts="$parts $name"
}

cargo build --profile dist --locked -p hermetic-bench -p hermetic
measure ledger
measure import
measure surfaces

echo "bench         the gateway is measured by \`make bench-gateway\`"

# The chat model of the demo, by its pinned digest, out of the demo's bundle.
digest=$(sed -n 's/^ *sha256: \([0-9a-f]\{64\}\)$/\1/p' demo/release.yaml | sed -n 2p)
weights=.hermetic/media/bundle/blobs/sha256/$digest
if [ -f "$weights" ]; then
    # shellcheck disable=SC2086
    # 128 and 64 tokens instead of 512 and 128: sixteen at once on two cores take minutes otherwise.
    measure engine --prompt 128 --answer 64 --rounds 2 --model "$weights" --hermetic target/dist/hermetic ${LLAMA_SERVER:+--llama-server "$LLAMA_SERVER"}
else
    echo "bench         engine left out: run \`make up\` or \`make demo\` once, it needs the demo's bundle"
fi

# shellcheck disable=SC2086
"$bench" combine first-light $parts --out "$out"
echo "bench         $out/first-light.json"
