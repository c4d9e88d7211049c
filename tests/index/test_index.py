"""The index over its life: what is parsed when, what it gives back, what it refuses."""

import sqlite3
from dataclasses import replace

import pytest

from llm_testgen.errors import UsageError
from llm_testgen.index import Index
from llm_testgen.index import update as update_module
from llm_testgen.records import MethodKind, Relation, Snapshot
from llm_testgen.source import parse

PROJECT = {
    "pkg/__init__.py": "",
    "pkg/a.py": "class A:\n    def f(self):\n        return self.g()\n\n    def g(self):\n        return 1\n",
    "pkg/b.py": "from pkg.a import A\n\n\ndef make():\n    return A().f()\n",
    "tests/test_a.py": "from pkg.a import A\n\n\ndef test_f():\n    assert A().f() == 1\n",
    "README.md": "not Python",
}


@pytest.fixture
def parsed(monkeypatch):
    """The bytes of every parse, in order."""
    seen = []
    real = update_module.parse_blob

    def recording(data):
        seen.append(data)
        return real(data)

    monkeypatch.setattr(update_module, "parse_blob", recording)
    return seen


def test_a_second_update_parses_only_the_changed_file(index, snapshot, parsed):
    index.update(snapshot(PROJECT))
    assert len(parsed) == 4
    parsed.clear()
    stats = index.update(snapshot({**PROJECT, "pkg/b.py": "x = 1\n"}))
    assert parsed == [b"x = 1\n"]
    assert (stats.files, stats.parsed, stats.reused) == (4, 1, 3)


def test_an_update_that_changes_nothing_parses_and_reads_nothing(index, snapshot, parsed):
    index.update(snapshot(PROJECT))
    parsed.clear()

    def unreadable(file):
        raise AssertionError(file)

    stats = index.update(replace(snapshot(PROJECT), read=unreadable))
    assert parsed == []
    assert (stats.parsed, stats.reused) == (0, 4)


def test_files_with_the_same_bytes_are_parsed_once(index, snapshot, parsed):
    stats = index.update(snapshot({"a.py": "def f(): ...\n", "b.py": "def f(): ...\n"}))
    assert len(parsed) == 1
    assert stats.methods == 2
    assert [method.id for method in index.methods()] == ["a.py::<module>", "a.py::f", "b.py::<module>", "b.py::f"]


def test_going_back_to_an_earlier_tree_parses_nothing(index, snapshot, parsed):
    index.update(snapshot(PROJECT))
    index.update(snapshot({**PROJECT, "pkg/b.py": "x = 1\n"}))
    parsed.clear()
    index.update(snapshot(PROJECT))
    assert parsed == []
    assert index.method("pkg/b.py", "make") is not None


def test_the_index_outlives_the_process(tmp_path, snapshot, parsed):
    path = tmp_path / "session.sqlite"
    with Index.open(path) as first:
        first.update(snapshot(PROJECT))
    parsed.clear()
    with Index.open(path) as second:
        assert second.method("pkg/a.py", "A.g").source == "    def g(self):\n        return 1"
        assert second.update(snapshot(PROJECT)).parsed == 0
    assert parsed == []


def test_what_left_the_tree_is_in_no_answer(index, snapshot):
    index.update(snapshot(PROJECT))
    left = {path: text for path, text in PROJECT.items() if path not in {"pkg/b.py", "tests/test_a.py"}}
    index.update(snapshot(left))
    assert index.method("pkg/b.py", "make") is None
    assert {method.path for method in index.methods()} == {"pkg/__init__.py", "pkg/a.py"}
    assert [item.relation for item in index.related("pkg/a.py", "A.f")] == [Relation.CLASS, Relation.CALLEE]
    assert index.tests_of("pkg/a.py", "A.f") == ()
    assert index.test_files() == ()


