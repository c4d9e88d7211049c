from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_testgen.delivery.command import (
    COMMAND,
    HELP,
    ApplyCommand,
    CommandError,
    GenerateCommand,
    HelpCommand,
    parse_command,
    parse_commit,
    quoted,
)
from llm_testgen.errors import UsageError

SHA = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"
HINT = "; write /gen-tests help to see what can be asked"


def refusal(body: str) -> str:
    """What is wrong with a command."""
    with pytest.raises(CommandError) as raised:
        parse_command(body)
    message = str(raised.value)
    assert message.endswith(HINT)
    return message.removesuffix(HINT)


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ("/gen-tests", GenerateCommand()),
        ("/gen-tests   \t", GenerateCommand()),
        ("   /gen-tests", GenerateCommand()),
        ("/gen-tests\r\nThank you!", GenerateCommand()),
        ("/gen-tests\rThank you!", GenerateCommand()),
        ("/gen-tests src/a.py", GenerateCommand(targets=("src/a.py",))),
        ("/gen-tests\tsrc/a.py\u00a0b.py", GenerateCommand(targets=("src/a.py", "b.py"))),
        ("/gen-tests a.py::f a.py::Shop.total", GenerateCommand(targets=("a.py::f", "a.py::Shop.total"))),
        ("/gen-tests a.py a.py", GenerateCommand(targets=("a.py",))),
        ("/gen-tests c++/über-uns/日本.py::größe", GenerateCommand(targets=("c++/über-uns/日本.py::größe",))),
        ("/gen-tests ec26c3e", GenerateCommand("ec26c3e")),
        (f"/gen-tests {SHA.upper()}", GenerateCommand(SHA)),
        (f"/gen-tests a.py {SHA} b.py", GenerateCommand(SHA, ("a.py", "b.py"))),
        ("/gen-tests deadbeef.py", GenerateCommand(targets=("deadbeef.py",))),
        ("/gen-tests apply", ApplyCommand()),
        ("/gen-tests apply 9f3c,07ab, 0123456789abcdef ,9f3c", ApplyCommand(("9f3c", "07ab", "0123456789abcdef"))),
        ("/gen-tests help", HelpCommand()),
        ("/gen-tests help me", HelpCommand()),
    ],
)
def test_a_command_is_understood(body, command):
    assert parse_command(body) == command


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\n",
        "Looks good to me",
        "please /gen-tests",
        "\n/gen-tests",
        "Hello\n/gen-tests",
        "Hello\r/gen-tests",
        "> /gen-tests",
        ">/gen-tests",
        "```\n/gen-tests\n```",
        "~~~\n/gen-tests\n~~~",
        "`/gen-tests`",
        "    /gen-tests",
        "\t/gen-tests",
        "  \t/gen-tests",
        "- /gen-tests",
        "**/gen-tests**",
        "<!--\n/gen-tests\n-->",
        "<!-- /gen-tests -->",
        "/gen-testsX",
        "/gen-tests-now",
        "/gen-tests.",
        "/Gen-Tests",
        "/gen-test",
        "//gen-tests",
        "gen-tests",
        "\u2044gen-tests",  # fraction slash
        "\u2215gen-tests",  # division slash
        "\uff0fgen-tests",  # fullwidth solidus
        "/gen\u2010tests",  # another hyphen
        "/g\u0435n-tests",  # Cyrillic
        "\u200b/gen-tests",
        "\ufeff/gen-tests",
        "\u202e/gen-tests",
        "\u00a0/gen-tests",
        "/gen\u200b-tests",
        "/gen-tests\u200b",
        "/gen-tests\x00",
        HELP,
    ],
)
def test_what_only_looks_like_a_command_is_none(body):
    assert parse_command(body) is None


@pytest.mark.parametrize(
    "option",
    [
        "--model=gpt",
        "--endpoint=https://evil.example",
        "--endpoint",
        "-m",
        "-",
        "--",
        "model=gpt",
        "endpoint=https://evil.example/a.py",
        "-x.py",
        "\u2014model",  # what a telephone makes of two hyphens
        "\u2212model",
        "\uff0dm",
    ],
)
@pytest.mark.parametrize("before", ["", "a.py ", "apply ", "help ", f"{SHA} "])
def test_an_option_is_refused_wherever_it_stands(option, before):
    message = refusal(f"/gen-tests {before}{option}")
    assert message == f"{quoted(option)} is an option, and a comment can set none: the workflow does"


