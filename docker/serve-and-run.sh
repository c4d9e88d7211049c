#!/bin/sh
# Serves a model with vLLM on the loopback interface, runs llm-testgen with it, and ends with llm-testgen's exit code.
#
#   LLM_TESTGEN_MODEL         the model: an id of the Hugging Face hub, or a folder
#   LLM_TESTGEN_ADAPTER       a LoRA adapter that is put on it: a folder as peft saves it, or an id of the hub
#   LLM_TESTGEN_VLLM_ARGS     more arguments of `vllm serve`, separated by spaces
#   LLM_TESTGEN_VLLM_PORT     8000, unless it says otherwise
#   LLM_TESTGEN_VLLM_TIMEOUT  seconds that the server may take to load the model, its download included: 1800
#
# shellcheck disable=SC2317  # a trap calls what seems never to be called
set -eu

port=${LLM_TESTGEN_VLLM_PORT:-8000}
limit=${LLM_TESTGEN_VLLM_TIMEOUT:-1800}
log=
server=
bot=

# A proxy of the environment cannot reach this machine's loopback.
export NO_PROXY="127.0.0.1${NO_PROXY:+,$NO_PROXY}"
export no_proxy="$NO_PROXY"

say() {
  printf 'serve-and-run: %s\n' "$*" >&2
}

fail() {
  say "$@"
  exit 2
}

# The server's own words are many; they are shown only where they explain a failure.
fail_with_log() {
  tail -n 20 "$log" >&2
  fail "$@"
}

is_running() {
  kill -0 "$1" 2>/dev/null
}

is_ready() {
  python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' \
    "http://127.0.0.1:$port/health" 2>/dev/null
}

# The name that the adapter is asked by, and the rank to make room for, of those that vLLM has. Of an adapter that was
# trained anew the name is another one, so that no reply of the older one is taken for its.
describe_adapter() {
  python3 - "$LLM_TESTGEN_ADAPTER" <<'END'
import hashlib, json, pathlib, sys

adapter = pathlib.Path(sys.argv[1])
if adapter.is_dir():
    config = adapter / "adapter_config.json"
    digest = hashlib.sha256((adapter / "adapter_model.safetensors").read_bytes()).hexdigest()
    name = f"{adapter.resolve().name}-{digest[:8]}".replace("=", "-")
else:
    from huggingface_hub import hf_hub_download

    config = hf_hub_download(sys.argv[1], "adapter_config.json")
    name = sys.argv[1]
settings = json.loads(pathlib.Path(config).read_text())
rank = max(settings["r"], *settings.get("rank_pattern", {}).values(), 1)
print(next(room for room in (8, 16, 32, 64, 128, 256, 320, 512) if room >= rank), name)
END
}

start_server() {
  set -- serve "$LLM_TESTGEN_MODEL" --host 127.0.0.1 --port "$port"
  if [ -n "$rank" ]; then
    set -- "$@" --enable-lora --lora-modules "$asked=$LLM_TESTGEN_ADAPTER" --max-lora-rank "$rank"
  fi
  # shellcheck disable=SC2086  # the arguments are separated by spaces
  vllm "$@" ${LLM_TESTGEN_VLLM_ARGS:-} >"$log" 2>&1 &
  server=$!
}

# As the first process of a container, a shell ignores every signal that it has no trap for.
interrupted() {
  if [ -n "$bot" ]; then
    kill -TERM "$bot" 2>/dev/null || true
    wait "$bot" || true
  fi
  exit "$1"
}

clean_up() {
  code=$?
  trap - EXIT
  trap '' INT TERM
  if [ -n "$server" ] && is_running "$server"; then
    kill -TERM "$server" || true
    for _ in 1 2 3 4 5 6 7 8 9 10; do
      is_running "$server" || break
      sleep 1
    done
    kill -KILL "$server" 2>/dev/null || true
  fi
  [ -z "$log" ] || rm -f "$log"
  exit "$code"
}

# What asks no model needs no server: `doctor`, `--version`, a command's `--help`.
command=
for word in "$@"; do
  case $word in
    -h | --help) exec llm-testgen "$@" ;;
    -*) ;;
    *) command=${command:-$word} ;;
  esac
done
if ! llm-testgen "$command" --help 2>/dev/null | grep -q -e ' --endpoint '; then
  exec llm-testgen "$@"
fi

[ -n "${LLM_TESTGEN_MODEL:-}" ] || fail "no model: set LLM_TESTGEN_MODEL to the one that vLLM is to serve"
if is_ready; then
  fail "port $port is taken by another server: set LLM_TESTGEN_VLLM_PORT to a free one"
fi

trap clean_up EXIT
trap 'interrupted 130' INT
trap 'interrupted 143' TERM

log=$(mktemp)
asked=$LLM_TESTGEN_MODEL
rank=
if [ -n "${LLM_TESTGEN_ADAPTER:-}" ]; then
  about=$(describe_adapter 2>"$log") ||
    fail_with_log "LLM_TESTGEN_ADAPTER is $LLM_TESTGEN_ADAPTER, which is no LoRA adapter of peft that can be had"
  rank=${about%% *}
  asked=${about#* }
fi
start_server

say "waiting for vLLM to load $LLM_TESTGEN_MODEL"
deadline=$(($(date +%s) + limit))
until is_ready; do
  if ! is_running "$server"; then
    wait "$server" && code=0 || code=$?
    fail_with_log "vLLM ended with exit code $code before it served $LLM_TESTGEN_MODEL; its last words are above"
  fi
  if [ "$(date +%s)" -ge "$deadline" ]; then
    fail_with_log "vLLM was not ready after $limit seconds: set LLM_TESTGEN_VLLM_TIMEOUT to more; its last words are above"
  fi
  sleep 1
done

# Not in the foreground, where a signal would have to wait for it.
llm-testgen "$@" --endpoint "http://127.0.0.1:$port/v1" --model "$asked" &
bot=$!
wait "$bot" && code=0 || code=$?
bot=
if ! is_running "$server"; then
  tail -n 20 "$log" >&2
  say "vLLM ended while llm-testgen ran; its last words are above"
fi
exit "$code"
