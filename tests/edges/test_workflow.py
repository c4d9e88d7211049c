from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_testgen.edges.workflow import annotation, stop_commands, write_outputs, write_summary
from llm_testgen.errors import UsageError

MEBIBYTE = 1 << 20
VALUES = {
    "plain": "value",
    "empty": "",
    "lines": "one\ntwo\n\nthree\n",
    "newline": "\n",
    "windows": "one\r\ntwo\r",
    "forged": "x\nadmin=true\nother<<END\nvalue\nEND\n",
    "delimiter": "end_0123456789abcdef0123456789abcdef\nEOF\nend_\n",
    "command": "::set-output name=x::y\n::add-path::/tmp\n##[add-path]/tmp",
    "markup": "a=b<<c %0A ${{ github.token }} $(id) `id`",
    "letters": "größe 日本 \U0001f600 \u2028 \x85 \x0b \x00",
}


def parsed(text: str) -> dict[str, str]:
    """The outputs of a step, as GitHub's runner reads its file: lines end at a newline alone."""
    outputs = {}
    lines = iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if heredoc >= 0 and (equals < 0 or heredoc < equals):
            name, _, delimiter = line.partition("<<")
            outputs[name] = "\n".join(_until(lines, delimiter))
        else:
            name, _, outputs[name] = line.partition("=")
        assert name
    return outputs


def _until(lines: Iterator[str], delimiter: str) -> Iterator[str]:
    for line in lines:
        if line == delimiter:
            return
        yield line
    raise AssertionError(delimiter)


