"""The direction of the imports, and who may touch what: the design's layout as three tables."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = "llm_testgen"
ROOT = Path(__file__).parents[1] / "bot" / PACKAGE
GUEST = "runner/guest/"

# The shared vocabulary, which every other part may use.
FOUNDATION = frozenset(
    {
        "assertions",
        "bounds",
        "clauses",
        "embedding",
        "errors",
        "faults",
        "feedback",
        "hazards",
        "interrupts",
        "lessons",
        "names",
        "paths",
        "proposal",
        "pulls",
        "recipe",
        "records",
        "reporting",
        "scopes",
        "shapes",
        "source",
        "statements",
        "testfiles",
        "toplevel",
    }
)
BELOW_PIPELINE = FOUNDATION | {"edges", "index", "observe", "repairs", "runner", "stages"}
# The pipeline, and what it asks about the project before and between the steps.
PIPELINE = frozenset({"asserting", "bandit", "baseline", "chain", "inline", "knowledge", "pipeline", "search", "tools"})
BELOW_COMMANDS = BELOW_PIPELINE | PIPELINE | {"delivery", "pages", "settings"}

# What each part may import of the package. A part is a top-level module or a folder; within a folder
# modules may import each other, but for SEPARATE ones.
MAY_IMPORT = {
    "assertions": FOUNDATION,
    "bounds": FOUNDATION,
    "clauses": FOUNDATION,
    "embedding": FOUNDATION,
    "errors": frozenset(),
    "faults": FOUNDATION,
    "feedback": FOUNDATION,
    "hazards": FOUNDATION,
    "interrupts": FOUNDATION,
    "lessons": FOUNDATION,
    "names": FOUNDATION,
    "paths": frozenset(),
    "proposal": FOUNDATION,
    "pulls": FOUNDATION,
    "recipe": FOUNDATION,
    "records": FOUNDATION,
    "reporting": FOUNDATION,
    "scopes": FOUNDATION,
    "shapes": FOUNDATION,
    "source": FOUNDATION,
    "statements": FOUNDATION,
    "testfiles": FOUNDATION,
    "toplevel": FOUNDATION,
    "observe": FOUNDATION | {"repairs"},
    "repairs": FOUNDATION,
    "settings": FOUNDATION | {"repairs"},
    "delivery": FOUNDATION,
    "pages": FOUNDATION | {"delivery"},
    "edges": FOUNDATION,
    "index": FOUNDATION,
    "runner": FOUNDATION,
    "stages": FOUNDATION | {"repairs"},
    "asserting": BELOW_PIPELINE | {"settings", "tools"},
    "bandit": frozenset(),
    "baseline": BELOW_PIPELINE | {"settings"},
    "chain": BELOW_PIPELINE | {"settings"},
    "inline": BELOW_PIPELINE | {"tools"},
    "knowledge": BELOW_PIPELINE | {"settings"},
    "tools": BELOW_PIPELINE,
    "search": BELOW_PIPELINE | {"bandit", "baseline", "chain", "settings", "tools"},
    "pipeline": BELOW_PIPELINE | PIPELINE | {"settings"},
    "commands": BELOW_COMMANDS | {"bench", "evolution"},
    "bench": BELOW_COMMANDS,
    "tuning": BELOW_COMMANDS | {"bench"},
    "evolution": BELOW_COMMANDS,
    "cli": FOUNDATION | {"commands", "bench", "tuning"},
    "__main__": frozenset({"cli"}),
    "__init__": frozenset(),
}
SEPARATE = frozenset({"stages"})

# The one place of each outside library: a module, or a folder with a slash at its end.
ONLY_IN = {
    "click": ("cli.py", "commands/", "bench/", "tuning/"),
    "coverage": ("edges/coverage_files.py", GUEST, "bench/floor.py"),
    "datasets": ("tuning/",),
    "deap": ("evolution/breeding.py",),
    "diff_cover": ("edges/diff_cover.py",),
    "github": ("edges/github/",),
    "gguf": ("tuning/quantising/",),
    "huggingface_hub": ("edges/models.py", "tuning/data/", "tuning/quantising/checkpoint.py"),
    "accelerate": ("tuning/training/",),
    "jinja2": (
        "pages/render.py",
        "stages/prompt.py",
        "tuning/data/lengths.py",
        "tuning/serving/chat.py",
        "tuning/training/rendering.py",
    ),
    "libcst": ("faults/",),
    "matplotlib": ("bench/pulls/plots.py", "tuning/quantising/plots.py", "tuning/training/plots.py"),
    "mutmut": ("faults/operators.py",),
    "numpy": ("bench/pulls/estimates.py", "tuning/quantising/"),
    "peft": ("tuning/",),
    "pygit2": ("edges/git.py", "edges/gitdiff.py", "edges/gitwrite.py"),
    "requests": ("edges/github/",),
    "safetensors": ("tuning/",),
    "psutil": ("tuning/memory.py",),
    "scipy": ("bench/pulls/estimates.py",),
    "rich": ("commands/", "bench/", "tuning/"),
    "sqlite3": ("index/", "edges/session.py"),
    "torch": ("tuning/",),
    "transformers": ("tuning/",),
    "xllamacpp": ("edges/llama_server.py", "tuning/quantising/ggml.py"),
}

# Parts that talk to the person and to the machine's environment; no other does.
TALKS = frozenset({"cli", "__main__", "commands", "bench", "tuning"})
FORBIDDEN_BELOW = frozenset({"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv", "print", "input"})

GUEST_LIBRARIES = sys.stdlib_module_names | {"_pytest", "coverage", "pytest"}


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name, absolute: ``llm_testgen.records.Lines`` of ``from llm_testgen.records import Lines``."""

    name: str
    line: int

    @property
    def library(self):
        return self.name.partition(".")[0]

    @property
    def part(self):
        """The part of the package that it names; empty for another library's, or for the package itself."""
        library, _, rest = self.name.partition(".")
        return rest.partition(".")[0] if library == PACKAGE else ""


