"""Entry of this folder, wherever it lies: ``python FOLDER/__main__.py [launch PLAN]``."""

import importlib
import os
import sys
from types import ModuleType


def _load(name: str) -> ModuleType:
    parent, package = os.path.split(os.path.dirname(os.path.abspath(__file__)))
    sys.path.insert(0, parent)
    try:
        return importlib.import_module(f"{package}.{name}")
    finally:
        sys.path.remove(parent)


if sys.argv[1:2] == ["launch"]:
    del sys.argv[1]
    _load("launch").main()
else:
    # As `python -m pytest` does; and this folder is no place to import from.
    sys.path[0] = os.getcwd()
    _load("serve").main()
