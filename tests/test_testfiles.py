from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
from tests.conftest import GitProject
from tests.placing import CANDIDATES, PATH, candidate

from llm_testgen.edges.gitwrite import unified_patch
from llm_testgen.records import TestFile
from llm_testgen.source import SourceError
from llm_testgen.stages.suggest import place
from llm_testgen.testfiles import layout_of, render

TEST = "def test_it():\n    pass"


def added(*imports: str, pieces: tuple[str, ...] = (TEST,), into: str = "") -> SimpleNamespace:
    return SimpleNamespace(imports=imports, pieces=pieces, into=into)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"import new\n\n\n{TEST}\n"),
        ("import os\n", f"import os\nimport new\n\n\n{TEST}\n"),
        ("import os\nX = 1\n", f"import os\nimport new\nX = 1\n\n\n{TEST}\n"),
        ("import os\n\nimport sys\n\n\nX = 1\n", f"import os\n\nimport sys\nimport new\n\n\nX = 1\n\n\n{TEST}\n"),
        ("import os; X = '''\n'''\nY = 1\n", f"import os; X = '''\n'''\nimport new\nY = 1\n\n\n{TEST}\n"),
        ("import os; \\\nX = 1\n", f"import os; \\\nX = 1\nimport new\n\n\n{TEST}\n"),
        ("from a import (\n    b,\n)\n", f"from a import (\n    b,\n)\nimport new\n\n\n{TEST}\n"),
        ("from __future__ import x\n\nX = 1\n", f"from __future__ import x\nimport new\n\nX = 1\n\n\n{TEST}\n"),
        ('"""Doc."""\n', f'"""Doc."""\n\nimport new\n\n\n{TEST}\n'),
        ('"""Doc."""\nX = 1\n', f'"""Doc."""\n\nimport new\n\n\nX = 1\n\n\n{TEST}\n'),
        ('"""Doc."""; X = 1\n', f'"""Doc."""; X = 1\n\nimport new\n\n\n{TEST}\n'),
        ("# Comment.\n", f"# Comment.\n\nimport new\n\n\n{TEST}\n"),
        ("# Licence.\n\nX = 1\n", f"# Licence.\n\nimport new\n\n\nX = 1\n\n\n{TEST}\n"),
        ("# About X.\nX = 1\n", f"import new\n\n\n# About X.\nX = 1\n\n\n{TEST}\n"),
        ("#!/bin/x\n# coding: utf-8\nX = 1\n", f"#!/bin/x\n# coding: utf-8\n\nimport new\n\n\nX = 1\n\n\n{TEST}\n"),
        ("\n\nX = 1\n", f"import new\n\n\nX = 1\n\n\n{TEST}\n"),
        ("X = 1\n\n\nimport late\n", f"X = 1\n\n\nimport late\nimport new\n\n\n{TEST}\n"),
        ("def f():\n    pass\n\n\nimport late\n", f"import new\n\n\ndef f():\n    pass\n\n\nimport late\n\n\n{TEST}\n"),
        (
            "if TYPE_CHECKING:\n    import x\n\nX = 1\n",
            f"import new\n\n\nif TYPE_CHECKING:\n    import x\n\nX = 1\n\n\n{TEST}\n",
        ),
        (
            "import sys\n\nsys.path.insert(0, 'x')\n\nX = 1\n",
            f"import sys\n\nsys.path.insert(0, 'x')\nimport new\n\nX = 1\n\n\n{TEST}\n",
        ),
        ("X = 1", f"import new\n\n\nX = 1\n\n\n{TEST}\n"),
        ("X = 1\n\n\n\n", f"import new\n\n\nX = 1\n\n\n{TEST}\n\n\n\n"),
        ("X = 1\n    ", f"import new\n\n\nX = 1\n\n\n{TEST}\n    "),
        ("X = 1 \\\n\n", f"import new\n\n\nX = 1 \\\n\n\n{TEST}\n"),
        ("X = 1\n# The end.\n", f"import new\n\n\nX = 1\n# The end.\n\n\n{TEST}\n"),
        ("X = 1\n\f\n", f"import new\n\n\nX = 1\n\n\n{TEST}\n\f\n"),
        (
            "def f():\n    pass\n    # its end\n\n\n# How.\nif __name__ == '__main__':\n    f()\n",
            f"import new\n\n\ndef f():\n    pass\n    # its end\n\n\n{TEST}\n\n\n# How.\nif __name__ == '__main__':\n    f()\n",
        ),
        ("if __name__ == '__main__':\n    f()", f"import new\n\n\n{TEST}\n\n\nif __name__ == '__main__':\n    f()"),
        ('"""Doc."""\nif __name__ == "__main__":\n    f()\n', f'"""Doc."""\n\nimport new\n\n\n{TEST}\n\n\nif __name__ == "__main__":\n    f()\n'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_imports_and_a_test_are_put_in(before, after, mark, newline):
    if "\n" not in before:
        newline = "\n"  # nothing tells that it should be another
    if not before:
        mark = ""
    assert render(mark + before.replace("\n", newline), [added("import new")]) == mark + after.replace("\n", newline)


@pytest.mark.parametrize("text", ["", "\n", "X = 1", "X = 1\n\n", "\ufeffX = 1\r\n", "\ufeff", "def f(): pass\n    "])
def test_nothing_added_changes_nothing(text):
    assert render(text, []) == text


def test_imports_of_a_new_file_are_grouped_those_of_another_are_appended():
    more = added("from pkg import b", "import os", "import pkg", "from __future__ import annotations", "import os")
    assert render("", [more]).startswith(
        "from __future__ import annotations\n\nimport os\n\nimport pkg\nfrom pkg import b\n\n\n"
    )
    assert render("import a\n", [added("import z", "import b")]).startswith("import a\nimport z\nimport b\n")


def test_a_method_goes_to_the_end_of_its_class_and_what_it_brings_to_that_of_the_file():
    text = "class A:\n    def a(self):\n        pass\n    # the end\nX = 1\n\n\nclass B:\n    x = 1\n"
    method = added(pieces=("def help():\n    pass", "    def test(self):\n        pass"), into="A")
    assert render(text, [method]) == (
        "class A:\n    def a(self):\n        pass\n    # the end\n\n    def test(self):\n        pass\n"
        "X = 1\n\n\nclass B:\n    x = 1\n\n\ndef help():\n    pass\n"
    )


@pytest.mark.parametrize(
    ("before", "addition"),
    [
        ("def broken(:\n", added()),
        ("x = 1\r\ny = 2\n", added()),
        ("x = '\r'\n", added()),
        ("x = 1\ry = 2\r\n", added()),
        ("# coding: latin-1\n", added()),
        ("\0", added()),
        ("x = 1\n", added(into="A")),
        ("class A: pass\n", added(into="A")),
        ("class A:\n    pass\n", added(pieces=("def a(:",), into="A")),
        ("x = 1\n", added("import")),
        ("x = 1\n", added("print()")),
        ("x = 1\n", added("import os; print()")),
        ("x = 1\n", added("from os import (\n    path)")),
        ("x = 1\n", added(pieces=("def broken(:", TEST))),
    ],
)
def test_what_is_no_file_or_no_test_is_refused(before, addition):
    with pytest.raises(SourceError):
        render(before, [addition])


def test_a_file_is_told_from_its_lines_and_marks():
    layout = layout_of("\ufeff# coding: utf8\r\nx = 1")
    assert (layout.lines, layout.newline, layout.mark, layout.closed) == (
        ("# coding: utf8", "x = 1"),
        "\r\n",
        "\ufeff",
        False,
    )
    assert layout.text == "\ufeff# coding: utf8\r\nx = 1"


TEXTS = {
    "plain": "import os\n\n\ndef test_old():\n    assert os\n",
    "class": "class TestBox:\n\tdef test_old(self):\n\t\tassert True\n\n\nX = 1\n",
    "main": "def test_old():\n    pass\n\n\nif __name__ == '__main__':\n    test_old()\n",
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("closed", [True, False])
def test_git_applies_the_patch_of_any_of_the_tests(git_project: GitProject, name, newline, closed):
    before = TEXTS[name] if closed else TEXTS[name].rstrip("\n")
    before = before.replace("\n", newline)
    wanted = ["test_it", "test_fixture", "TestBox::test_a"]
    _, placed = place([candidate(one) for one in wanted], {PATH: before})
    git_project.write(PATH, before)
    git_project.commit()
    patch = git_project.root.parent / "tests.patch"
    for count in range(1, len(placed) + 1):
        for taken in itertools.combinations(placed, count):
            after = render(before, taken)
            patch.write_bytes(unified_patch([TestFile(PATH, before, after)]))
            git_project.git("apply", "--whitespace=nowarn", str(patch))
            assert (git_project.root / PATH).read_bytes() == after.encode()
            git_project.git("checkout", "--", PATH)


def test_every_candidate_of_the_properties_is_valid():
    for name, code in CANDIDATES.items():
        compile(code, name, "exec")
