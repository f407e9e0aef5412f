#!/bin/sh
# Installs the peers that the gateway is measured beside into .hermetic/bench-peers, each in a place of its own, and
# leaves alone what is there. A peer that cannot be installed is said and left out.
#
#   bench/gateway/peers.sh install         all of them
#   bench/gateway/peers.sh start NAME PORT ENGINE_PORT
#                                          becomes that peer, on 127.0.0.1:PORT, in front of the engine on ENGINE_PORT;
#                                          tensorzero takes a port of its own and prints it
#   bench/gateway/peers.sh version NAME    what is installed; fails when nothing is
#
# Versions are pinned: the figures name them. LiteLLM 1.82.7, 1.82.8 and 1.107.x were backdoored and never to be used.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
place=$root/.hermetic/bench-peers
LITELLM=1.80.11 PORTKEY=1.15.2 TENSORZERO=2026.6.0 VLLM_ROUTER=0.1.17

say() { printf 'peers         %s\n' "$*" >&2; }

venv() { # venv NAME REQUIREMENT…: once
    name=$1; shift
    [ -e "$place/$name/installed" ] && return 0
    say "installing $*"
    rm -rf "${place:?}/$name"
    python3 -m venv "$place/$name"
    "$place/$name/bin/pip" install --quiet --disable-pip-version-check "$@"
    echo "$*" > "$place/$name/installed"
}

portkey() {
    [ -e "$place/portkey/installed" ] && return 0
    say "installing @portkey-ai/gateway $PORTKEY"
    rm -rf "$place/portkey"
    mkdir -p "$place/portkey"
    # With the newer versions of these two, which its own ranges admit, every stream is answered 500.
    cat > "$place/portkey/package.json" <<JSON
{"private": true, "dependencies": {"@portkey-ai/gateway": "$PORTKEY"},
 "overrides": {"@hono/node-server": "1.13.8", "hono": "4.9.7"}}
JSON
    (cd "$place/portkey" && npm install --no-audit --no-fund --ignore-scripts --silent >/dev/null)
    echo "@portkey-ai/gateway $PORTKEY" > "$place/portkey/installed"
}

install_one() {
    case $1 in
        litellm) venv litellm "litellm[proxy]==$LITELLM" ;;
        portkey) portkey ;;
        tensorzero) venv tensorzero "tensorzero==$TENSORZERO" ;;
        vllm-router) venv vllm-router "vllm-router==$VLLM_ROUTER" ;;
        *) say "no peer is called $1"; return 1 ;;
    esac
}

start_litellm() { # PORT ENGINE_PORT
    cat > "$place/litellm/config-$1.yaml" <<YAML
model_list:
  - model_name: bench
    litellm_params: {model: openai/bench, api_base: "http://127.0.0.1:$2/v1", api_key: none}
litellm_settings: {telemetry: false, num_retries: 0}
general_settings: {disable_spend_logs: true}
YAML
    export LITELLM_LOCAL_MODEL_COST_MAP=True LITELLM_TELEMETRY=False LITELLM_LOG=ERROR LITELLM_MODE=PRODUCTION
    exec "$place/litellm/bin/litellm" --config "$place/litellm/config-$1.yaml" --host 127.0.0.1 --port "$1" \
        --num_workers 1 --telemetry False
}

start_portkey() { # PORT: the engine stands in a header of each request
    cd "$place/portkey"
    export NODE_ENV=production
    exec node node_modules/@portkey-ai/gateway/build/start-server.js --port="$1" --headless
}

start_tensorzero() { # PORT ENGINE_PORT
    cat > "$place/tensorzero/config-$1.toml" <<TOML
[gateway]
observability.enabled = false
disable_pseudonymous_usage_analytics = true
[models.bench]
routing = ["engine"]
[models.bench.providers.engine]
type = "openai"
model_name = "bench"
api_base = "http://127.0.0.1:$2/v1/"
api_key_location = "none"
TOML
    export TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS=1
    exec "$place/tensorzero/bin/python" "$root/bench/gateway/peers/tensorzero_gateway.py" \
        "$place/tensorzero/config-$1.toml"
}

start_vllm_router() { # PORT ENGINE_PORT
    exec "$place/vllm-router/bin/python" -m vllm_router.launch_router --host 127.0.0.1 --port "$1" \
        --worker-urls "http://127.0.0.1:$2" --policy round_robin --log-level error --prometheus-host 127.0.0.1
}

case ${1:-} in
    install)
        mkdir -p "$place"
        for peer in litellm portkey tensorzero vllm-router; do
            # In a process of its own: one that fails is no reason to do without the others.
            if sh "$0" install-one "$peer"; then say "$peer: $(cat "$place/$peer/installed")"
            else say "$peer cannot be installed here and is left out"; rm -rf "${place:?}/$peer"; fi
        done
        ;;
    install-one) install_one "$2" ;;
    version) cat "$place/$2/installed" ;;
    start)
        [ -e "$place/$2/installed" ] || { say "$2 is not installed"; exit 1; }
        case $2 in
            litellm) start_litellm "$3" "$4" ;;
            portkey) start_portkey "$3" ;;
            tensorzero) start_tensorzero "$3" "$4" ;;
            vllm-router) start_vllm_router "$3" "$4" ;;
            *) say "no peer is called $2"; exit 1 ;;
        esac
        ;;
    *) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
