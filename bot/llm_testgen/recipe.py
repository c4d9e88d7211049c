"""The recipe of a prompt: what it shows, how it asks and how the reply is drawn, as one file, version 1.

A search over prompts changes a recipe's fields within their bounds, and writes down the one that did best.
"""

from __future__ import annotations

import json
import tomllib
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from llm_testgen.bounds import Bounded
from llm_testgen.errors import UsageError
from llm_testgen.records import Relation

_CHARACTERS_PER_TOKEN = 3
_LARGEST_FILE = 1 << 16
_ALL = tuple(Relation)


class Kind(StrEnum):
    """What a test is to be."""

    SMOKE = "smoke"
    UNIT = "unit"
    COMMENTED = "commented"
    ASSERTS = "asserts"


class Begun(StrEnum):
    """How far the reply is begun for the model."""

    NONE = "none"
    IMPORTS = "imports"
    TEST = "test"


class Choice(StrEnum):
    """Which existing tests are shown as examples."""

    NEAREST = "nearest"
    SHORTEST = "shortest"
    ACCEPTED = "accepted"


def _in_order(relations: tuple[Relation, ...]) -> tuple[Relation, ...]:
    """Each once and in one order, so that equal choices make equal recipes."""
    return tuple(relation for relation in _ALL if relation in relations)


def _relative(folder: str) -> str:
    if PurePath(folder).is_absolute():
        msg = "must be a folder relative to the recipe"
        raise ValueError(msg)
    return folder


_Share = Annotated[float, Field(ge=0, le=1)]


class Recipe(Bounded):
    """How tests are asked for. The defaults are what ``propose`` does when it is given none.

    Attributes:
        version: Of this form.
        templates: Folder of the templates, relative to the recipe's file; None for the one that comes along.
        kind: What the tests are to be.
        instructions: The template of the task: ``task``, or a file's name in ``task/``. Smoke tests have their own.
        goals: Whether the prompt lists what each test must reach, and under which conditions.
        prefill: How far the reply is begun.
        tests: Tests to ask for in one reply at most.
        context: Relations to the target of which related code is shown.
        context_tokens: Tokens that related code and examples may take together; 0 for none.
        body_share: Share of that which whole bodies may take; signatures get what is left.
        example_share: Share of that which existing tests may take.
        examples: Existing tests to show at most.
        choice: Which ones.
        lesson_tokens: Tokens that tests of other targets, accepted and refused, may take; 0 for none.
        temperature: Of the model; 0 for its likeliest reply.
        reply_tokens: Tokens of one reply at most; None for what the tests asked for take, with room to spare.
    """

    version: Literal[1] = 1
    templates: Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_relative)] | None = None
    kind: Kind = Kind.UNIT
    instructions: str = Field(default="task", pattern=r"^[a-z][a-z0-9_]{0,39}$")
    goals: bool = True
    prefill: Begun = Begun.TEST
    tests: int = Field(default=6, ge=1, le=12)
    context: Annotated[tuple[Relation, ...], Field(max_length=len(_ALL)), AfterValidator(_in_order)] = _ALL
    context_tokens: int = Field(default=600, ge=0, le=100_000)
    body_share: _Share = 0.6
    example_share: _Share = 0.25
    examples: int = Field(default=1, ge=0, le=3)
    choice: Choice = Choice.NEAREST
    lesson_tokens: int = Field(default=0, ge=0, le=10_000)
    temperature: float = Field(default=0.0, ge=0, le=2)
    reply_tokens: int | None = Field(default=None, ge=64, le=16_384)


DEFAULT_RECIPE = Recipe()


def tokens(text: str) -> int:
    """Tokens of Python text, rather too many, in which a recipe's budgets are counted."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def read_recipe(path: Path) -> Recipe:
    """A recipe from a file, ``.json`` or else TOML.

    Raises:
        UsageError: It cannot be read or is no recipe; the message names the field.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}): pass a folder of templates or the file of a recipe"
        raise UsageError(msg) from error
    if len(data) > _LARGEST_FILE:
        msg = f"{path} is too large for a recipe: pass a folder of templates or the file of a recipe"
        raise UsageError(msg)
    form = "JSON" if path.suffix.lower() == ".json" else "TOML"
    try:
        text = data.decode("utf-8-sig")
        # By way of JSON both forms are checked strictly, and names still stand for the members of an enumeration.
        values: Any = json.loads(text) if form == "JSON" else tomllib.loads(text.replace("\r\n", "\n"))
        return Recipe.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        msg = f"{path} is no recipe of version 1: {_fault(error)}"
        raise UsageError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"{path} is no {form}: {' '.join(str(error).split())}"
        raise UsageError(msg) from error


def _fault(error: ValidationError) -> str:
    """The first fault of a recipe, in one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"there is no field {where}; the fields are {', '.join(Recipe.model_fields)}"
    return f"{where}: {first['msg']}" if where else first["msg"]
