from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BOT = Path(__file__).parents[3] / "bot"
PACKAGE = {
    "pkg/__init__.py": "from pkg import base\n",
    "pkg/base.py": "def double(x):\n    return 2 * x\n\n\nclass Base:\n    pass\n",
    "pkg/mod.py": """\
from pkg.base import (
    double,
)

TABLE = {
    n: double(n)
    for n in range(2)
}


def branch(x):
    if x:
        return (1 +
                2)
    for _ in range(x):
        pass
    return [double(y) for y in (1,)]
""",
    "pkg/lazy.py": "def late():\n    from pkg import mod\n    return mod\n",
    "pkg/other.py": "from importlib import import_module\n\nMOD = import_module('.mod', 'pkg')\n",
}


@pytest.fixture
def ask(tmp_path):
    for path, text in PACKAGE.items():
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    files = [str(tmp_path / path) for path in PACKAGE]

    def run(code: str):
        program = f"import json\nfrom llm_testgen.runner.guest.measure import Meter\nfrom llm_testgen.runner.guest.ledger import Ledger\nfiles = {files!r}\nmeter = Meter(files)\n{code}"
        result = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env={"PYTHONPATH": f"{BOT}:{tmp_path}", "PYTHONDONTWRITEBYTECODE": "1"},
            text=True,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return run


# What a child would be credited with, all in all.
CREDITED = """
sums = dict(ledger.always)
for name in ledger.touched():
    for path, arcs in ledger.credits[name].items():
        sums[path] = sums.get(path, set()) | arcs
print(json.dumps(meter.executed(sums)))
"""


def by_name(files: dict) -> dict:
    return {Path(path).name: record for path, record in files.items()}


def test_what_is_taken_is_what_coverage_reports(ask):
    use = "import pkg.mod\npkg.mod.branch(1); pkg.mod.branch(0)\n"
    taken = by_name(ask(f"{use}print(json.dumps(meter.executed(meter.take())))"))
    reported = by_name(ask(f"{use}print(json.dumps(meter.report(files, '.')))"))
    touched = {name: file for name, file in reported.items() if file["executed"]}
    assert set(taken) == set(touched) == {"__init__.py", "base.py", "mod.py"}
    for name, file in touched.items():
        assert taken[name]["executed"] == sorted(file["executed"]), name
        assert sorted(map(tuple, taken[name]["branches"])) == sorted(map(tuple, file["branches"])), name
    assert taken["mod.py"]["branches"]


def test_what_was_taken_is_not_taken_again(ask):
    first, second, third = ask(
        "import pkg.mod\na = meter.take()\nb = meter.take()\npkg.mod.branch(1)\nc = meter.take()\n"
        "print(json.dumps([meter.executed(x) for x in (a, b, c)]))"
    )
    assert second == {}
    assert by_name(third) == {"mod.py": {"executed": [12, 13], "branches": [[12, 13]]}}
    assert 11 in by_name(first)["mod.py"]["executed"]


def test_to_announce_a_file_executes_none_of_it(ask):
    assert ask("meter.announce(files[1])\nprint(json.dumps(meter.executed(meter.take())))") == {}


def test_an_import_is_credited_to_whoever_touches_the_module(ask):
    fresh = "print(json.dumps(meter.executed(meter.take())))"
    ahead = "ledger = Ledger(meter.take)\nledger.close_accounts()\nimport pkg.lazy, pkg.other, pkg.mod\nledger.stop()\n"
    credited = CREDITED
    for use in ("import pkg.lazy", "from pkg import other", "from pkg.mod import branch", "from pkg.base import Base"):
        assert by_name(ask(f"{ahead}{use}\n{credited}")) == by_name(ask(f"{use}\n{fresh}")), use
    assert ask(f"{ahead}{credited}") == {}


def test_an_import_inside_a_function_is_credited_when_the_function_runs(ask):
    ahead = "ledger = Ledger(meter.take)\nledger.close_accounts()\nimport pkg.mod, pkg.lazy\nledger.stop()\n"
    credited = CREDITED
    assert "mod.py" not in by_name(ask(f"{ahead}import pkg.lazy\n{credited}"))
    assert "mod.py" in by_name(ask(f"{ahead}import pkg.lazy\npkg.lazy.late()\n{credited}"))


def test_what_was_imported_before_the_accounts_were_closed_is_everybodys(ask):
    early = "ledger = Ledger(meter.take)\nimport pkg.base\nledger.close_accounts()\nimport pkg.mod\nledger.stop()\n"
    credited = by_name(ask(f"{early}{CREDITED}"))
    assert set(credited) == {"__init__.py", "base.py"}
    assert credited["base.py"]["executed"] == [1, 5, 6]
