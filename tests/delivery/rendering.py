"""Markdown as GitHub renders it: by the library that GitHub's own renderer is, with HTML let through so that it acts."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options

_CODE = frozenset({"code", "pre"})
_VOID = frozenset({"br", "hr", "img", "input"})


@dataclass(slots=True)
class Page:
    """A rendered text.

    Attributes:
        tags: Its elements, in order.
        codes: The text of each element ``code`` that is not in another one.
        blocks: For each block of code its language and its text.
        outside: The text that is in no code.
        links: Where its links and images point.
        unbalanced: Whether tags are left open, or closed that were not opened.
    """

    tags: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    blocks: list[tuple[str, str]] = field(default_factory=list)
    outside: str = ""
    links: list[str] = field(default_factory=list)
    unbalanced: bool = False


def rendered(markdown: str) -> Page:
    """What a text becomes on a page."""
    html = cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE)
    parser = _Parser()
    parser.feed(html)
    parser.close()
    parser.page.unbalanced |= bool(parser.open)
    return parser.page


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.page.tags.append(tag)
        self.page.links += [value for name, value in attrs if name in {"href", "src"}]
        if tag in _VOID:
            return
        self.open.append(tag)
        if tag == "pre":
            self.page.blocks.append((given.get("lang") or "", ""))
        elif tag == "code" and "code" not in self.open[:-1] and "pre" not in self.open:
            self.page.codes.append("")

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.page.unbalanced = True

    def handle_data(self, data):
        if "pre" in self.open:
            language, text = self.page.blocks[-1]
            self.page.blocks[-1] = language, text + data
        elif "code" in self.open:
            self.page.codes[-1] += data
        else:
            self.page.outside += data

    def handle_comment(self, data):
        self.page.tags.append("!")
