"""What jedi says of a project; runs where jedi is installed: ``python guest_jedi.py REQUEST RESULT``, files of JSON.

The request is ``{"root": folder, "import_path": folder, "files": [paths below the root], "wanted": "names" or "calls",
"seconds": of CPU time}``. ``names`` lists every definition of each file, until the time is up, and gives what
`guest_parse` gives, and ``"done"``, how many files there was time for. ``calls`` follows each call to where it leads,
and gives ``"done"`` too, and ``"calls"``, a list of ``[path, line of the call, path, line of the definition]``.
"""

from __future__ import annotations

import ast
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

jedi: Any = importlib.import_module("jedi")
_DEPTH = 8  # of base classes that are looked into for an __init__


def main() -> None:
    """Ask."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    root = Path(request["root"])
    project = jedi.Project(root, added_sys_path=[request["import_path"]])
    cpu, started = time.process_time(), time.monotonic()
    result: dict[str, Any] = _names(request, root, project) if request["wanted"] == "names" else {}
    if request["wanted"] == "calls":
        result = _Caller(root, project, request["seconds"]).calls(request["files"])
    result |= {"cpu": time.process_time() - cpu, "seconds": time.monotonic() - started}
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")


def _names(request: dict[str, Any], root: Path, project: Any) -> dict[str, int]:  # noqa: ANN401 - jedi is not typed here
    done = definitions = 0
    for path in request["files"]:
        if time.process_time() > request["seconds"]:
            break
        done += 1
        try:
            names = jedi.Script(path=root / path, project=project).get_names(all_scopes=True, definitions=True)
            definitions += sum(name.type in {"class", "function"} for name in names)
        except Exception:  # noqa: BLE001, S112 - a file that jedi stumbles over has cost time, and holds nothing
            continue
    return {"done": done, "definitions": definitions}


class _Caller:
    def __init__(self, root: Path, project: Any, seconds: float) -> None:  # noqa: ANN401
        self._root = root
        self._project = project
        self._seconds = seconds

    def calls(self, paths: list[str]) -> dict[str, Any]:
        """Every call of the files, as far as jedi can follow it and time allows."""
        found: list[list[object]] = []
        done = 0
        for path in paths:
            text = (self._root / path).read_text(encoding="utf-8")
            script = jedi.Script(text, path=self._root / path, project=self._project)
            lines = text.split("\n")
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call) and time.process_time() < self._seconds:
                    found += [[path, node.lineno, *place] for place in self._places(script, lines, node.func)]
            done += time.process_time() < self._seconds
        return {"calls": found, "done": done}

    def _places(self, script: Any, lines: list[str], function: ast.expr) -> list[tuple[str, int]]:  # noqa: ANN401
        line, column = function.end_lineno or 1, (function.end_col_offset or 1) - 1
        column = len(lines[line - 1].encode()[:column].decode(errors="replace"))
        try:
            names = script.goto(line, column, follow_imports=True, follow_builtin_imports=False)
            places = [self._place(name, 0) for name in names]
        except Exception:  # noqa: BLE001 - what jedi cannot follow is not followed, whatever it stumbles over
            return []
        return [place for place in places if place is not None]

    def _place(self, name: Any, depth: int) -> tuple[str, int] | None:  # noqa: ANN401
        if name.module_path is None or name.line is None:
            return None
        if name.type == "class":
            made = self._init(name, depth)
            return self._place(made, depth) if made is not None else None
        if name.type not in {"function", "property"}:
            return None
        path = Path(name.module_path)
        return (path.relative_to(self._root).as_posix(), name.line) if path.is_relative_to(self._root) else None

    def _init(self, cls: Any, depth: int) -> Any:  # noqa: ANN401
        """The ``__init__`` of a class or of the first of its bases that has one."""
        own = [name for name in cls.defined_names() if name.name == "__init__"]
        if own or depth > _DEPTH:
            return own[0] if own else None
        script = jedi.Script(path=cls.module_path, project=self._project)
        for node in ast.walk(ast.parse(Path(cls.module_path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name == cls.name:
                for base in node.bases:
                    for name in script.goto(base.end_lineno, (base.end_col_offset or 1) - 1, follow_imports=True):
                        found = self._init(name, depth + 1) if name.type == "class" and name.module_path else None
                        if found is not None:
                            return found
        return None


if __name__ == "__main__":
    main()
