from __future__ import annotations

import ast
from dataclasses import replace

import pytest
from tests.samples import changed_method

from llm_testgen.bench.pulls.rewriting import without_comments

SOURCE = '''\
class Box:
    """A box."""

    def area(self, times=1):  # in metres
        """What it covers.

        # not a comment
        """
        # Nothing below nothing.
        if times < 0:
            raise ValueError("# no comment")  # wrong
        def inner():
            """Only this."""
        return self.side ** 2 * times
'''


def stripped(source, name):
    (definition,) = without_comments(changed_method(source, name)).definitions
    return definition


def test_comments_and_docstrings_go_and_every_line_of_code_stays_where_it_is():
    found = stripped(SOURCE, "Box.area")
    lines = found.source.split("\n")
    assert lines[0] == "    def area(self, times=1):"
    assert lines[1:6] == [""] * 5
    assert lines[6:8] == ["        if times < 0:", '            raise ValueError("# no comment")']
    assert lines[9] == "            ..."
    assert lines[10] == "        return self.side ** 2 * times"
    assert found.docstring == ""
    assert len(lines) == len(changed_method(SOURCE, "Box.area").method.source.split("\n"))


def test_the_code_means_the_same():
    source = 'def f(x):\n    """Doc."""\n    # why\n    return x  # that\n'
    found = ast.parse(stripped(source, "f").source)
    assert ast.dump(found) == ast.dump(ast.parse("def f(x):\n    return x"))


@pytest.mark.parametrize("source", ['def f(): """Doc."""', 'def f():\n    """Doc."""; return 1', "def f(:\n    pass"])
def test_what_cannot_be_taken_apart_by_lines_stays_as_it_is(source):
    target = changed_method("def f():\n    return 1\n", "f")
    target = replace(target, definitions=(replace(target.method, source=source),))
    assert without_comments(target).method.source == source
