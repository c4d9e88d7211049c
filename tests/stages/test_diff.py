from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Protocol

import pytest

from llm_testgen.edges.git import Repository
from llm_testgen.records import Change, ChangedMethod, ChangeStatus, MethodKind
from llm_testgen.stages.diff import changed_methods

Files = Mapping[str, str | bytes | None]


class Project(Protocol):
    root: Path

    def write(self, path: str, content: str | bytes) -> Path: ...
    def delete(self, path: str) -> None: ...
    def move(self, old: str, new: str) -> None: ...
    def commit(self, message: str = ...) -> str: ...
    def git(self, *arguments: str) -> str: ...


Compare = Callable[[Files, Files], Change]


@pytest.fixture
def compare(git_project: Project) -> Compare:
    """What changed between two sets of files, committed one after the other; None deletes a file."""

    def write(files: Files) -> str:
        for path, content in files.items():
            if content is None:
                git_project.delete(path)
            else:
                git_project.write(path, dedent(content) if isinstance(content, str) else content)
        return git_project.commit()

    def run(before: Files, after: Files) -> Change:
        base, head = write(before), write(after)
        return changed_methods(base, head, Repository.open(git_project.root).changes(base, head))

    return run


@pytest.fixture
def edit(compare: Compare) -> Callable[[str | bytes, str | bytes], Change]:
    """What changed when one file, ``pkg/m.py``, did."""
    return lambda before, after: compare({"pkg/m.py": before}, {"pkg/m.py": after})


Edit = Callable[[str | bytes, str | bytes], Change]


def names(change: Change) -> list[str]:
    return [target.qualname for target in change.targets]


def only(change: Change) -> ChangedMethod:
    (target,) = change.targets
    return target


def reason(change: Change) -> str:
    (skip,) = change.skipped
    return skip.reason


