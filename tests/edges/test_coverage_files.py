"""Coverage files that the real coverage.py wrote, and what other tools, machines and accidents make of them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from coverage import CoverageData

from llm_testgen.edges.coverage_files import RecordedCoverage, read_coverage
from llm_testgen.errors import UsageError

SHOP = """\
def price(count):
    if count > 10:
        return count * 9
    return count * 10


def refund(count):  # pragma: no cover
    return -price(count)


TOTAL = sum(
    price(count)
    for count in (1, 2)
)
"""
MAIN = "from shop import price\n\nassert price(1) == 10\n"

EXECUTED = frozenset({1, 2, 4, 11})
STATEMENTS = frozenset({1, 2, 3, 4, 11})


def coverage(folder, *arguments):
    command = [sys.executable, "-m", "coverage", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder with all four files of one run, each with branches."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "shop.py").write_text(SHOP)
    (folder / "unused.py").write_text("A = 1\nB = 2\n")
    (folder / "main.py").write_text(MAIN)
    coverage(folder, "run", "--branch", "--source=.", "main.py")
    coverage(folder, "xml", "-q")
    coverage(folder, "json", "-q")
    coverage(folder, "lcov", "-q")
    return folder


KNOWN = ("src/shop.py", "src/unused.py", "main.py")


@pytest.mark.parametrize("name", ["coverage.xml", "coverage.json", "coverage.lcov"])
def test_a_report_gives_statements_and_what_ran(recorded, name):
    found = read_coverage(recorded / name, KNOWN)
    assert found == {
        "src/shop.py": RecordedCoverage(EXECUTED, STATEMENTS),
        "src/unused.py": RecordedCoverage(frozenset(), frozenset({1, 2})),
        "main.py": RecordedCoverage(frozenset({1, 3}), frozenset({1, 3})),
    }


def test_a_data_file_gives_what_ran_and_no_statements(recorded):
    found = read_coverage(recorded / ".coverage", KNOWN)
    assert found["src/shop.py"].statements is None
    assert found["src/shop.py"].executed >= EXECUTED
    assert not found["src/shop.py"].executed & {3, 8}
    assert found["src/unused.py"] == RecordedCoverage(frozenset(), None)


def test_a_data_file_without_branches_gives_the_same(recorded, tmp_path):
    for name in ("shop.py", "main.py"):
        (tmp_path / name).write_text((recorded / name).read_text())
    coverage(tmp_path, "run", "main.py")
    assert read_coverage(tmp_path / ".coverage", KNOWN)["src/shop.py"].executed >= EXECUTED


def test_the_format_is_told_by_content_and_not_by_name(recorded, tmp_path):
    for name in (".coverage", "coverage.xml", "coverage.json", "coverage.lcov"):
        disguised = tmp_path / "report.txt"
        disguised.write_bytes((recorded / name).read_bytes())
        assert read_coverage(disguised, KNOWN) == read_coverage(recorded / name, KNOWN)


def test_lines_of_every_context_count(tmp_path):
    data = CoverageData(basename=str(tmp_path / ".coverage"))
    for context, lines in (("test_a", [1, 2]), ("test_b", [2, 5]), ("", [7])):
        data.set_context(context)
        data.add_lines({"/w/src/a.py": lines})
    data.write()
    data.close(force=True)
    assert read_coverage(tmp_path / ".coverage", ["src/a.py"])["src/a.py"].executed == {1, 2, 5, 7}


@pytest.mark.parametrize("name", [".coverage", "coverage.xml", "coverage.json", "coverage.lcov"])
def test_the_file_itself_stays_as_it_is(recorded, name):
    before = {file: hashlib.sha256(file.read_bytes()).digest() for file in recorded.iterdir() if file.is_file()}
    read_coverage(recorded / name, KNOWN)
    after = {file: hashlib.sha256(file.read_bytes()).digest() for file in recorded.iterdir() if file.is_file()}
    assert after == before


def lcov(*records):
    """A tracefile: (name, {line: hits}) for each record."""
    text = "TN:\n"
    for name, hits in records:
        body = "".join(f"DA:{line},{count}\n" for line, count in hits.items())
        text += f"SF:{name}\n{body}LF:{len(hits)}\nend_of_record\n"
    return text


def read_lcov(tmp_path, known, *records):
    file = tmp_path / "lcov.info"
    file.write_text(lcov(*records))
    return read_coverage(file, known)


def matched(tmp_path, name, known):
    """The path that a name is mapped to, beside a file that is surely mapped."""
    found = read_lcov(tmp_path, [*known, "sure/anchor.py"], ("sure/anchor.py", {1: 1}), (name, {7: 1}))
    paths = [path for path, coverage in found.items() if coverage.executed == {7}]
    return paths[0] if paths else None


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("src/pkg/a.py", "src/pkg/a.py"),
        ("./src/pkg/a.py", "src/pkg/a.py"),
        ("../checkout/src/pkg/a.py", "src/pkg/a.py"),
        ("/home/runner/work/x/x/src/pkg/a.py", "src/pkg/a.py"),
        ("/home/runner/work/x/x/src/pkg/../pkg/a.py", "src/pkg/a.py"),
        ("pkg/a.py", "src/pkg/a.py"),
        ("src\\pkg\\a.py", "src/pkg/a.py"),
        ("C:\\agent\\_work\\1\\s\\src\\pkg\\a.py", "src/pkg/a.py"),
        ("C:/agent/src/pkg/a.py", "src/pkg/a.py"),
        ("/usr/lib/python3/dist-packages/pkg/a.py", "src/pkg/a.py"),
        ("/w/.tox/py311/lib/python3.11/site-packages/pkg/a.py", "src/pkg/a.py"),
        ("C:\\venv\\Lib\\site-packages\\pkg\\a.py", "src/pkg/a.py"),
        ("/usr/lib/python3/site-packages/single.py", "src/single.py"),
        ("/build/single.py", "src/single.py"),
    ],
)
def test_a_name_of_another_machine_is_matched(tmp_path, name, path):
    known = ["src/pkg/a.py", "src/single.py", "src/pkg/sub/b.py", "tests/b.py"]
    assert matched(tmp_path, name, known) == path


@pytest.mark.parametrize(
    ("name", "known"),
    [
        pytest.param("/w/lib/a.py", ["one/a.py", "two/a.py"], id="only the name agrees, with two files"),
        pytest.param("/w/pkg/a.py", ["one/pkg/a.py", "two/pkg/a.py"], id="two files agree equally"),
        pytest.param("/w/a.pyc", ["one/a.py"], id="another name"),
        pytest.param("/lib/site-packages/other/a.py", ["src/pkg/a.py"], id="somebody else's installed file"),
        pytest.param("/lib/site-packages/pkg/a.py", ["src/a.py"], id="an installed file that agrees in part"),
        pytest.param("", ["src/a.py"], id="no name"),
        pytest.param("/", ["src/a.py"], id="the root"),
    ],
)
def test_a_doubtful_name_is_left_out(tmp_path, name, known):
    assert matched(tmp_path, name, known) is None


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("/w/x/one/pkg/a.py", "one/pkg/a.py"),
        ("/w/x/two/pkg/a.py", "two/pkg/a.py"),
        ("/w/x/pkg/a.py", "pkg/a.py"),
        ("/w/x/a.py", "a.py"),
        ("a.py", "a.py"),
    ],
)
def test_the_longest_agreement_wins_and_then_the_whole_path(tmp_path, name, path):
    assert matched(tmp_path, name, ["a.py", "pkg/a.py", "one/pkg/a.py", "two/pkg/a.py"]) == path


def test_a_mere_name_gives_way_to_a_file_that_is_surely_the_one(tmp_path):
    for records in (
        [("/w/x/src/pkg/utils.py", {1: 1, 2: 0}), ("/w/elsewhere/utils.py", {9: 1})],
        [("/w/elsewhere/utils.py", {9: 1}), ("/w/x/src/pkg/utils.py", {1: 1, 2: 0})],
    ):
        found = read_lcov(tmp_path, ["src/pkg/utils.py"], *records)
        assert found == {"src/pkg/utils.py": RecordedCoverage(frozenset({1}), frozenset({1, 2}))}


def test_several_records_of_a_file_add_up(tmp_path):
    found = read_lcov(
        tmp_path,
        ["src/pkg/a.py"],
        ("src/pkg/a.py", {1: 1, 2: 0, 3: 0}),
        ("/tox/py39/lib/site-packages/pkg/a.py", {1: 1, 2: 4, 3: 0, 4: 0}),
    )
    assert found == {"src/pkg/a.py": RecordedCoverage(frozenset({1, 2}), frozenset({1, 2, 3, 4}))}


def test_a_data_file_adds_up_an_installed_copy(tmp_path):
    data = CoverageData(basename=str(tmp_path / "data"))
    data.add_arcs({"/w/src/pkg/a.py": [(-1, 1), (1, 2)], "/lib/site-packages/pkg/a.py": [(-1, 5), (5, -1)]})
    data.write()
    data.close(force=True)
    found = read_coverage(tmp_path / "data", ["src/pkg/a.py"])
    assert found == {"src/pkg/a.py": RecordedCoverage(frozenset({1, 2, 5}), None)}


def test_lcov_of_other_tools_is_read(tmp_path):
    file = tmp_path / "lcov.info"
    text = (
        "# made elsewhere\r\nTN:unit\r\nSF:src/a.py\r\nVER:1\r\nFN:1,f\r\nFNDA:3,f\r\nDA:1,3,mD5+sum/\r\nDA:2,0\r\n"
        "DA:2,5\r\nDA:3,0\r\nBRDA:1,0,0,-\r\nLF:3\r\nLH:2\r\nend_of_record\r\n"
    )
    file.write_bytes(text.encode())
    found = read_coverage(file, ["src/a.py"])
    assert found == {"src/a.py": RecordedCoverage(frozenset({1, 2}), frozenset({1, 2, 3}))}


def xml(*classes, sources=()):
    """A Cobertura report: (file name, {line: hits}) for each class."""
    body = ""
    for name, hits in classes:
        lines = "".join(f'<line number="{line}" hits="{count}"/>' for line, count in hits.items())
        body += f'<class filename="{name}"><methods/><lines>{lines}</lines></class>'
    roots = "".join(f"<source>{source}</source>" for source in sources)
    return (
        '<?xml version="1.0" ?>\n<!DOCTYPE coverage SYSTEM "coverage-04.dtd">\n<coverage version="7">'
        f"<sources>{roots}</sources><packages><package><classes>{body}</classes></package></packages></coverage>"
    )


def read_xml(tmp_path, known, *classes, sources=()):
    file = tmp_path / "coverage.xml"
    file.write_text(xml(*classes, sources=sources))
    return read_coverage(file, known)


@pytest.mark.parametrize(
    ("sources", "path"),
    [
        (("/w/x/src",), "src/pkg/a.py"),
        (("/w/x/lib",), "lib/pkg/a.py"),
        (("/w/x",), "pkg/a.py"),
        (("/w/x/tests", "/w/x/src"), "src/pkg/a.py"),
        (("src",), "src/pkg/a.py"),
        (("C:\\w\\lib",), "lib/pkg/a.py"),
        ((), "pkg/a.py"),
    ],
)
def test_a_class_of_an_xml_report_lies_below_one_of_its_sources(tmp_path, sources, path):
    known = ["src/pkg/a.py", "lib/pkg/a.py", "pkg/a.py", "tests/test_a.py"]
    found = read_xml(tmp_path, known, ("pkg/a.py", {1: 1, 2: 0}), sources=sources)
    assert found == {path: RecordedCoverage(frozenset({1}), frozenset({1, 2}))}


def test_a_class_that_may_lie_below_two_sources_is_left_out(tmp_path):
    with pytest.raises(UsageError, match="names no file of this repository"):
        read_xml(tmp_path, ["one/a.py", "two/a.py"], ("a.py", {1: 1}), sources=("/w/one", "/w/two"))


def test_several_classes_of_one_file_add_up(tmp_path):
    found = read_xml(tmp_path, ["a.py"], ("a.py", {1: 1}), ("a.py", {5: 0, 6: 2}))
    assert found == {"a.py": RecordedCoverage(frozenset({1, 6}), frozenset({1, 5, 6}))}


def test_a_byte_order_mark_and_blank_lines_before_a_report_do_not_matter(tmp_path):
    report = {"files": {"a.py": {"executed_lines": [1], "missing_lines": []}}}
    for content in (lcov(("a.py", {1: 1})), xml(("a.py", {1: 1})), json.dumps(report)):
        file = tmp_path / "report"
        file.write_bytes(b"\xef\xbb\xbf\r\n\n" + content.encode())
        assert read_coverage(file, ["a.py"])["a.py"].executed == {1}


BILLION_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE coverage [<!ENTITY a0 "aaaaaaaaaaaaaaaa">'
    + "".join(f'<!ENTITY a{level} "{f"&a{level - 1};" * 16}">' for level in range(1, 10))
    + "]><coverage><packages>&a9;</packages></coverage>"
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\xef\xbb\xbf \r\n", "it is empty"),
        (b"\x00\x01\x02", "it is of no known format"),
        (b"total 85%\n", "it is of no known format"),
        (b'!coverage.py: This is a private format{"lines": {}}', "it is of no known format"),
        (b"SQLite format 3\x00", "it is no data file of coverage.py, or damaged"),
        (b"SQLite format 3\x00" + b"\x07" * 9000, "it is no data file of coverage.py, or damaged"),
        (b"<coverage><packages>", "it is no well-formed XML"),
        (b'<?xml version="1.0" encoding="no-such"?><coverage/>', "it is no well-formed XML"),
        (b'<?xml version="1.0" encoding="shift_jis"?><coverage/>', "it is no well-formed XML"),
        (BILLION_LAUGHS.encode(), "it is no well-formed XML"),
        (b"<testsuites/>", "its XML is no Cobertura report"),
        (b'<coverage clover="4"><project><file name="a.py"/></project></coverage>', "its XML is no Cobertura report"),
        (b"{", "its JSON is no report of coverage.py"),
        (b'{"a": 1}', "its JSON is no report of coverage.py"),
        (b'{"files": {"a.py": {"executed_lines": ["x"], "missing_lines": []}}}', "its JSON is no report"),
        (b"{" * 100_000, "its JSON is no report of coverage.py"),
        (b"SF:a.py\nDA:1,1\n", "it is cut off: its last record has no end"),
        (b"SF:a.py\nDA:x,1\nend_of_record\n", "it holds a line number or a count that is none"),
        (b"SF:a.py\nDA:1\nend_of_record\n", "it holds a line number or a count that is none"),
        (xml(("a.py", {"": 1})).encode(), "it holds a line number or a count that is none"),
    ],
)
def test_a_file_of_another_kind_is_refused_in_one_line_that_says_what_to_give(tmp_path, content, reason):
    file = tmp_path / "coverage"
    file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_coverage(file, ["a.py"])
    message = str(caught.value)
    assert message.startswith(f"cannot read the coverage file {file}: {reason}")
    assert message.endswith("give a .coverage file, or what `coverage xml`, `coverage json` or `coverage lcov` wrote")
    assert "\n" not in message
    assert file.read_bytes() == content


def test_an_external_entity_is_not_fetched(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a.py")
    file = tmp_path / "coverage.xml"
    file.write_text(
        f'<?xml version="1.0"?><!DOCTYPE coverage [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'
        "<coverage><sources><source>&e;</source></sources><packages/></coverage>"
    )
    with pytest.raises(UsageError, match="no well-formed XML"):
        read_coverage(file, ["a.py"])


def test_a_damaged_data_file_is_refused(recorded, tmp_path):
    whole = (recorded / ".coverage").read_bytes()
    file = tmp_path / ".coverage"
    for kept in (100, 4096, len(whole) // 2):
        file.write_bytes(whole[:kept])
        with pytest.raises(UsageError, match=r"no data file of coverage\.py, or damaged"):
            read_coverage(file, KNOWN)


def test_a_data_file_of_a_later_format_is_refused(recorded, tmp_path):
    file = tmp_path / ".coverage"
    file.write_bytes((recorded / ".coverage").read_bytes())
    connection = sqlite3.connect(file)
    connection.execute("update coverage_schema set version = 99")
    connection.commit()
    connection.close()
    with pytest.raises(UsageError, match=r"no data file of coverage\.py, or damaged"):
        read_coverage(file, KNOWN)


def test_another_database_names_no_file_and_is_not_touched(tmp_path):
    file = tmp_path / "session.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("create table verdicts (id integer primary key)")
    connection.commit()
    connection.close()
    before = file.read_bytes()
    with pytest.raises(UsageError, match="names no file of this repository"):
        read_coverage(file, KNOWN)
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", [".coverage", "coverage.xml", "coverage.json", "coverage.lcov"])
def test_coverage_of_another_project_is_refused(recorded, name):
    with pytest.raises(UsageError) as caught:
        read_coverage(recorded / name, ["src/other.py", "README.md"])
    assert str(caught.value) == (
        f"the coverage file {recorded / name} names no file of this repository; "
        "record it on a checkout of the same project"
    )


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read the coverage file .*missing: No such file or directory; give"):
        read_coverage(tmp_path / "missing", KNOWN)
    with pytest.raises(UsageError, match="Is a directory; give"):
        read_coverage(Path(tmp_path), KNOWN)
