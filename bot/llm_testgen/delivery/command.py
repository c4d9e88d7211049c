"""A comment → the command in its first line: the grammar of ``/gen-tests``.

Anybody can write a comment. Nothing in one chooses where requests go or what is executed: there are no options, and
what names a file or a method is checked letter by letter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llm_testgen.delivery.markdown import is_visible
from llm_testgen.errors import UsageError
from llm_testgen.paths import is_inside

COMMAND = "/gen-tests"

HELP = f"""\
| comment | what it does |
|---|---|
| `{COMMAND}` | makes tests for all methods that the pull request changed |
| `{COMMAND} src/shop.py src/tax.py` | only for those in these files |
| `{COMMAND} src/shop.py::Cart` | only for those of this class |
| `{COMMAND} src/shop.py::Cart.total` | only for this method |
| `{COMMAND} 1a2b3c4` | runs this commit, the newest one; a pull request from a fork needs that. Targets may follow |
| `{COMMAND} apply` | commits all tests that were proposed to the branch |
| `{COMMAND} apply 9f3c 07ab` | commits only these, by the ids beside them |
| `{COMMAND} help` | shows this table |

The command is the first line of a new comment, by somebody who may write to the repository. It takes no options: which
model is asked, and what is executed, is settled in the workflow.
"""

# Four spaces or a tab before it would make it a block of code.
_CALL = re.compile(rf" {{0,3}}{re.escape(COMMAND)}(?:\s(?P<words>.*))?", re.DOTALL)
_FIRST_LINE = re.compile(r"[^\r\n]*")
_COMMIT = re.compile(r"[0-9a-f]{7,40}", re.IGNORECASE)
_ID = re.compile(r"[0-9a-f]{4,16}")
# Keyboards make one dash of two hyphens.
_OPTION = re.compile(r"[-\u2010-\u2015\u2212\ufe58\ufe63\uff0d]|\w+=")
# Of ASCII nothing that a shell, Markdown or git's patterns understand.
_PATH = re.compile(r"(?:[A-Za-z0-9_.+/-]|[^\x00-\x7f])+\.py")
_NEITHER = "is neither a commit (7 to 40 hex digits) nor a target (path.py, path.py::Class or path.py::Class.method)"
_LONGEST_LINE = 4_000
_LONGEST_QUOTE = 60
# Wide forms, and a plain quote: they look alike, and neither Markdown nor HTML knows them.
_INERT = str.maketrans({"`": "'", '"': "'"} | {active: chr(ord(active) + 0xFEE0) for active in "!#&*<>@[\\]|"})


class CommandError(UsageError):
    """A command is written wrongly; the message is plain text for the person who wrote it."""

    def __init__(self, word: str, fault: str) -> None:
        """Say what is wrong with a word, in terms that go on from it."""
        super().__init__(f"{quoted(word)} {fault}; write {COMMAND} help to see what can be asked")


@dataclass(frozen=True, slots=True)
class GenerateCommand:
    """Make tests.

    Attributes:
        head: The commit to run, 7 to 40 lower-case hex digits; empty when the comment names none.
        targets: ``path``, ``path::Class`` or ``path::Class.method``, each once; empty for all that changed.
    """

    head: str = ""
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApplyCommand:
    """Commit proposed tests: those with these ids, each once; all of them if there are none."""

    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HelpCommand:
    """Say which commands there are."""


Command = GenerateCommand | ApplyCommand | HelpCommand


def parse_command(body: str) -> Command | None:
    """Read the command of a comment.

    Args:
        body: The whole comment in Markdown.

    Returns:
        The command; None when the first line is not one: no command at all, or in a quote, in code, further down.

    Raises:
        CommandError: It is one, and written wrongly.
    """
    first_line = _FIRST_LINE.match(body)
    line = first_line[0].rstrip() if first_line else ""
    call = _CALL.fullmatch(line)
    if not call:
        return None
    if len(line) > _LONGEST_LINE:
        raise CommandError(line, f"is longer than {_LONGEST_LINE} characters")
    words = (call["words"] or "").split()
    for word in words:
        if not all(map(is_visible, word)):
            raise CommandError(word, "holds characters that cannot be seen")
        if _OPTION.match(word):
            raise CommandError(word, "is an option, and a comment can set none: the workflow does")
    match words:
        case ["help", *_]:
            return HelpCommand()
        case ["apply", *ids]:
            return ApplyCommand(_ids(" ".join(ids).replace(",", " ").split()))
        case _:
            return _generate(words)


def parse_commit(word: str) -> str:
    """A commit's name in lower case if it is one of 7 to 40 hex digits, else an empty string."""
    return word.lower() if _COMMIT.fullmatch(word) else ""


def quoted(word: str) -> str:
    """A stranger's word as a message may show it: in quotes, cut, without what acts or cannot be seen."""
    # Cut before as well: a comment may be long, and a message is short whatever is left out.
    seen = "".join(filter(is_visible, word[:_LONGEST_LINE])).translate(_INERT)
    return f'"{seen}"' if len(seen) <= _LONGEST_QUOTE else f'"{seen[: _LONGEST_QUOTE - 1]}…"'


def _generate(words: Sequence[str]) -> GenerateCommand:
    commits = list(filter(None, map(parse_commit, words)))
    if len(commits) > 1:
        raise CommandError(commits[1], "is a second commit, and tests are made for one")
    targets = (_target(word) for word in words if not parse_commit(word))
    return GenerateCommand("".join(commits), tuple(dict.fromkeys(targets)))


def _target(word: str) -> str:
    path, separator, name = word.partition("::")
    if not path.endswith(".py"):
        raise CommandError(word, _NEITHER)
    if not _PATH.fullmatch(path):
        raise CommandError(word, "has other characters in its path than letters, digits and _ . + - /")
    if not is_inside(path):
        raise CommandError(word, "has no path from the top of the repository")
    if separator and not all(map(str.isidentifier, name.split("."))):
        raise CommandError(word, "has no name of a class, function or method after ::")
    return word


def _ids(words: Sequence[str]) -> tuple[str, ...]:
    for word in words:
        if not _ID.fullmatch(word):
            raise CommandError(word, "is no id of a proposed test (4 to 16 digits out of 0-9 and a-f)")
    return tuple(dict.fromkeys(words))