class TestWhatIsATarget:
    def test_a_changed_function_is_one_with_its_changed_lines_and_its_source_at_base(self, edit: Edit):
        target = only(
            edit(
                "def f(x):\n    y = x\n    return y\n\n\ndef g():\n    return 0\n",
                "import os\n\n\ndef f(x):\n    y = x + 1\n    return y\n\n\ndef g():\n    return 0\n",
            )
        )
        assert target.id == "pkg/m.py::f"
        assert target.lines == {5}
        assert target.status is ChangeStatus.MODIFIED
        assert target.base_source == "def f(x):\n    y = x\n    return y"
        assert target.method.kind is MethodKind.FUNCTION

    def test_a_new_method_of_a_known_class_is_one_and_its_class_is_not(self, edit: Edit):
        change = edit(
            "class A:\n    def a(self):\n        return 1\n",
            "class A:\n    def a(self):\n        return 1\n\n    def b(self):\n        return 2\n",
        )
        target = only(change)
        assert (target.qualname, target.method.kind) == ("A.b", MethodKind.METHOD)
        assert (target.status, target.base_source) == (ChangeStatus.ADDED, "")
        assert target.lines == {5, 6}

    def test_a_nested_function_belongs_to_the_one_around_it(self, edit: Edit):
        target = only(
            edit(
                "def outer():\n    def inner():\n        return 1\n    return inner\n",
                "def outer():\n    def inner():\n        return 2\n    return inner\n",
            )
        )
        assert (target.qualname, target.lines) == ("outer", {3})

    def test_a_method_of_a_nested_class_is_addressed_through_both_classes(self, edit: Edit):
        target = only(
            edit(
                "class A:\n    class B:\n        def f(self):\n            return 1\n",
                "class A:\n    class B:\n        def f(self):\n            return 2\n",
            )
        )
        assert (target.qualname, target.lines) == ("A.B.f", {4})

    def test_an_async_function_is_one(self, edit: Edit):
        assert names(edit("async def f():\n    return 1\n", "async def f():\n    return 2\n")) == ["f"]

    def test_making_a_function_async_changes_it(self, edit: Edit):
        assert names(edit("def f():\n    return 1\n", "async def f():\n    return 1\n")) == ["f"]

    def test_a_property_and_its_setter_are_one_target(self, edit: Edit):
        source = """\
            class A:
                @property
                def x(self):
                    return self._x

                @x.setter
                def x(self, value):
                    self._x = {value}
            """
        target = only(edit(source.format(value="value"), source.format(value="int(value)")))
        assert target.qualname == "A.x"
        assert [method.start for method in target.definitions] == [2, 6]
        assert target.lines == {8}

    def test_overloads_are_definitions_of_their_function_and_hold_no_lines_to_cover(self, edit: Edit):
        before = "def f(x):\n    return x\n"
        after = """\
            from typing import overload

            @overload
            def f(x: int) -> int: ...
            @overload
            def f(x: str) -> str:
                pass
            def f(x):
                return x * 2
            """
        target = only(edit(before, after))
        assert len(target.definitions) == 3
        assert target.method.start == 8
        assert target.lines == {9}

    def test_a_change_of_an_overload_alone_is_skipped(self, edit: Edit):
        source = """\
            from typing import overload
            @overload
            def f(x: {type}) -> int: ...
            def f(x):
                return x
            """
        change = edit(source.format(type="int"), source.format(type="bool"))
        assert change.targets == ()
        assert "only its types" in reason(change)

    def test_a_changed_decorator_is_a_change_of_the_method(self, edit: Edit):
        target = only(edit("@cache(1)\ndef f():\n    return 1\n", "@cache(2)\ndef f():\n    return 1\n"))
        assert (target.qualname, target.lines, target.method.start) == ("f", {1}, 1)

    def test_definitions_under_if_else_and_try_are_found(self, edit: Edit):
        source = """\
            import sys
            if sys.platform == "win32":
                def f():
                    return {n}
            else:
                def f():
                    return 3
            try:
                import x
            except ImportError:
                class A:
                    def g(self):
                        return {n}
            """
        change = edit(source.format(n=1), source.format(n=2))
        assert names(change) == ["f", "A.g"]
        assert len(change.targets[0].definitions) == 2
        assert change.targets[0].lines == {4}

    def test_a_changed_field_makes_the_class_a_target_with_its_own_lines_only(self, edit: Edit):
        source = "@dataclass\nclass A:\n    x: int = {}\n\n    def f(self):\n        return {}\n\n    y: int = 0\n"
        change = edit(source.format(1, 1), source.format(2, 2))
        assert names(change) == ["A", "A.f"]
        assert change.targets[0].method.kind is MethodKind.CLASS
        assert [target.lines for target in change.targets] == [{3}, {6}]

    def test_another_base_class_makes_the_class_a_target(self, edit: Edit):
        target = only(edit("class A:\n    pass\n", "class A(dict):\n    pass\n"))
        assert (target.qualname, target.lines) == ("A", {1})

    def test_a_new_class_without_code_of_its_own_leaves_the_targets_to_its_methods(self, edit: Edit):
        change = edit(
            "",
            """\
            class Problem(Exception):
                \"\"\"Something.\"\"\"
            class A:
                \"\"\"Something.\"\"\"
                def f(self):
                    return 1
            class Colour(Enum):
                RED = 1
            """,
        )
        assert names(change) == ["A.f", "Colour"]

    def test_module_level_code_is_a_target_of_its_own(self, edit: Edit):
        target = only(edit("X = 1\ndef f():\n    return X\n", "X = 2\ndef f():\n    return X\nY = [\n    X,\n]\n"))
        assert target.id == "pkg/m.py::<module>"
        assert target.method.kind is MethodKind.MODULE
        assert target.lines == {1, 4, 5, 6}

    def test_every_method_of_a_new_file_is_one_in_the_order_of_the_lines(self, compare: Compare):
        change = compare(
            {"a.py": "A = 1\n"},
            {"pkg/m.py": "def z():\n    return 1\n\n\ndef a():\n    return 2\n\n\nX = z()\n", "b.py": "B = 1\n"},
        )
        assert [target.id for target in change.targets] == [
            "b.py::<module>",
            "pkg/m.py::<module>",
            "pkg/m.py::z",
            "pkg/m.py::a",
        ]
        assert change.targets[1].lines == {9}

    def test_a_renamed_method_is_a_new_target(self, edit: Edit):
        target = only(edit("def f():\n    return 1\n", "def g():\n    return 1\n"))
        assert (target.qualname, target.status, target.lines) == ("g", ChangeStatus.ADDED, {1})

    def test_a_merge_commit_as_head_is_judged_by_its_tree(self, git_project: Project):
        git_project.write("m.py", "def f():\n    return 1\n")
        base = git_project.commit()
        git_project.git("checkout", "-q", "-b", "side")
        git_project.write("n.py", "def g():\n    return 1\n")
        git_project.commit()
        git_project.git("checkout", "-q", "main")
        git_project.write("m.py", "def f():\n    return 2\n")
        git_project.commit()
        git_project.git("merge", "-q", "--no-edit", "side")
        repository = Repository.open(git_project.root)
        base, head = repository.merge_base(base, "HEAD")
        assert names(changed_methods(base, head, repository.changes(base, head))) == ["f", "g"]


