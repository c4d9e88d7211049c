"""Our index in a process of its own, to be measured: ``python -m llm_testgen.bench.indexing.own_index REQUEST RESULT``.

Both are files of JSON: ``{"root": folder, "files": [[path below it, blob id]], "database": file, "changed": null or
[path, blob id, text], "graph": whether to make the call graph instead of an update}`` → as `guest_parse`, and
``"definitions"``, how many classes and functions there are, or calls in the graph.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from llm_testgen.index import Index
from llm_testgen.records import Snapshot, TreeFile


def main() -> None:
    """Measure."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    snapshot = _snapshot(Path(request["root"]), request["files"], request["changed"])
    cpu, started = time.process_time(), time.monotonic()
    with Index.open(Path(request["database"])) as index:
        if request["graph"]:
            definitions = len(index.call_graph())
        else:
            stats = index.update(snapshot)
            definitions = stats.classes + stats.methods
    cost = {"cpu": time.process_time() - cpu, "seconds": time.monotonic() - started}
    result = {**cost, "definitions": definitions}
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")


def _snapshot(root: Path, files: list[tuple[str, str]], changed: list[str] | None) -> Snapshot:
    new = {changed[0]: changed[2].encode("utf-8")} if changed else {}
    blobs = dict(files) | ({changed[0]: changed[1]} if changed else {})
    tree = tuple(TreeFile(path, blob) for path, blob in sorted(blobs.items()))

    def read(file: TreeFile) -> bytes:
        if file.path in new:
            return new[file.path]
        with open(f"{root}/{file.path}", "rb") as opened:  # noqa: PTH123 - as the floor reads
            return opened.read()

    return Snapshot("0" * 40, tree, read)


if __name__ == "__main__":
    main()
