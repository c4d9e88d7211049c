"""GitHub-flavoured Markdown around foreign text: in a code span or a fence, where GitHub acts on nothing in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

# What a comment's body may hold, in characters (GitHub answers 422 beyond).
LONGEST_BODY = 65_536

_LONGEST_SPAN = 200
_MOST_RANGES = 12
_BACKTICKS = re.compile(r"`+")
_SHORTEST_FENCE = 3
# GitHub's renderer counts no further than 255: any run beyond ends any fence.
_LONGEST_FENCE = 255
# Nothing to see, and yet of a printable category: fillers, joiners and selectors of variants.
_BLANK = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)


def fenced(text: str, language: str = "") -> str:
    """A block that shows a text as it is, whatever backticks it holds, even indented ones; a last newline aside."""
    # A half of a character cannot be sent.
    text = text.removesuffix("\n").encode("utf-8", "replace").decode()
    length = max([_SHORTEST_FENCE, *(len(run) + 1 for run in _BACKTICKS.findall(text))])
    if length > _LONGEST_FENCE:
        return f'<pre lang="{language}"><code>{_escaped(text)}\n</code></pre>'
    fence = "`" * length
    return f"{fence}{language}\n{text}\n{fence}"


def code(text: str, longest: int = _LONGEST_SPAN) -> str:
    """A code span that shows a text in one line, cut to a length; invisible characters are shown by their number.

    Inside one nothing acts: no mention, no image, no HTML, no link.
    """
    text = visible(text, longest)
    runs = {len(run) for run in _BACKTICKS.findall(text)}
    marks = "`" * next(length for length in range(1, len(runs) + 2) if length not in runs)
    padding = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{marks}{padding}{text}{padding}{marks}"


def cell(text: str) -> str:
    """A code span for a table, in which a bar would end the cell."""
    return code(text).replace("|", "\\|")


def visible(text: str, longest: int = _LONGEST_SPAN) -> str:
    """A text in one line, cut to a length, in which every character can be seen."""
    text = " ".join(text.split())[: longest + 1]
    shown = "".join(character if is_visible(character) else _number(character) for character in text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def is_visible(character: str) -> bool:
    """Neither a control character nor one that is blank, or only changes how others are shown, as bidi marks do."""
    return character.isprintable() and not _BLANK.match(character)


def unseen(text: str) -> str:
    """The numbers of a text's characters that cannot be seen, each once, tabs and ends of lines aside."""
    found = dict.fromkeys(character for character in text if character not in "\t\r\n" and not is_visible(character))
    return " ".join(map(_number, found))


def html(text: str) -> str:
    """A text for inside an HTML tag such as ``<summary>``: as code, in which GitHub acts on nothing."""
    return f"<code>{_escaped(visible(text))}</code>"


def details(summary: str, content: str) -> str:
    """A folded part; its summary is HTML."""
    return f"<details><summary>{summary}</summary>\n\n{content}\n\n</details>"


def plural(count: int, noun: str) -> str:
    """A count with its noun: ``1 test``, ``2 tests``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def ranges(lines: tuple[int, ...]) -> str:
    """Line numbers with runs drawn together: 3-5, 9; where there are many, the first of them."""
    parts: list[list[int]] = []
    for line in lines:
        if parts and line == parts[-1][-1] + 1:
            parts[-1].append(line)
        else:
            parts.append([line])
    shown = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in parts[:_MOST_RANGES])
    return shown if len(parts) <= _MOST_RANGES else f"{shown} and more"


def joined(parts: Iterable[str]) -> str:
    """Parts as one text, the empty ones left out."""
    return "\n\n".join(filter(None, parts))


def fitting(parts: Iterable[str], room: int, size: Callable[[str], int] = len) -> list[str]:
    """Those of the parts that have room together, the first ones first.

    Args:
        parts: Parts of one text.
        room: Their size, with what `joined` puts between them, at most.
        size: Measures a part.
    """
    kept = []
    for part in parts:
        taken = size(part) + len("\n\n")
        if taken <= room:
            kept.append(part)
            room -= taken
    return kept


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _number(character: str) -> str:
    return f"\\u{ord(character):04x}"
