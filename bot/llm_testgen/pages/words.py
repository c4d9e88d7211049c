"""Foreign text on a page: made visible, kept apart from the page's own words, and cut to a length.

Nothing here is HTML. The templates escape all that they are given.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from llm_testgen.delivery.markdown import visible

_LONGEST = 2_000
# What `visible` gives holds no control character, so no foreign text can pretend to begin or end a quotation.
_OPEN, _CLOSE = "\x02", "\x03"
_QUOTED = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}")


class Part(NamedTuple):
    """A piece of a phrase: the page's own words, or code as it stands."""

    text: str
    is_code: bool = False


Phrase = tuple[Part, ...]

NOTHING: Phrase = ()


def plain(text: str, longest: int = _LONGEST) -> Phrase:
    """A text in one line, in which every character can be seen; nothing for an empty one."""
    return (Part(visible(text, longest)),) if text.strip() else NOTHING


def code(text: str, longest: int = _LONGEST) -> Phrase:
    """The same as a piece of code."""
    return (Part(visible(text, longest), is_code=True),) if text.strip() else NOTHING


def quote(text: str, longest: int = _LONGEST) -> str:
    """A piece of foreign text inside a sentence that `phrase` will take apart."""
    return f"{_OPEN}{visible(text, longest)}{_CLOSE}"


def phrase(sentence: str) -> Phrase:
    """A sentence whose foreign parts were all put in by `quote`."""
    pieces = _QUOTED.split(sentence)
    return tuple(Part(piece, is_code=bool(number % 2)) for number, piece in enumerate(pieces) if piece)