class TestWhatIsNone:
    def test_a_method_that_moved_within_its_file_is_none(self, edit: Edit):
        one, two = "def f():\n    return 1\n\n\n", "def g():\n    a = 1\n    return a\n\n\n"
        change = edit(one + two, two + one)
        assert change.targets == change.skipped == ()
        assert change.changed_lines["pkg/m.py"]

    def test_a_method_that_moved_to_another_changed_file_is_none(self, compare: Compare):
        method = "def f(x):\n    return x\n"
        change = compare(
            {"a.py": f"A = 1\n{method}", "b.py": "B = 1\n"}, {"a.py": "A = 1\n", "b.py": f"B = 1\n{method}"}
        )
        assert change.targets == change.skipped == ()
        assert change.changed_lines == {"b.py": {2, 3}}

    def test_a_method_that_was_copied_to_another_file_is_one(self, compare: Compare):
        method = "def f(x):\n    return x\n"
        change = compare({"a.py": f"A = 1\n{method}", "b.py": "B = 1\n"}, {"a.py": f"A = 2\n{method}", "b.py": method})
        assert [target.id for target in change.targets] == ["a.py::<module>", "b.py::f"]

    def test_a_method_that_changed_on_its_way_to_another_file_is_one(self, compare: Compare):
        change = compare(
            {"a.py": "A = 1\ndef f(x):\n    return x\n", "b.py": "B = 1\n"},
            {"a.py": "A = 1\n", "b.py": "B = 1\ndef f(x):\n    return -x\n"},
        )
        assert only(change).id == "b.py::f"

    def test_a_file_that_was_split_has_no_targets(self, compare: Compare):
        one, two = "def f(x):\n    return x\n", "class A:\n    y = 1\n\n    def g(self):\n        return 2\n"
        change = compare({"a.py": one + two}, {"a.py": None, "b.py": one, "c.py": two})
        assert change.targets == ()

    def test_a_renamed_file_with_the_same_content_has_none(self, compare: Compare):
        source = "def f():\n    return 1\n"
        change = compare({"a.py": source}, {"a.py": None, "pkg/b.py": source})
        assert (change.targets, change.skipped, change.changed_lines) == ((), (), {})

    def test_of_a_renamed_file_only_what_changed_is_one(self, compare: Compare):
        source = "def f():\n    return {}\n\n\ndef g(a, b):\n    c = a + b\n    return c\n"
        change = compare({"a.py": source.format(1)}, {"a.py": None, "pkg/b.py": source.format(2)})
        target = only(change)
        assert (target.id, target.status, target.lines) == ("pkg/b.py::f", ChangeStatus.MODIFIED, {2})

    def test_deleted_methods_and_files_are_none(self, compare: Compare):
        change = compare(
            {"a.py": "def f():\n    return 1\n", "b.py": "def g():\n    return 1\n\n\ndef h():\n    return 2\n"},
            {"a.py": None, "b.py": "def h():\n    return 2\n"},
        )
        assert (change.targets, change.skipped, change.changed_lines) == ((), (), {})

    def test_a_method_that_only_lost_lines_is_skipped_with_the_reason(self, edit: Edit):
        change = edit("def f(x):\n    x += 1\n    return x\n", "def f(x):\n    return x\n")
        assert change.targets == ()
        assert (change.skipped[0].path, change.skipped[0].qualname) == ("pkg/m.py", "f")
        assert "only removed" in reason(change)

    @pytest.mark.parametrize(
        "after",
        [
            "# new\ndef f(x):  # here\n    # there\n    return [x, 1]\n",
            "\n\ndef f(x):\n\n    return [x, 1]\n",
            'def f(x):\n    """Documented."""\n    return [x, 1]\n',
            'def f(x):\n    """Documented.\n\n    At length.\n    """\n    return [x, 1]\n',
            '"""A module."""\n\ndef f(x):\n    return [x, 1]\n',
            "def f(\n    x,\n):\n    return [\n        x,\n        1,\n    ]\n",
            "def f(x): return [x, (1)]\n",
            "def f(x):\r\n    return [x, 1]\r\n",
        ],
        ids=["comment", "blank", "docstring", "long docstring", "module docstring", "layout", "one line", "CRLF"],
    )
    def test_comments_blank_lines_docstrings_and_layout_make_none(self, edit: Edit, after: str):
        change = edit("def f(x):\n    return [x, 1]\n", after.encode())
        assert change.targets == change.skipped == ()
        assert change.changed_lines["pkg/m.py"]

    def test_a_docstring_that_changed_along_with_code_is_no_line_to_cover(self, edit: Edit):
        change = edit(
            'def f(x):\n    """Old."""\n    return x\n',
            'def f(x):\n    """New.\n\n    Longer.\n    """  # fine\n\n    # why\n    return -x\n',
        )
        assert only(change).lines == {8}

    def test_code_beside_a_docstring_is_a_line_to_cover(self, edit: Edit):
        assert only(edit('def f(): "é"; return 1\n', 'def f(): "é"; return 2\n')).lines == {1}

    def test_a_blank_line_inside_a_string_is_code(self, edit: Edit):
        target = only(edit('def f():\n    return """a\nb"""\n', 'def f():\n    return """a\n\nb"""\n'))
        assert target.lines == {3}

    def test_types_of_constants_are_told_apart(self, edit: Edit):
        assert names(edit("def f():\n    return 1\n", "def f():\n    return True\n")) == ["f"]

    def test_a_change_of_imports_type_checking_blocks_and_exports_is_none_but_counted(self, edit: Edit):
        change = edit(
            "import os\n\nX = 1\n",
            """\
            from __future__ import annotations
            import os, sys
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                from a import (
                    B,
                )
                C = B | None
            __all__ = ["X"]
            __all__ += ["Y"]

            X = 1
            """,
        )
        assert change.targets == change.skipped == ()
        assert change.changed_lines == {"pkg/m.py": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}

    def test_what_runs_when_types_are_not_checked_is_code(self, edit: Edit):
        source = "import typing\nif typing.TYPE_CHECKING:\n    import a\nelse:\n    a = {}\n"
        assert only(edit(source.format(1), source.format(2))).lines == {5}

    def test_an_import_inside_a_function_is_code(self, edit: Edit):
        assert names(edit("def f():\n    import a\n", "def f():\n    import b\n")) == ["f"]

    def test_a_method_of_a_protocol_is_none(self, edit: Edit):
        after = 'class P(Protocol):\n    def f(self) -> int: ...\n\n    def g(self):\n        """Doc."""\n        ...\n'
        assert edit("", after).targets == ()

    def test_a_body_that_became_empty_is_one(self, edit: Edit):
        assert only(edit("def f():\n    return 1\n", "def f():\n    pass\n")).lines == {2}

    def test_a_deep_expression_is_compared_all_the_same(self, edit: Edit):
        deep = " + ".join(["x"] * 600)
        assert names(edit(f"def f(x):\n    return {deep}\n", f"def f(x):\n    return {deep} + 1\n")) == ["f"]


