"""Secrets that must not be posted: the job's own, in whatever spelling, and what looks like one of anybody's."""

from __future__ import annotations

import ast
import base64
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from urllib.parse import unquote

from llm_testgen.source import SourceError, parse_tree

# Shorter values are no secrets, and would be found everywhere.
_SHORTEST = 8
_KNOWN_FORMS = re.compile(
    r"""
    gh[pousr]_[0-9A-Za-z]{36}            # GitHub tokens
    | github_pat_[0-9A-Za-z_]{60}
    | (?<![0-9A-Za-z])hf_[0-9A-Za-z]{30}  # Hugging Face
    # OpenAI, Anthropic and others; names with hyphens, such as task-…, are none.
    | (?<![0-9A-Za-z])sk-(?:(?:proj|svcacct|admin|ant|or)-[0-9A-Za-z_-]{32}|[0-9A-Za-z]{32})
    | AKIA[0-9A-Z]{16}                   # Amazon
    | AIza[0-9A-Za-z_-]{35}              # Google
    | xox[abeoprs]-[0-9]{8,}-[0-9A-Za-z-]{20}  # Slack
    | glpat-[0-9A-Za-z_-]{20}            # GitLab
    | pypi-AgEIcHlwaS5vcmc[0-9A-Za-z_-]{20}
    # A key, and not only the line that one begins with.
    | -----BEGIN[ ](?:[A-Z]+[ ])*PRIVATE[ ]KEY-----(?:\\[nr]|[^0-9A-Za-z+/]){1,40}[0-9A-Za-z+/]{40}
    """,
    re.VERBOSE,
)
# What people write where a secret would be: words, and six characters in a row that are the same or follow each other.
_MADE_UP = re.compile(r"example|placeholder|dummy|fake|secret|token|change_?me", re.IGNORECASE)
_MADE_UP_RUN = 6
# Of a random token's characters at least a third differ.
_ALIKE = 3
# In base64 the shortest secret has 11 characters, in hexadecimal 16.
_BASE64 = re.compile(r"[0-9A-Za-z+/_-]{11,}")
_HEX = re.compile(r"[0-9A-Fa-f]{16,}")
# "ghp_" "abc…" and "ghp_" + "abc…" are the string in two parts.
_BETWEEN_STRINGS = re.compile(r"""["']\s*[+\\]?\s*[bfruBFRU]{0,2}["']""")
# A long text may be broken into lines, in which Python's strings have a backslash and an n.
_BREAKS = re.compile(r"\s+|\\n")


def holds_secret(text: str, known: Iterable[str]) -> bool:
    """Whether a text gives away a secret, plainly, reversed, or encoded once in base64, hexadecimal or a URL.

    Args:
        text: What is to be posted; of Python code the values of its strings count too.
        known: The values that the job was given.
    """
    wanted = [secret.strip() for secret in known]
    spellings = {spelling for secret in wanted if len(secret) >= _SHORTEST for spelling in _spellings(secret)}
    return any(_shows(layer, spellings) for layer in _layers(text))


def _spellings(secret: str) -> Iterator[str]:
    yield from (secret, secret[::-1])
    # As bytes that were decoded show it.
    yield secret.encode("utf-8", "replace").decode("latin-1")


def _shows(text: str, spellings: Iterable[str]) -> bool:
    if any(spelling in text for spelling in spellings):
        return True
    return any(not _is_made_up(found[0]) for found in _KNOWN_FORMS.finditer(text))


def _is_made_up(token: str) -> bool:
    steps = [ord(after) - ord(before) for before, after in pairwise(token.lower())]
    run = 1
    for before, after in pairwise(steps):
        run = run + 1 if before == after and after in {0, 1} else 1
        if run == _MADE_UP_RUN - 1:
            return True
    return _MADE_UP.search(token) is not None or len(set(token)) * _ALIKE < len(token)


def _layers(text: str) -> Iterator[str]:
    """A text, the text with its strings joined, the values of its strings, and what is encoded in any of these."""
    for layer in dict.fromkeys([text, _BETWEEN_STRINGS.sub("", text), _strings(text)]):
        yield layer
        yield unquote(layer, "latin-1")
        for unbroken in dict.fromkeys([layer, _BREAKS.sub("", layer)]):
            for match in _BASE64.finditer(unbroken):
                yield from _from_base64(match[0])
            for match in _HEX.finditer(unbroken):
                yield from _from_hex(match[0])


def _strings(text: str) -> str:
    """The values of the strings of Python code one after the other; empty where the text is none."""
    try:
        nodes = [node for node in ast.walk(parse_tree(text)) if isinstance(node, ast.Constant)]
    except SourceError:
        return ""
    nodes.sort(key=lambda node: (node.lineno, node.col_offset))
    values = (node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value for node in nodes)
    return "".join(value for value in values if isinstance(value, str))


def _from_base64(text: str) -> Iterator[str]:
    text = text.translate(str.maketrans("-_", "+/"))
    # What stands before it may shift where its groups of four begin.
    for shift in range(4):
        part = text[shift:]
        part = part[: len(part) - 1] if len(part) % 4 == 1 else part
        yield base64.b64decode(part + "=" * (-len(part) % 4)).decode("latin-1")


def _from_hex(text: str) -> Iterator[str]:
    for shift in range(2):
        part = text[shift:]
        yield bytes.fromhex(part[: len(part) // 2 * 2]).decode("latin-1")