def test_a_call_is_resolved_anew_when_what_it_leads_to_moves(index, snapshot):
    index.update(snapshot(PROJECT))
    assert [test.name for test in index.tests_of("pkg/a.py", "A.f")] == ["test_f"]
    moved = {**PROJECT, "pkg/a.py": "from pkg.c import A\n", "pkg/c.py": PROJECT["pkg/a.py"]}
    index.update(snapshot(moved))
    assert [test.name for test in index.tests_of("pkg/c.py", "A.f")] == ["test_f"]
    callers = [item.method.id for item in index.related("pkg/c.py", "A.f") if item.relation is Relation.CALLER]
    assert callers == ["pkg/b.py::make"]


def test_a_body_that_changes_has_its_own_calls_resolved_anew(index, snapshot):
    index.update(snapshot(PROJECT))
    index.update(snapshot({**PROJECT, "pkg/b.py": "from pkg.a import A\n\n\ndef make():\n    return A().g()\n"}))
    callers = [item.method.id for item in index.related("pkg/a.py", "A.g") if item.relation is Relation.CALLER]
    assert callers == ["pkg/a.py::A.f", "pkg/b.py::make"]
    assert Relation.CALLER not in {item.relation for item in index.related("pkg/a.py", "A.f")}


def test_an_update_of_many_steps_ends_where_a_fresh_index_does(index, snapshot, tmp_path):
    steps = [
        PROJECT,
        {**PROJECT, "pkg/a.py": "class A:\n    def f(self): ...\n"},
        {**PROJECT, "pkg/b.py": "from pkg.a import A as B\n\n\ndef make(x: B):\n    return x.g()\n"},
    ]
    for files in steps:
        stats = index.update(snapshot(files))
    with Index.open(tmp_path / "fresh.sqlite") as fresh:
        fresh_stats = fresh.update(snapshot(steps[-1]))
        assert replace(stats, parsed=0, reused=0, seconds=0) == replace(fresh_stats, parsed=0, reused=0, seconds=0)
        for method in fresh.methods():
            assert index.related(method.path, method.qualname) == fresh.related(method.path, method.qualname)


def test_figures_count_what_is_there(index, snapshot):
    stats = index.update(snapshot(PROJECT))
    assert (stats.files, stats.classes, stats.methods, stats.tests, stats.fixtures) == (4, 1, 4, 1, 0)
    assert (stats.calls, stats.resolved, stats.failed) == (5, 5, 0)
    assert stats.seconds > 0


def test_progress_counts_the_parsed_blobs(index, snapshot):
    heard = []
    index.update(snapshot(PROJECT), lambda done, total: heard.append((done, total)))
    assert heard == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("def broken(:\n", "not valid Python"),
        (b"x = '\xff'\n", "cannot be decoded"),
        (b"x = 1\n" * 200_000, "larger than 1 MiB"),
        ("x = " + "-" * 50_000 + "1\n", ""),
        (b"x = '\x00'\n", ""),
    ],
)
def test_a_file_that_cannot_be_parsed_stops_nothing(index, snapshot, content, reason):
    stats = index.update(snapshot({**PROJECT, "pkg/odd.py": content}))
    (failure,) = index.failures()
    assert failure.path == "pkg/odd.py"
    assert reason in failure.reason
    assert stats.failed == 1
    assert index.methods("pkg/odd.py") == ()
    assert index.method("pkg/a.py", "A.f") is not None


def test_a_file_that_cannot_be_parsed_is_not_tried_again(index, snapshot, parsed):
    index.update(snapshot({"odd.py": "def broken(:\n"}))
    stats = index.update(snapshot({"odd.py": "def broken(:\n"}))
    assert len(parsed) == 1
    assert stats.failed == 1


def test_methods_are_exactly_what_the_source_says(index, snapshot):
    text = (
        "\ufeff'''Doc.'''\r\nimport typing\r\n\r\n@typing.final\r\nclass A(dict, metaclass=type):\r\n    'C.'\r\n"
        "    async def f(self, a: int = 1, *b, **c) -> str:\r\n        '''D\r\n          e'''\r\n        return 'ü'\r\n"
    )
    data = text.encode()
    index.update(snapshot({"a.py": data}))
    assert index.methods("a.py") == tuple(definition.method for definition in parse("a.py", data).definitions)
    assert index.methods() == index.methods("a.py")


