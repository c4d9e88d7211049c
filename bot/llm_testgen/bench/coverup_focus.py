"""Has CoverUp go on with some pieces of code alone: takes all others for done in its checkpoint (format 2).

It is run by its path, in CoverUp's environment, between a run with ``--dry-run``, which takes every piece with a gap
for done, and the real one, which resumes from there. A piece is a function, or a small class, from its first line to
the one behind its last.

Usage: ``coverup_focus.py CHECKPOINT {"path": [line, …], …}``
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    """Rewrite the checkpoint."""
    checkpoint, wanted = Path(sys.argv[1]), json.loads(sys.argv[2])
    if not checkpoint.exists():
        sys.exit("it did not begin: the suite that it is to extend does not end well, or no line is left to be covered")
    state = json.loads(checkpoint.read_text(encoding="utf-8"))
    lines = {str(Path(path).resolve()): found for path, found in wanted.items()}
    state["done"] = {
        path: [piece for piece in pieces if not any(piece[0] <= line < piece[1] for line in lines.get(path, ()))]
        for path, pieces in state["done"].items()
    }
    state["counters"] = dict.fromkeys(state["counters"], 0)
    checkpoint.write_text(json.dumps(state), encoding="utf-8")


if __name__ == "__main__":
    main()
