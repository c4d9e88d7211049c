"""Templates → a page: one HTML file that needs nothing else, and whose own policy lets it fetch and run nothing."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, page: object) -> bytes:
    """A page as UTF-8.

    All text is escaped, wherever it comes from, but for the style sheet.

    Args:
        template: Its name in the folder of templates.
        page: What it shows, under the name ``page``.
    """
    style = stylesheet()
    text = _environment().get_template(template).render(page=page, style=style, policy=policy(style))
    # Half of a surrogate pair, which JSON can carry, is no character that a file can hold.
    return text.encode("utf-8", "replace")


@functools.cache
def stylesheet() -> str:
    """The style sheet that all pages share."""
    return (TEMPLATES / "page.css").read_text(encoding="utf-8")


def policy(style: str) -> str:
    """The content security policy of a page: its one style sheet, images inside the page, and nothing else at all."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
