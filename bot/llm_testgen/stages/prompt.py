"""Context → prompt: the templates of a folder, rendered as a recipe says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llm_testgen.errors import UsageError
from llm_testgen.feedback import NO_FEEDBACK, Feedback, Unnoticed, feedback
from llm_testgen.lessons import NO_LESSONS, Lessons
from llm_testgen.recipe import DEFAULT_RECIPE, Choice, Kind, Recipe, read_recipe
from llm_testgen.records import MODULE_QUALNAME, Context, Goal, Lines, Message, Method, Prompt, Verdict

# What a re-prompt mentions beside the lines that are uncovered.
_MOST_UNNOTICED = 3
# Longer targets are shown around their uncovered lines only.
_LONGEST_TARGET = 120
_WINDOW = 12
_LONGEST_SOURCE = 12_000  # characters, some 4,000 tokens
_ALWAYS_THERE = ("system", "generate", "reprompt", "prefill", "comment", "faults", "asserts", "asserts_system")
_DEFAULT_TASK = "task"
# Kinds that have a task of their own, whatever the recipe's instructions. What is to get its assertions from a run is
# asked for without any.
_TASKS = {Kind.SMOKE: "smoke", Kind.ASSERTS: "smoke"}


def default_templates() -> Path:
    """The folder of templates that comes along: in the installed package, or at the top of a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "prompts"
    return installed if installed.is_dir() else package.parents[1] / "prompts"


def load_prompts(path: Path | None, kind: Kind | None = None) -> Templates:
    """The prompts that a person asks for.

    Args:
        path: A folder of templates, or the file of a recipe; None for those that come along.
        kind: What the tests are to be; None for what the recipe says.

    Raises:
        UsageError: They cannot be read.
    """
    recipe, folder = DEFAULT_RECIPE, path or default_templates()
    if path is not None and path.is_file():
        recipe = read_recipe(path)
        folder = default_templates() if recipe.templates is None else path.parent / recipe.templates
    return Templates(folder, recipe.model_copy(update={"kind": kind or recipe.kind}))


@dataclass(frozen=True, slots=True)
class _Request:
    """What one prompt asks for, and what it says beside the context.

    Attributes:
        task: The template that says what is wanted.
        tests: How many tests.
        goals: What they must reach, one each.
        faults: What they must notice, one each, where nothing is left to reach.
        lessons: What tests of other targets teach.
        heard: What became of earlier tests.
    """

    task: str
    tests: int
    goals: tuple[Goal, ...] = ()
    faults: tuple[Unnoticed, ...] = ()
    lessons: Lessons = NO_LESSONS
    heard: Feedback = NO_FEEDBACK