def command(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command, as the runner reads it."""
    found = re.fullmatch(r"::(?P<name>[a-z-]+)(?: (?P<properties>[^\r\n]*?))?::(?P<data>[^\r\n]*)", line)
    assert found
    pairs = (part.partition("=") for part in (found["properties"] or "").split(",") if part)
    properties = {name.strip(): unescaped(value, ":,") for name, _, value in pairs}
    return found["name"], properties, unescaped(found["data"], "")


def unescaped(text: str, more: str) -> str:
    for character in [*"\r\n", *more, "%"]:
        text = text.replace(f"%{ord(character):02X}", character)
    return text


def read(path: Path) -> str:
    return path.read_bytes().decode()


def test_outputs_are_read_back_whatever_they_hold(tmp_path):
    path = tmp_path / "output"
    write_outputs(path, VALUES)
    assert parsed(read(path)) == VALUES
    assert list(parsed(read(path))) == list(VALUES)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z-]{0,9}", fullmatch=True), st.text(max_size=30)))
@settings(derandomize=True, deadline=None, max_examples=50)
def test_any_outputs_are_read_back(tmp_path_factory, outputs):
    path = tmp_path_factory.mktemp("step") / "output"
    write_outputs(path, outputs)
    assert parsed(read(path)) == outputs


def test_outputs_are_added_to_those_of_before(tmp_path):
    path = tmp_path / "output"
    path.write_bytes(b"before=1\n")
    write_outputs(path, {"a": "2"})
    write_outputs(path, {"b": "3", "a": "4"})
    write_outputs(path, {})
    assert parsed(read(path)) == {"before": "1", "a": "4", "b": "3"}


def test_each_value_ends_at_a_delimiter_of_its_own_that_cannot_be_guessed(tmp_path):
    path = tmp_path / "output"
    for _ in range(20):
        write_outputs(path, {"a": "x", "b": "x"})
    delimiters = re.findall(r"^[ab]<<(.+)$", read(path), re.MULTILINE)
    assert len(set(delimiters)) == len(delimiters) == 40
    assert all(re.fullmatch("end_[0-9a-f]{32}", delimiter) for delimiter in delimiters)


def test_halves_of_characters_are_replaced(tmp_path):
    write_outputs(tmp_path / "output", {"a": "x\ud800y\udcff"})
    write_summary(tmp_path / "summary", "x\ud800y")
    assert parsed(read(tmp_path / "output")) == {"a": "x?y?"}
    assert read(tmp_path / "summary") == "x?y\n"
    assert annotation("error", "x\ud800y", "t\udcff") == "::error title=t?::x?y"


@pytest.mark.parametrize(
    ("markdown", "written"), [("", "\n"), ("a", "a\n"), ("a\n", "a\n"), ("a\n\n", "a\n\n"), ("a\r\nb", "a\r\nb\n")]
)
def test_a_summary_is_written_as_it_is_and_ends_with_a_newline(tmp_path, markdown, written):
    path = tmp_path / "summary"
    write_summary(path, markdown)
    assert read(path) == written


def test_a_summary_is_added_to_what_the_step_wrote_before(tmp_path):
    path = tmp_path / "summary"
    path.write_text("before\n")
    write_summary(path, "# größe")
    write_summary(path, "# after\n")
    assert read(path) == "before\n# größe\n# after\n"


@pytest.mark.parametrize("there", [0, 1, 1_000, MEBIBYTE - 10, MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 5])
@pytest.mark.parametrize(
    "line", ["x" * 99, "é" * 99, "日本" * 50, "\U0001f600" * 30, "`@everyone` </details>"], ids=range(5)
)
def test_a_summary_is_cut_at_the_end_of_a_line_where_github_would_refuse_it(tmp_path, there, line):
    path = tmp_path / "summary"
    path.write_bytes(b"." * there)
    write_summary(path, f"{line}\n" * (MEBIBYTE // len(line)))
    data = path.read_bytes()
    size = len(f"{line}\n".encode())
    assert len(data) <= max(MEBIBYTE, there)
    assert max(MEBIBYTE, there) - len(data) < size
    assert data[there:].decode() == f"{line}\n" * ((len(data) - there) // size)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_summary_of_just_the_size_is_whole(tmp_path, over):
    path = tmp_path / "summary"
    last = "x" * (MEBIBYTE - 3 + over)
    write_summary(path, f"a\n{last}")
    assert read(path) == (f"a\n{last}\n" if over <= 0 else "a\n")


def test_a_line_too_long_for_a_summary_is_left_out(tmp_path):
    write_summary(tmp_path / "summary", "é" * MEBIBYTE)
    assert read(tmp_path / "summary") == ""


@pytest.mark.parametrize("write", [lambda path: write_outputs(path, {"a": "b"}), lambda path: write_summary(path, "a")])
@pytest.mark.parametrize("name", ["missing/file", "folder", "file/below", "x" * 300])
def test_a_file_that_cannot_be_written_is_an_error_with_one_line(tmp_path, write, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"\A\S+ cannot be written \([^\n]+\): run this where GitHub Actions set it\Z"):
        write(tmp_path / name)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_a_full_disk_is_an_error_with_one_line():
    with pytest.raises(UsageError, match=r"\A/dev/full cannot be written \(No space left on device\): [^\n]+\Z"):
        write_summary(Path("/dev/full"), "a")


@pytest.mark.parametrize(
    ("message", "title", "line"),
    [
        ("a message", "llm-testgen", "::error title=llm-testgen::a message"),
        ("", "", "::error title=::"),
        ("50 %, a: b", "a: b, c %", "::error title=a%3A b%2C c %25::50 %25, a: b"),
        ("a\nb\r\nc", "a\nb\rc", "::error title=a%0Ab%0Dc::a%0Ab%0D%0Ac"),
        ("%0A::error::x", "%3A", "::error title=%253A::%250A::error::x"),
        ("x\n::add-path::/tmp", "x::y", "::error title=x%3A%3Ay::x%0A::add-path::/tmp"),
        ("x", "a,file=b", "::error title=a%2Cfile=b::x"),
    ],
)
def test_an_annotation_is_one_line_that_says_what_it_was_given(message, title, line):
    assert annotation("error", message, title) == line
    assert command(line) == ("error", {"title": title}, message)


@given(st.sampled_from(["notice", "warning", "error"]), st.text(), st.text())
@settings(derandomize=True, deadline=None, max_examples=200)
def test_any_text_is_an_annotation_and_no_other_command(level, message, title):
    assert command(annotation(level, message, title)) == (level, {"title": title}, message)


def test_an_endless_message_is_cut():
    _, _, message = command(annotation("notice", "%" * 100_000, "x"))
    assert message == "%" * 4_000


def test_commands_are_stopped_by_a_word_that_nobody_can_guess_and_start_again_with_it():
    stops = [stop_commands() for _ in range(20)]
    for stop, go_on in stops:
        name, properties, token = command(stop)
        assert (name, properties) == ("stop-commands", {})
        assert re.fullmatch("[0-9a-f]{32}", token)
        assert go_on == f"::{token}::"
    assert len(set(stops)) == 20
