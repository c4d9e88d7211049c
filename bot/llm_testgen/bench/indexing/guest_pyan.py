"""The uses that pyan3 finds; runs where it is installed: ``python guest_pyan.py REQUEST RESULT``, files of JSON.

``{"root": folder, "import_path": folder, "files": [paths below the root]}`` → ``{"calls": [[path, line of the caller's
definition, path, line of the definition]], "cpu", "seconds"}``.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

analyzer: Any = importlib.import_module("pyan.analyzer")

_FUNCTIONS = frozenset({"function", "method", "staticmethod", "classmethod"})


def main() -> None:
    """Ask."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    root = Path(request["root"])
    logger = logging.getLogger("pyan")
    logger.setLevel(logging.CRITICAL)
    cpu, started = time.process_time(), time.monotonic()
    files = [str(root / path) for path in request["files"]]
    visitor = analyzer.CallGraphVisitor(files, root=request["import_path"], logger=logger)
    calls = [
        [*caller, *callee]
        for source, targets in visitor.uses_edges.items()
        for target in targets
        if (caller := _place(source, root)) and (callee := _place(target, root))
    ]
    result = {"calls": calls, "cpu": time.process_time() - cpu, "seconds": time.monotonic() - started}
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")


def _place(node: Any, root: Path) -> tuple[str, int] | None:  # noqa: ANN401 - pyan is not typed here
    line = getattr(node.ast_node, "lineno", None)
    if node.flavor.value not in _FUNCTIONS or node.filename is None or line is None:
        return None
    path = Path(node.filename)
    return (path.relative_to(root).as_posix(), line) if path.is_relative_to(root) else None


if __name__ == "__main__":
    main()