class Templates:
    """The templates of one folder, and the recipe by which they are used.

    Attributes:
        folder: Where they are.
        recipe: How they are used.
    """

    def __init__(self, folder: Path, recipe: Recipe = DEFAULT_RECIPE) -> None:
        """Open a folder of templates.

        Raises:
            UsageError: A template is missing or is not valid, or the recipe names instructions that are not there.
        """
        self.recipe = recipe
        self.folder = folder
        # A folder of a project's own must not be able to do more than fill in words.
        self._environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
            autoescape=False,  # prompts are plain text, no page shows them
        )
        self._task = _TASKS.get(recipe.kind) or _task_of(folder, recipe.instructions)
        for name in (*_ALWAYS_THERE, self._task):
            try:
                self._environment.get_template(f"{name}.jinja")
            except TemplateNotFound as error:
                msg = f"{folder} has no template {error.name}; copy the whole prompts folder and change what you need"
                raise UsageError(msg) from error
            except TemplateError as error:
                msg = f"{folder / name}.jinja is no valid template: {error}"
                raise UsageError(msg) from error

    def first(self, context: Context, lessons: Lessons = NO_LESSONS) -> Prompt:
        """The first prompt about a target.

        Args:
            context: What there is to say about it.
            lessons: What tests of other targets teach.
        """
        return self._prompt("generate", context, replace(self._request(context), lessons=lessons), 1)

    def again(
        self, context: Context, verdicts: Sequence[Verdict], attempt: int, lessons: Lessons = NO_LESSONS
    ) -> Prompt:
        """A re-prompt, which says what became of the tests so far and what is still wanted.

        Where no line is uncovered, it asks for tests that notice the faults which accepted tests do not.

        Args:
            context: As before, its ``uncovered`` brought up to date.
            verdicts: All verdicts on the target's candidates so far.
            attempt: 2 for the first re-prompt.
            lessons: What tests of other targets teach.
        """
        heard = feedback(context.target, verdicts)
        if self._task in _TASKS.values():
            heard = replace(heard, unnoticed=())  # what asserts nothing can notice nothing
        request = replace(self._request(context), lessons=lessons, heard=heard)
        if heard.unnoticed and not context.uncovered:
            faults = heard.unnoticed[: self.recipe.tests]
            request = replace(request, task="faults", tests=len(faults), goals=(), faults=faults)
        return self._prompt("reprompt", context, request, attempt)

    def comment(self, context: Context, opening: str) -> Prompt:
        """A prompt that asks for the target's source with comments, and for no test.

        Args:
            context: Of the target.
            opening: The beginning of the commented source.
        """
        values = {"context": context, "target": context.target, "source": shown_source(context)}
        message = Message("user", self._render("comment", values))
        return Prompt(context, (message,), f"```python\n{opening}", attempt=1, tests=0)

    def asserts(self, context: Context, opening: str) -> Prompt:
        """A prompt that asks for the target's source with assertions in it, and for no test.

        Args:
            context: Of the target.
            opening: The beginning of that source.
        """
        values = {"context": context, "target": context.target, "source": shown_source(context), "recipe": self.recipe}
        messages = (
            Message("system", self._render("asserts_system", values)),
            Message("user", self._render("asserts", values)),
        )
        return Prompt(context, messages, f"```python\n{opening}", attempt=1, tests=0)

    def smoking(self) -> Templates:
        """The same templates, used to ask for tests that only run the target."""
        return Templates(self.folder, self.recipe.model_copy(update={"kind": Kind.SMOKE}))

    def _request(self, context: Context) -> _Request:
        tests = min(max(1, len(context.goals)), self.recipe.tests)
        return _Request(self._task, tests, context.goals[:tests] if self.recipe.goals else ())

    def _prompt(self, name: str, context: Context, request: _Request, attempt: int) -> Prompt:
        shown, lessons = self._with_examples(context, request.lessons)
        values = {
            "context": shown,
            "target": context.target,
            "source": shown_source(context),
            "task": f"{request.task}.jinja",
            "goals": request.goals,
            "faults": request.faults,
            "count": request.tests,
            "subject": _subject(context),
            "recipe": self.recipe,
            "smoke": request.task == "smoke",
            "lessons": lessons,
            "feedback": request.heard,
            "unnoticed": () if request.faults else request.heard.unnoticed[:_MOST_UNNOTICED],
        }
        messages = (Message("system", self._render("system", values)), Message("user", self._render(name, values)))
        return Prompt(context, messages, self._render("prefill", values), attempt, request.tests)

    def _with_examples(self, context: Context, lessons: Lessons) -> tuple[Context, Lessons]:
        """The context without its example where the recipe prefers accepted tests and there are some."""
        if self.recipe.choice is not Choice.ACCEPTED or not lessons.accepted:
            return context, lessons
        accepted = lessons.accepted[: self.recipe.examples]
        return replace(context, example="", fixtures=()), replace(lessons, accepted=accepted)

    def _render(self, name: str, values: dict[str, object]) -> str:
        try:
            return self._environment.get_template(f"{name}.jinja").render(values)
        except Exception as error:  # a template can compute, and so raise, anything
            msg = f"a template of {self.folder} cannot be rendered: {error}"
            raise UsageError(msg) from error


def _task_of(folder: Path, instructions: str) -> str:
    """The name of the template of a recipe's instructions."""
    if instructions == _DEFAULT_TASK:
        return instructions
    known = sorted(path.stem for path in (folder / _DEFAULT_TASK).glob("*.jinja"))
    if instructions not in known:
        msg = f"{folder} has no instructions {instructions!r}; there are {', '.join([_DEFAULT_TASK, *known])}"
        raise UsageError(msg)
    return f"{_DEFAULT_TASK}/{instructions}"


def shown_source(context: Context) -> str:
    """The target's source, commented or plain, under its class's header; of a long one what is near uncovered lines."""
    *others, method = context.target.definitions
    texts = [_shown(other, context.uncovered) for other in others]
    texts.append(context.commented or _shown(method, context.uncovered))
    body = _cut("\n\n".join(texts))
    outer = context.target.qualname.rpartition(".")[0]
    return f"class {outer.rpartition('.')[2]}:\n{body}" if outer else body


def _cut(text: str) -> str:
    """A text that leaves room for a reply in the context of a small model, cut between lines."""
    if len(text) <= _LONGEST_SOURCE:
        return text
    return text[: text.rfind("\n", 0, _LONGEST_SOURCE) if "\n" in text[:_LONGEST_SOURCE] else _LONGEST_SOURCE]


def _shown(method: Method, uncovered: Lines) -> str:
    lines = method.source.split("\n")
    if len(lines) <= _LONGEST_TARGET:
        return method.source
    centres = [number - method.start for number in uncovered if method.start <= number <= method.end]
    wanted = {near for centre in centres for near in range(centre - _WINDOW, centre + _WINDOW + 1)}
    wanted.update(range(_WINDOW))
    shown: list[str] = []
    for offset, line in enumerate(lines):
        if offset in wanted:
            shown.append(line)
        elif shown[-1].strip() != "...":
            shown.append(" " * (len(line) - len(line.lstrip())) + "...")
    return "\n".join(shown)


def _subject(context: Context) -> str:
    """The beginning of the test's name: the target's own, as far as it can stand in one."""
    qualname = context.target.qualname
    if qualname == MODULE_QUALNAME:
        return context.module.rpartition(".")[2].strip("_").lower()
    return "_".join(part.strip("_") for part in qualname.split(".")).lower()
