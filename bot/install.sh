#!/usr/bin/env bash
# Install llm-testgen into an environment of its own, every package pinned by its hash; nothing of the caller's changes.
#
# Usage: install.sh LOCK FOLDER [PYTHON]
#   LOCK    which lock of requirements/ to install: base, or local with the embedded model's engine
#   FOLDER  where the environment goes; one that is there is added to
#   PYTHON  an interpreter, Python 3.11 or later with venv; the newest that can be found if it is left out
set -euo pipefail

lock=$1 folder=$2 wanted=${3:-}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What a caller set for its own Python and pip must not reach this one.
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_VIRTUALENV PIP_CONSTRAINT \
  PIP_NO_BINARY PIP_ONLY_BINARY VIRTUAL_ENV
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

find_python() {
  local python
  for python in "$wanted" python3.14 python3.13 python3.12 python3.11 python3 python \
    "${RUNNER_TOOL_CACHE:-/opt/hostedtoolcache}"/Python/3.1[1-9]*/*/bin/python3; do
    [ -n "$python" ] || continue
    if "$python" -I -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$python"
      return
    fi
    [ -z "$wanted" ] || break
  done
  echo "::error title=llm-testgen::no Python 3.11 or later with venv was found: add actions/setup-python before this" \
    "action, or name one with the input bot-python" >&2
  return 2
}

if [ ! -x "$folder/bin/python" ]; then
  python=$(find_python)
  "$python" -I -m venv "$folder"
fi
"$folder/bin/python" -I -m pip install --quiet --require-hashes --no-deps --requirement "$root/requirements/$lock.txt"
if [ ! -x "$folder/bin/llm-testgen" ]; then
  "$folder/bin/python" -I -m pip install --quiet --no-deps --no-build-isolation "$root"
fi