@pytest.mark.parametrize(
    ("word", "fault"),
    [
        ("everything", "is neither a commit"),
        ("abcdef", "is neither a commit"),
        ("a" * 41, "is neither a commit"),
        ("main", "is neither a commit"),
        ("HEAD~1", "is neither a commit"),
        ("Help", "is neither a commit"),
        ("https://evil.example/x", "is neither a commit"),
        ("a.pyc", "is neither a commit"),
        ("a.PY", "is neither a commit"),
        ("a.py:12", "is neither a commit"),
        ("a.py,", "is neither a commit"),
        ("::f", "is neither a commit"),
        ("a.txt::f.py", "is neither a commit"),
        ("/etc/a.py", "no path from the top"),
        ("../a.py", "no path from the top"),
        ("a/../b.py", "no path from the top"),
        ("./a.py", "no path from the top"),
        ("a//b.py", "no path from the top"),
        (".git/hooks/a.py", "no path from the top"),
        ("a\\b.py", "other characters in its path"),
        ("C:/a.py", "other characters in its path"),
        (":(top)a.py", "other characters in its path"),
        (":!a.py", "other characters in its path"),
        ("*.py", "other characters in its path"),
        ("$(id).py", "other characters in its path"),
        ("a.py`id`.py", "other characters in its path"),
        ("`id`.py", "other characters in its path"),
        ('a";id;".py', "other characters in its path"),
        ("~/a.py", "other characters in its path"),
        ("%0Aa.py", "other characters in its path"),
        ("a.py::", "after ::"),
        ("a.py::a..b", "after ::"),
        ("a.py::1a", "after ::"),
        ("a.py::f()", "after ::"),
        ("a.py::a::b", "after ::"),
        ("a.py::$(id)", "after ::"),
        ("a.py::<script>", "after ::"),
    ],
)
def test_a_wrong_target_is_refused_with_what_is_wrong(word, fault):
    message = refusal(f"/gen-tests b.py {word}")
    assert message.startswith(quoted(word))
    assert fault in message


@pytest.mark.parametrize("word", ["9f3", "0123456789abcdef0", "9F3C", "xyzw", "all", "a.py", "\uff19f3c"])
def test_a_wrong_id_is_refused(word):
    assert "is no id of a proposed test" in refusal(f"/gen-tests apply 07ab {word}")


def test_two_commits_are_refused():
    assert refusal("/gen-tests 1a2b3c4 5d6e7f8") == '"5d6e7f8" is a second commit, and tests are made for one'


@pytest.mark.parametrize(
    "invisible",
    [
        "\u200b",  # zero-width space
        "\u200d",
        "\u202e",  # right to left from here
        "\u2066",
        "\ufeff",
        "\u00ad",  # soft hyphen
        "\x00",
        "\x1b",
        "\ud800",
        "\ufe0f",  # selects a variant
        "\u3164",  # Hangul filler, a letter
        "\u2800",  # Braille without dots
        "\U000e0041",  # a tag
    ],
)
@pytest.mark.parametrize("word", ["src/{}a.py", "a.py::f{}", "app{}ly", "he{}lp", "1a2b3c4{}"])
def test_characters_that_cannot_be_seen_are_refused_by_name_and_left_out_of_the_message(invisible, word):
    message = refusal(f"/gen-tests {word.format(invisible)}")
    assert message == f'"{word.format("")}" holds characters that cannot be seen'


@pytest.mark.parametrize(
    "body",
    [
        f"/gen-tests {'a' * 100_000}",
        f"/gen-tests {'a.py ' * 20_000}",
        f"/gen-tests {'../' * 33_000}a.py",
        f"/gen-tests apply {'9f3c,' * 20_000}",
        f"/gen-tests {'-' * 100_000}",
    ],
)
def test_an_endless_command_is_refused_at_once_with_a_short_message(body):
    start = time.perf_counter()
    assert refusal(body).endswith("is longer than 4000 characters")
    assert time.perf_counter() - start < 1
    assert len(refusal(body)) < 120


