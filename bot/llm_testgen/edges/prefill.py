"""The beginning of a reply that a model was given, and what it made of it."""

from __future__ import annotations

import re

_CUT_NAME = re.compile(r"(?:^|\n)[ \t]*(?:async[ \t]+)?def[ \t]+\w*\Z")
_REST_OF_NAME = re.compile(r"\w*(?:[ \t]*[(\[]|\Z)")


def join_prefill(prefill: str, text: str) -> tuple[str, bool]:
    """Put a reply together with the prefill that it was to continue.

    Args:
        prefill: The beginning of the reply that was sent.
        text: What the server answered.

    Returns:
        The whole reply, and whether the server continued the prefill. If so, it begins with the prefill exactly once;
        if the text is a message of its own (it opens a code fence, repeats the prefill's beginning, or cannot follow
        the prefill's last line), it is that text alone. Nothing stays nothing.
    """
    bare = text.lstrip()
    if not bare or not prefill:
        return bare if prefill else text, bool(bare)
    if bare.startswith(prefill.lstrip()):
        return prefill + bare.removeprefix(prefill.lstrip()), True
    first_line = bare.splitlines()[0].rstrip()
    beginning = [line.rstrip() for line in prefill.splitlines() if line.strip()][:2]
    is_other_name = _CUT_NAME.search(prefill) is not None and _REST_OF_NAME.match(text) is None
    if bare.startswith("```") or first_line in beginning or is_other_name:
        return text, False
    return prefill + text, True
