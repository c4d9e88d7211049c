"""Context → prompt: the templates of a folder, rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound

from llm_testgen.errors import UsageError
from llm_testgen.records import MODULE_QUALNAME, Context, Message, Outcome, Prompt, Verdict

MARK = "# NOT COVERED"

_LINES_PER_TEST = 2
_FEWEST_TESTS = 2
_MOST_TESTS = 6
_MOST_REFUSED = 2
# Longer targets are shown around their uncovered lines only.
_LONGEST_TARGET = 120
_WINDOW = 12


def default_templates() -> Path:
    """The folder of templates that comes along: in the installed package, or at the top of a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "prompts"
    return installed if installed.is_dir() else package.parents[1] / "prompts"


@dataclass(frozen=True, slots=True)
class Refused:
    """A test that was refused, as a re-prompt shows it."""

    code: str
    reason: str


class Templates:
    """The templates of one folder: ``system``, ``generate``, ``reprompt`` and ``prefill``, each ``.jinja``."""

    def __init__(self, folder: Path) -> None:
        """Open a folder of templates.

        Raises:
            UsageError: A template is missing or is not valid.
        """
        self._folder = folder
        self._environment = Environment(
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
            autoescape=False,  # noqa: S701 - prompts are plain text, no page shows them
        )
        for name in ("system", "generate", "reprompt", "prefill"):
            try:
                self._environment.get_template(f"{name}.jinja")
            except TemplateNotFound as error:
                msg = f"{folder} has no template {error.name}; copy the whole prompts folder and change what you need"
                raise UsageError(msg) from error
            except TemplateError as error:
                msg = f"{folder / name}.jinja is no valid template: {error}"
                raise UsageError(msg) from error

    def first(self, context: Context) -> Prompt:
        """The first prompt about a target."""
        return self._prompt("generate", context, attempt=1, refused=())

    def again(self, context: Context, verdicts: Sequence[Verdict], attempt: int) -> Prompt:
        """A re-prompt, which says what became of the last reply and what is still uncovered.

        Args:
            context: As before, its ``uncovered`` brought up to date.
            verdicts: The verdicts on the candidates of the attempt before.
            attempt: 2 for the first re-prompt.
        """
        return self._prompt("reprompt", context, attempt, _refused(verdicts))

    def _prompt(self, name: str, context: Context, attempt: int, refused: tuple[Refused, ...]) -> Prompt:
        tests = count_wanted(context)
        values = {
            "context": context,
            "target": context.target,
            "source": marked_source(context),
            "mark": MARK,
            "subject": _subject(context),
            "count": tests,
            "refused": refused,
        }
        try:
            system = self._environment.get_template("system.jinja").render(values)
            user = self._environment.get_template(f"{name}.jinja").render(values)
            prefill = self._environment.get_template("prefill.jinja").render(values)
        except TemplateError as error:
            msg = f"a template of {self._folder} cannot be rendered: {error}"
            raise UsageError(msg) from error
        return Prompt(context, (Message("system", system), Message("user", user)), prefill, attempt, tests)


def count_wanted(context: Context) -> int:
    """How many tests to ask for: more for more uncovered lines, within what a small model can do in one reply."""
    return min(_MOST_TESTS, max(_FEWEST_TESTS, -(-len(context.uncovered) // _LINES_PER_TEST)))


def marked_source(context: Context) -> str:
    """The target's source with its uncovered lines marked, under the header of its class."""
    texts = [_marked(context, index) for index in range(len(context.target.definitions))]
    body = "\n\n".join(texts)
    outer = context.target.qualname.rpartition(".")[0]
    return f"class {outer.rpartition('.')[2]}:\n{body}" if outer else body


def _marked(context: Context, index: int) -> str:
    method = context.target.definitions[index]
    lines = method.source.split("\n")
    wanted = set(range(len(lines)))
    if len(lines) > _LONGEST_TARGET:
        centres = [number - method.start for number in context.uncovered if method.start <= number <= method.end]
        wanted = {near for centre in centres for near in range(centre - _WINDOW, centre + _WINDOW + 1)}
        wanted |= set(range(_WINDOW))
    shown: list[str] = []
    for offset, line in enumerate(lines):
        if offset not in wanted:
            if shown and not shown[-1].endswith("..."):
                shown.append(" " * (len(line) - len(line.lstrip())) + "...")
            continue
        marked = method.start + offset in context.uncovered
        shown.append(f"{line}  {MARK}" if marked else line)
    return "\n".join(shown)


def _subject(context: Context) -> str:
    """The beginning of the test's name: the target's own, as far as it can stand in one."""
    qualname = context.target.qualname
    if qualname == MODULE_QUALNAME:
        return context.module.rpartition(".")[2].strip("_").lower()
    return "_".join(part.strip("_") for part in qualname.split(".")).lower()


def _refused(verdicts: Sequence[Verdict]) -> tuple[Refused, ...]:
    """The refused tests that tell most: those that ran and failed before those that gained nothing."""
    order = (Outcome.FAILING, Outcome.BROKEN, Outcome.FLAKY, Outcome.NO_GAIN)
    refused = [verdict for verdict in verdicts if verdict.outcome in order]
    refused.sort(key=lambda verdict: order.index(verdict.outcome))
    return tuple(Refused(verdict.candidate.code.strip(), verdict.reason) for verdict in refused[:_MOST_REFUSED])