# The demo's sample project is data of the package, and no part of it.
MODULES = sorted(
    path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py") if "sample" not in path.relative_to(ROOT).parts
)


def part_of(module):
    return module.partition("/")[0].removesuffix(".py")


@cache
def tree(module):
    return ast.parse((ROOT / module).read_bytes(), filename=module)


def imports(module) -> Iterator[Import]:
    """Every import of a module, those inside functions and type-checking blocks too."""
    package = [PACKAGE, *module.split("/")[:-1]]
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            origin = ".".join(filter(None, [start, node.module]))
            yield from (Import(f"{origin}.{alias.name}", node.lineno) for alias in node.names)


def used_names(module) -> Iterator[tuple[str, int]]:
    """Dotted names that a module's code mentions, with their lines; ``from os import environ`` counts as one."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}", node.lineno
        elif isinstance(node, ast.Name):
            yield node.id, node.lineno
    yield from ((found.name, found.line) for found in imports(module))


def is_within(module, places):
    return any(module.startswith(place) if place.endswith("/") else module == place for place in places)


def test_the_package_is_looked_at():
    assert {"records.py", "stages/__init__.py", "edges/__init__.py", "cli.py"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_belongs_to_a_part_of_the_table(module):
    assert part_of(module) in MAY_IMPORT, "a new part of the package needs its row in MAY_IMPORT"


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards(module):
    own = part_of(module)
    names = {part for part in MAY_IMPORT if part != "__init__"}
    wrong = [
        f"{module}:{found.line} imports {found.name}"
        for found in imports(module)
        if found.part in names and found.part != own and found.part not in MAY_IMPORT.get(own, ())
    ]
    assert wrong == []


@pytest.mark.parametrize("module", [module for module in MODULES if part_of(module) in SEPARATE])
def test_stages_do_not_import_each_other(module):
    own = part_of(module)
    assert [f"{module}:{found.line} imports {found.name}" for found in imports(module) if found.part == own] == []


@pytest.mark.parametrize("module", MODULES)
def test_each_outside_library_has_its_one_place(module):
    wrong = [
        f"{module}:{found.line} imports {found.name}; only {', '.join(ONLY_IN[found.library])} may"
        for found in imports(module)
        if found.library in ONLY_IN and not is_within(module, ONLY_IN[found.library])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "module", [module for module in MODULES if part_of(module) not in TALKS and not module.startswith(GUEST)]
)
def test_nothing_below_the_commands_reads_the_environment_or_prints(module):
    wrong = [f"{module}:{line} uses {name}" for name, line in used_names(module) if name in FORBIDDEN_BELOW]
    assert wrong == []


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith(GUEST)])
def test_what_runs_beside_foreign_code_needs_python_3_9_pytest_and_coverage_only(module):
    ast.parse((ROOT / module).read_bytes(), feature_version=(3, 9))
    assert {found.library for found in imports(module)} - {PACKAGE} <= GUEST_LIBRARIES
    assert [found.name for found in imports(module) if found.library == PACKAGE and ".guest" not in found.name] == []
