"""The floor of any index of Python files: read each and make its syntax tree.

``python guest_parse.py REQUEST RESULT``, both files of JSON: ``{"root": folder, "files": [paths below it]}`` →
``{"cpu": seconds, "seconds": of the wall clock}``.
"""

from __future__ import annotations

import ast
import json
import sys
import time
import warnings


def main() -> None:
    """Measure."""
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123 - a bare interpreter starts faster without pathlib
        request = json.load(file)
    warnings.simplefilter("ignore")
    cpu, started = time.process_time(), time.monotonic()
    for path in request["files"]:
        with open(f"{request['root']}/{path}", "rb") as file:  # noqa: PTH123
            data = file.read()
        try:
            ast.parse(data)
        except (SyntaxError, ValueError, RecursionError):
            continue
    result = {"cpu": time.process_time() - cpu, "seconds": time.monotonic() - started}
    with open(sys.argv[2], "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(result, file)


if __name__ == "__main__":
    main()
