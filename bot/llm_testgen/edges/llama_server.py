"""The child process that serves a model file: llama.cpp's own HTTP server on a free loopback port.

It is run by its path and needs nothing of this package. The first line of its input is the key that requests must
carry; when the input ends, the parent is gone and so is the child. When the server listens, it prints one line of
JSON, ``{"url": ...}``; all else that it says goes to standard error.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_CACHE_MIB = 512  # for the states of earlier prompts; the default of 8 GiB is more than a CI machine has


def main() -> None:
    """Serve until the parent ends, or a signal comes."""
    # An extra, which the machine that checks types may lack.
    import xllamacpp  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: PLC0415

    arguments = _arguments()
    end_with_parent()
    key = sys.stdin.readline().strip()
    threading.Thread(target=exit_at_end_of_input, daemon=True).start()
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the engine's own words belong to the log

    params = xllamacpp.CommonParams()
    params.model.path = arguments.weights
    if arguments.adapter is not None:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path, adapter.scale = arguments.adapter, 1.0
        params.lora_adapters = [adapter]
    params.n_ctx = arguments.context_tokens
    params.n_parallel = 1
    params.cpuparams.n_threads = arguments.threads
    params.cpuparams_batch.n_threads = arguments.threads
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.cache_ram_mib = _CACHE_MIB
    params.use_jinja = True
    params.warmup = False  # the first prompt warms up as well
    server = xllamacpp.Server(params)
    report.write(json.dumps({"url": server.listening_address}) + "\n")
    report.flush()
    threading.Event().wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", help="a GGUF file")
    parser.add_argument("--adapter", help="a GGUF file of a LoRA adapter")
    parser.add_argument("--context-tokens", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    return parser.parse_args()


def end_with_parent() -> None:
    """Have Linux end this process with its parent even while the engine holds the interpreter."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def exit_at_end_of_input() -> None:
    """Wait for the end of the input, and end this process then, whatever else it does."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