class TestEncodings:
    def test_a_file_with_windows_line_ends_has_the_same_lines(self, edit: Edit):
        target = only(edit(b"def f():\r\n    return 1\r\n", b"def f():\r\n    return 2\r\n"))
        assert (target.lines, target.base_source) == ({2}, "def f():\n    return 1")

    def test_a_byte_order_mark_is_no_change(self, edit: Edit):
        change = edit(b"def f():\n    return 1\n", b"\xef\xbb\xbfdef f():\n    return 1\n")
        assert change.targets == change.skipped == ()

    def test_a_form_feed_ends_no_line(self, edit: Edit):
        target = only(edit(b"X = 1\n\x0c\ndef f():\n    return 1\n", b"X = 1\n\x0c\ndef f():\n    return 2\n"))
        assert (target.qualname, target.lines) == ("f", {4})

    def test_a_coding_cookie_is_obeyed(self, edit: Edit):
        source = "# -*- coding: latin-1 -*-\ndef f():\n    return 'é{}'\n"
        target = only(edit(source.format(1).encode("latin-1"), source.format(2).encode("latin-1")))
        assert "é2" in target.method.source

    def test_bytes_that_are_no_text_are_skipped_with_the_reason(self, edit: Edit):
        change = edit(b"X = 1\n", b"X = '\xff'\n")
        assert "cannot be decoded" in reason(change)
        assert change.changed_lines == {"pkg/m.py": {1}}

    def test_a_syntax_error_at_head_is_skipped_with_its_line(self, edit: Edit):
        change = edit("X = 1\n", "X = 1\ndef f(:\n")
        assert change.targets == ()
        assert "line 2" in reason(change)

    def test_after_a_syntax_error_at_base_whatever_has_changed_lines_is_new(self, edit: Edit):
        change = edit(
            "def f(:\n    return 1\n\n\ndef g():\n    return 1\n",
            "def f():\n    return 1\n\n\ndef g():\n    return 1\n",
        )
        target = only(change)
        assert (target.qualname, target.lines, target.status) == ("f", {1}, ChangeStatus.ADDED)

    def test_an_empty_file_has_nothing(self, compare: Compare):
        change = compare({"a.py": "X = 1\n"}, {"pkg/__init__.py": "", "scripts/x.py": ""})
        assert (change.targets, change.skipped, change.changed_lines) == ((), (), {})


