"""The child process that serves a mixture of LoRA experts with transformers, as `llama_server` serves a GGUF file.

The first line of its input is the key that requests must carry; when the input ends, the parent is gone and so is the
child. When the server listens, it prints one line of JSON, ``{"url": ...}``; all else goes to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import warnings
from pathlib import Path

from llm_testgen.edges.llama_server import end_with_parent, exit_at_end_of_input
from llm_testgen.errors import LlmTestgenError


def main() -> None:
    """Serve until the parent ends, or a signal comes."""
    arguments = _arguments()
    end_with_parent()
    key = sys.stdin.readline().strip()
    threading.Thread(target=exit_at_end_of_input, daemon=True).start()
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the libraries print belongs to the log
    warnings.simplefilter("ignore")  # the last line of the log is to say why it ended
    # Late, as the parent's key has to be read in any case.
    from llm_testgen.tuning.serving.chat import Chat, load, other_base  # noqa: PLC0415
    from llm_testgen.tuning.serving.http import listen  # noqa: PLC0415

    weights, mixture = Path(arguments.weights), Path(arguments.adapter)
    try:
        warning = other_base(weights, mixture)
        if warning:
            sys.stderr.write(f"warning: {warning}\n")
        model = load(weights, mixture, arguments.threads)
    except LlmTestgenError as error:
        sys.exit(str(error))
    server = listen(Chat(model, arguments.context_tokens), key, mixture.name)
    report.write(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}) + "\n")
    report.flush()
    server.serve_forever()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", help="a GGUF file, or a folder of transformers")
    parser.add_argument("--adapter", required=True, help="the folder of a mixture")
    parser.add_argument("--context-tokens", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