def test_an_endless_comment_is_no_trouble():
    assert parse_command("x" * 100_000) is None
    assert parse_command(" " * 100_000 + COMMAND) is None
    assert parse_command(f"{COMMAND} {' ' * 100_000}") == GenerateCommand()
    assert parse_command(f"{COMMAND} a.py\n" + "x" * 100_000) == GenerateCommand(targets=("a.py",))


def test_a_refusal_is_an_error_with_one_line():
    with pytest.raises(UsageError, match=r"\A[^\n]+\Z"):
        parse_command("/gen-tests what\u2028ever")


def test_a_quoted_word_acts_nowhere():
    shown = quoted('`@org/team`<img src=x>[a](b)"&#64;x![]|')
    assert not set("`@<>[]&#!|") & set(shown)
    assert unicodedata.normalize("NFKC", shown) == "\"'@org/team'<img src=x>[a](b)'&#64;x![]|\""
    assert quoted("a" * 60) == f'"{"a" * 60}"'
    assert quoted("a" * 61) == f'"{"a" * 59}…"'
    assert quoted("a\nb\x1b\u202e\ud800c") == '"abc"'


@pytest.mark.parametrize(
    ("word", "commit"),
    [
        ("ABCDEF1", "abcdef1"),
        (SHA, SHA),
        ("abcdef", ""),
        (f"{SHA}0", ""),
        ("", ""),
        ("abcdef1\n", ""),
        ("\uff11\uff12\uff13\uff14\uff15\uff16\uff17", ""),
    ],
)
def test_a_commit_is_named_by_7_to_40_hex_digits(word, commit):
    assert parse_commit(word) == commit


def test_the_help_shows_a_command_of_each_kind_and_all_of_them_are_understood():
    shown = re.findall(r"^\| `(/gen-tests[^`]*)` \|", HELP, re.MULTILINE)
    assert len(shown) == HELP.count("\n| `")
    commands = [parse_command(command) for command in shown]
    assert {type(command) for command in commands} == {GenerateCommand, ApplyCommand, HelpCommand}
    assert len(set(commands)) == len(commands)


WORDS = st.one_of(
    st.text(),
    st.sampled_from(["help", "apply", "a.py", "src/a.py::C.f", "..", "/", "::", ".py", "-", "\u200b", "`", "@x", SHA]),
    st.from_regex(r"[^\s]{0,9}(/|\.\.|\\|:){0,2}[^\s]{0,5}\.py(::\w{0,4}(\.\w{0,4})?)?", fullmatch=True),
)


@given(st.one_of(st.text(), st.lists(WORDS).map(lambda words: f"{COMMAND} {' '.join(words)}")))
@example("/gen-tests\x1c\ud800.py")
def test_any_text_is_a_command_or_none_or_refused_and_what_is_accepted_is_safe(body):
    try:
        command = parse_command(body)
    except CommandError as error:
        message = str(error)
        assert message.isprintable()
        assert not set("`@<>&[]") & set(message)
        assert len(message) < 250
        return
    if isinstance(command, ApplyCommand):
        assert all(re.fullmatch("[0-9a-f]{4,16}", given_id) for given_id in command.ids)
    if isinstance(command, GenerateCommand):
        assert re.fullmatch("([0-9a-f]{7,40})?", command.head)
        assert all(map(is_safe, command.targets))


def is_safe(target: str) -> bool:
    """Whether it can do no harm as a path, as an argument or on a page; deliberately not how the command decides it."""
    path, _, name = target.partition("::")
    return (
        target.isprintable()
        and not set(target) & set(" \\`$\"'<>|;&*?!#@[]{}()~%=,")
        and not path.startswith(("/", "-", ":"))
        and path.endswith(".py")
        and not {"", ".", "..", ".git"} & set(path.split("/"))
        and (name.replace(".", "_").isidentifier() or "::" not in target)
    )