class TestFilesThatMakeNoTargets:
    @pytest.mark.parametrize(
        ("path", "content", "word"),
        [
            ("pkg/m.pyi", "def f() -> int: ...\n", "stub"),
            ("pkg/x_pb2.py", "X = 1\n", "generated"),
            ("pkg/x_pb2_grpc.py", "X = 1\n", "generated"),
            ("pkg/_version.py", "X = 1\n", "generated"),
            ("pkg/a.py", "#!/usr/bin/env python\n# @generated by hand\nX = 1\n", "generated"),
            ("pkg/b.py", '"""A parser."""\n  # This file: DO NOT EDIT.\nX = 1\n', "generated"),
            ("pkg/c.py", "# Autogenerated by ANTLR\nX = 1\n", "generated"),
            ("pkg/d.py", b"# Generated by x\nX = '\xff'\n", "generated"),
            ("pkg/attribute.gen.py", "X = 1\n", "generated"),
            ("pkg/theirs/x.py", "X = 1\n", "vendored"),
            ("pkg/_vendor/x.py", "X = 1\n", "vendored"),
            ("setup.py", "X = 1\n", "tooling"),
            ("docs/conf.py", "X = 1\n", "tooling"),
            ("pkg/a\\b.py", "X = 1\n", "characters"),
            ("pkg/a\tb.py", "X = 1\n", "characters"),
        ],
    )
    def test_they_are_skipped_with_the_reason(self, compare: Compare, path: str, content: str | bytes, word: str):
        attributes = "*.gen.py linguist-generated\ntheirs/** linguist-vendored\npkg/theirs/* linguist-vendored=true\n"
        change = compare({".gitattributes": attributes}, {path: content})
        assert change.targets == ()
        assert change.skipped[0].path == path
        assert word in reason(change)
        assert (path == "pkg/m.pyi") == (path not in change.changed_lines)

    def test_a_marker_in_a_string_or_far_below_does_not_make_code_generated(self, compare: Compare):
        far = "\n" * 30 + "# do not edit\n"
        change = compare({"a.py": ""}, {"pkg/a.py": 'X = "do not edit"\n', "pkg/b.py": f"Y = 1\n{far}"})
        assert [target.path for target in change.targets] == ["pkg/a.py", "pkg/b.py"]

    def test_test_files_are_left_out_without_a_word_but_counted(self, compare: Compare):
        change = compare({"a.py": ""}, {"tests/helpers.py": "X = 1\n", "test_a.py": "def test_a():\n    pass\n"})
        assert change.targets == change.skipped == ()
        assert change.changed_lines == {"test_a.py": {1, 2}, "tests/helpers.py": {1}}

    def test_a_symlink_is_skipped(self, git_project: Project):
        git_project.write("pkg/m.py", "X = 1\n")
        base = git_project.commit()
        (git_project.root / "pkg/n.py").symlink_to("m.py")
        head = git_project.commit()
        change = changed_methods(base, head, Repository.open(git_project.root).changes(base, head))
        assert "symbolic link" in reason(change)
        assert change.changed_lines == {}

    def test_a_submodule_is_skipped(self, git_project: Project):
        git_project.write("pkg/m.py", "X = 1\n")
        base = git_project.commit()
        git_project.git("update-index", "--add", "--cacheinfo", f"160000,{base},pkg/sub")
        git_project.git("commit", "-q", "-m", "submodule")
        head = git_project.git("rev-parse", "HEAD").strip()
        change = changed_methods(base, head, Repository.open(git_project.root).changes(base, head))
        assert change.skipped[0].path == "pkg/sub"
        assert "submodule" in reason(change)

    def test_files_of_other_kinds_are_nothing(self, compare: Compare):
        change = compare({"a.txt": "a\n"}, {"a.txt": "b\n", "b.toml": "c = 1\n"})
        assert (change.targets, change.skipped, change.changed_lines) == ((), (), {})


def test_the_ends_of_the_change_are_passed_on():
    assert (changed_methods("b", "h", ()).base, changed_methods("b", "h", ()).head) == ("b", "h")