def test_of_several_definitions_the_last_that_is_no_setter_stands_for_all(index, snapshot):
    text = (
        "from typing import overload\n@overload\ndef f(a: int): ...\n@overload\ndef f(a: str): ...\ndef f(a): return a\n"
        "class A:\n    @property\n    def x(self): ...\n    @x.setter\n    def x(self, value): ...\n"
    )
    index.update(snapshot({"a.py": text}))
    assert index.method("a.py", "f").source == "def f(a): return a"
    assert index.method("a.py", "A.x").source == "    @property\n    def x(self): ..."
    assert len(index.methods("a.py")) == 7


def test_a_module_and_a_class_are_methods_too(index, snapshot):
    index.update(snapshot(PROJECT))
    assert index.method("pkg/a.py", "<module>").kind is MethodKind.MODULE
    assert index.method("pkg/a.py", "A").kind is MethodKind.CLASS
    assert index.method("pkg/a.py", "B") is None
    assert index.method("pkg/none.py", "<module>") is None


def test_an_error_while_reading_leaves_the_index_as_it_was(index, snapshot):
    index.update(snapshot(PROJECT))
    before = index.methods()
    changed = snapshot({"a.py": "def f(): ...\n", "b.py": "def g(): ...\n"})

    def failing(file):
        if file.path == "b.py":
            message = "gone"
            raise OSError(message)
        return changed.read(file)

    with pytest.raises(OSError, match="gone"):
        index.update(Snapshot(changed.commit, changed.files, failing))
    assert index.methods() == before


def test_an_index_that_was_never_updated_is_empty(index):
    assert index.methods() == ()
    assert index.source_roots() == ("",)
    assert index.related("a.py", "f") == ()
    assert index.tests_of("a.py", "f") == ()
    assert index.test_files_of("a.py") == ()
    assert index.callers_by_name("a.py", "f") == ()


def test_another_version_of_the_index_is_built_anew_and_other_tables_stay(tmp_path, snapshot):
    path = tmp_path / "session.sqlite"
    with Index.open(path) as opened:
        opened.update(snapshot(PROJECT))
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE exchange (reply TEXT)")
        connection.execute("INSERT INTO exchange VALUES ('paid for')")
        connection.execute("DROP TABLE call_edge")
        connection.execute("CREATE TABLE call_edge (of_an_older_shape TEXT)")
        connection.execute("CREATE TABLE binding (of_an_older_version TEXT)")
        connection.execute("UPDATE index_meta SET value = '0' WHERE key = 'version'")
    connection.close()
    with Index.open(path) as opened:
        assert opened.methods() == ()
        assert opened.update(snapshot(PROJECT)).parsed == 4
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT reply FROM exchange").fetchall() == [("paid for",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'binding'").fetchone() == (0,)
    connection.close()


def test_a_first_update_leaves_every_index_of_the_schema_and_no_other_is_touched(tmp_path, snapshot):
    def indexes():
        connection = sqlite3.connect(path)
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()
        connection.close()
        return {name for (name,) in rows}

    path = tmp_path / "session.sqlite"
    with Index.open(path) as opened:
        made = indexes()
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE exchange (reply TEXT)")
        connection.execute("CREATE INDEX exchange_by_reply ON exchange (reply)")
        connection.close()
        opened.update(snapshot(PROJECT))
        assert indexes() == made | {"exchange_by_reply"}
        opened.update(snapshot({**PROJECT, "pkg/c.py": "x = 1\n"}))
    assert indexes() == made | {"exchange_by_reply"}
    assert "definition_by_qualname" in made


def test_the_folder_of_the_index_is_made(tmp_path):
    Index.open(tmp_path / "a" / "b" / "session.sqlite").close()
    assert (tmp_path / "a" / "b" / "session.sqlite").is_file()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "session.sqlite"
    path.write_bytes(b"no database" * 200)
    with pytest.raises(UsageError, match="delete it or name another place"):
        Index.open(path)
    assert path.read_bytes() == b"no database" * 200


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="name another place"):
        Index.open(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="name another place"):
        Index.open(tmp_path / "file" / "session.sqlite")
