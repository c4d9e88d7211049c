"""The recipe that was found, as a file that ``propose --prompts`` takes."""

from __future__ import annotations

import json
from collections.abc import Iterable

from llm_testgen.recipe import Recipe


def written(recipe: Recipe, remarks: Iterable[str]) -> str:
    """A recipe as TOML under remarks, one line each. What JSON makes of a field's value is TOML too."""
    head = [f"# {' '.join(line.split())}".rstrip() for line in remarks]
    values = recipe.model_dump(mode="json", exclude_none=True)
    fields = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    return "\n".join([*head, "", *fields, ""])
