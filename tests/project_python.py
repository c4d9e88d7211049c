"""The interpreter of the projects that tests make: pytest and coverage, and nothing that makes them slow to start."""

from __future__ import annotations

import atexit
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

_NEEDED = ("pytest", "coverage")
_NAME = re.compile(r"[\w.-]+")


@cache
def project_python() -> str:
    """A virtual environment's interpreter, made anew for each process that asks.

    The environment that the suite itself runs in has plugins, hypothesis above all, that take longer to load than
    pytest, and each execution of a candidate that starts from nothing would load them.
    """
    home = Path(tempfile.mkdtemp(prefix="llm-testgen-python-"))
    home.chmod(0o755)  # the sandbox runs it as another user
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / "bin" / "python"
    packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    for entry in _entries(set(_NEEDED)):
        # With the bytecode beside the source: projects are run without writing any.
        target = Path(packages.stdout.strip()) / entry.name
        shutil.copytree(entry, target) if entry.is_dir() else shutil.copy2(entry, target)
    return str(python)


def _entries(wanted: set[str]) -> set[Path]:
    """What these distributions and those that they need have installed beside each other."""
    seen: set[str] = set()
    entries = set()
    while wanted:
        name = wanted.pop()
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # needed on another platform, or by an extra
        folder = Path(str(found.locate_file("")))
        names = {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}
        entries |= {folder / name for name in names}
        plain = (text for text in found.requires or () if "extra ==" not in text)
        wanted |= {match[0] for text in plain if (match := _NAME.match(text))} - seen
    return entries
