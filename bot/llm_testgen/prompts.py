"""Where the templates lie that come along."""

from __future__ import annotations

from pathlib import Path


def default_prompts() -> Path:
    """The folder of templates: inside the installed package, or at the top of the repository in a checkout."""
    installed = Path(__file__).with_name("prompts")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "prompts"
