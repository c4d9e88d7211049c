"""Arms: ways to get tests out of a model, run on the same cases with the same tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from llm_testgen.bench import cover_agent, cover_agent_suite, coverup_focus, coverup_suite, peers
from llm_testgen.bench.chain_ways import Way, plain_templates
from llm_testgen.bench.pulls.rewriting import without_comments
from llm_testgen.recipe import DEFAULT_RECIPE, Begun, Choice, Kind, Recipe
from llm_testgen.records import ChangedMethod, Relation
from llm_testgen.settings import Generation
from llm_testgen.stages.prompt import Templates, default_templates

# Tokens out for one method and arm. An arm that has the code commented first gets those of the comments on top.
PURSE = 800
_COMMENTS = 600
_ITALIAN = files("llm_testgen.bench") / "data" / "italian"
# What decides how another generator is run, by the key of its arm.
_PEER_SOURCES = {
    "coverup": (peers, coverup_focus, coverup_suite),
    "cover-agent": (peers, cover_agent, cover_agent_suite),
}
_FULL = Generation()
_ONCE = Generation(attempts=1)
_OFTEN = Generation(attempts=8)  # more than the purse lets be: it is what ends them
_AS_IT_COMES = Generation(attempts=1, repairs=0, repairing=frozenset(), mutants=0, reply_tokens=PURSE)


def _same(target: ChangedMethod) -> ChangedMethod:
    return target


@dataclass(frozen=True, slots=True)
class Arm:
    """One way.

    Attributes:
        key: Its name in files and on the command line.
        label: Its name in a table or a plot.
        settings: How tests are asked for and judged.
        templates: Opens its prompts.
        whole: Whether a reply's code is kept or dropped as one file.
        selects: Whether accepted tests are chosen among and confirmed together, as a proposal's are.
        purse: Tokens that replies about one method may take together.
        rewrite: What is done to a method before a prompt shows it.
        x: Where it stands on an experiment's axis; None where that is no scale.
        peer: Whether it is another generator, which asks and keeps in its own way.
    """

    key: str
    label: str
    settings: Generation
    templates: Callable[[], Templates] = field(compare=False)
    whole: bool = False
    selects: bool = False
    purse: int = PURSE
    rewrite: Callable[[ChangedMethod], ChangedMethod] = field(default=_same, compare=False)
    x: float | None = None
    peer: bool = False

    @property
    def way(self) -> Way:
        """As the bench of the chain names it."""
        return Way(self.key, self.label, self.key, self.settings, self.whole, self.selects)

    def digest(self) -> str:
        """What tells results of this arm from those of another form of it: settings, recipe, words of the prompts.

        Of a peer it is how it is run.
        """
        templates = self.templates()
        sources = [Path(str(module.__file__)) for module in _PEER_SOURCES[self.key]] if self.peer else None
        paths = sources or sorted(templates.folder.rglob("*.jinja"))
        texts = "".join(path.read_text("utf-8") for path in paths)
        # Sets have no order of their own.
        settings = replace(self.settings, repairing=frozenset()), sorted(self.settings.repairing)
        parts = (settings, self.whole, self.selects, self.purse, self.rewrite.__name__, templates.recipe, texts)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def with_recipe(recipe: Recipe = DEFAULT_RECIPE, folder: Path | None = None) -> Callable[[], Templates]:
    """Opens templates with a recipe, once."""

    @cache
    def templates() -> Templates:
        return Templates(folder or default_templates(), recipe)

    return templates


def _recipe(**changes: object) -> Recipe:
    return Recipe.model_validate({**DEFAULT_RECIPE.model_dump(), **changes})


def _ours(key: str, label: str, *, x: float | None = None, **changes: Any) -> Arm:  # noqa: ANN401 - a recipe's
    """Our first prompt with some of its recipe changed, and all of the chain."""
    recipe = _recipe(**changes)
    settings = replace(_ONCE, temperature=recipe.temperature, context_tokens=recipe.context_tokens)
    return Arm(key, label, settings, with_recipe(recipe), x=x)


def _commented(arm: Arm) -> Arm:
    return replace(arm, purse=PURSE + _COMMENTS, rewrite=without_comments)


OURS = Arm("ours", "llm-testgen", _FULL, with_recipe(), selects=True)
FIRST = Arm("ours-first", "llm-testgen, one prompt", _ONCE, with_recipe(), selects=True)
MORE = Arm("ours-more", "llm-testgen, all its tokens", _OFTEN, with_recipe(), selects=True)
PLAIN = Arm("plain", "plain prompt, whole file", _AS_IT_COMES, plain_templates, whole=True)
PLAIN_EACH = Arm("plain-each", "plain prompt, test by test", _AS_IT_COMES, plain_templates)
COVERUP = Arm("coverup", "CoverUp 0.6.3", _AS_IT_COMES, plain_templates, peer=True)
COVER_AGENT = Arm("cover-agent", "cover-agent", _AS_IT_COMES, plain_templates, peer=True)
MAIN = (OURS, FIRST, MORE, PLAIN, PLAIN_EACH, COVERUP, COVER_AGENT)
# What is compared unless arms are named: cover-agent has to be fetched by the user, and small models find nothing more
# however often they are asked.
USUAL = (OURS, FIRST, PLAIN, PLAIN_EACH, COVERUP)

_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_BUDGETS = (300, 600, 1200)
_SIGNATURES: dict[str, Any] = {"body_share": 0.0, "example_share": 0.0, "examples": 0}
_NO_CONTEXT: dict[str, Any] = {"context": (), "context_tokens": 0, "examples": 0}
_RELATED: dict[str, Any] = {"context": tuple(Relation), "examples": 0, "example_share": 0.0}

TEMPERATURE = tuple(_ours(f"t-{value}", f"{value}", x=value, temperature=value) for value in _TEMPERATURES)
CONTEXT = (
    _ours("context-none", "no related code", **_NO_CONTEXT),
    _ours("context-signatures", "signatures, 600 tokens", context_tokens=600, **_SIGNATURES),
    *(
        _ours(f"context-bodies-{budget}", f"bodies, {budget} tokens", context_tokens=budget, **_RELATED)
        for budget in _BUDGETS
    ),
)
COMMENTS = (
    replace(_ours("comments-none", "no comments"), rewrite=without_comments),
    _ours("comments-author", "the author's comments"),
    _commented(_ours("comments-model", "the model's comments", kind=Kind.COMMENTED)),
)
LANGUAGE = (
    _commented(_ours("language-english", "English", kind=Kind.COMMENTED)),
    _commented(
        replace(
            _ours("language-italian", "Italian"),
            templates=with_recipe(_recipe(kind=Kind.COMMENTED), Path(str(_ITALIAN))),
        )
    ),
)
MODELS = (FIRST, OURS)
EXAMPLES = (
    _ours("examples-none", "no example", examples=0),
    _ours("examples-nearest", "the nearest test of the repository", examples=1),
    _ours("examples-three", "three tests of the repository", examples=3, example_share=0.5),
    _ours("examples-lessons", "tests judged before, good and bad", examples=1, lesson_tokens=300),
    _ours("examples-accepted", "accepted tests before old ones", choice=Choice.ACCEPTED, lesson_tokens=300),
)
PREFILL = (
    _ours("prefill-none", "reply not begun", prefill=Begun.NONE),
    _ours("prefill-imports", "imports given", prefill=Begun.IMPORTS),
    _ours("prefill-test", "first line of the test given", prefill=Begun.TEST),
)
