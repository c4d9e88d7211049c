"""Reads a page as a browser would, and says what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "rect"}
ACTIVE = {"script", "iframe", "object", "embed", "form", "base", "img"}


@dataclass(eq=False)
class Page(HTMLParser):
    """A page taken apart.

    Attributes:
        text: All that is read as text, the style sheet aside.
        tags: Each element with its attributes.
        faults: Elements that are not closed in their order, ids that are there twice, links that lead nowhere.
    """

    source: str
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self._texts: list[str] = []
        self.feed(self.source)
        self.close()
        self.text = "".join(self._texts)
        self.faults += [f"{tag} is not closed" for tag in self._open]
        ids = self.values("id")
        self.faults += [f"{name} is there twice" for name in set(ids) if ids.count(name) > 1]
        self.faults += [f"{link} leads nowhere" for link in self.values("href", "a") if link[1:] not in ids]
        self.faults += [f"<{tag}>" for tag, _ in self.tags if tag in ACTIVE]
        self.faults += [f"{name}=" for _, own in self.tags for name in own if name.startswith("on") or name == "style"]

    def values(self, attribute: str, tag: str = "") -> list[str]:
        """The values of an attribute, of all elements or those of a kind."""
        return [own[attribute] or "" for name, own in self.tags if attribute in own and tag in {"", name}]

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        if "style" not in self._open:
            self._texts.append(data)
