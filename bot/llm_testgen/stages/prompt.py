"""Context → prompt: the templates of a folder, rendered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound

from llm_testgen.errors import UsageError
from llm_testgen.records import MODULE_QUALNAME, Context, Lines, Message, Method, Outcome, Prompt, Verdict

# As many as a small model can write in one reply.
_MOST_TESTS = 6
_MOST_REASONS = 3
_LONGEST_REASON = 200
# Longer targets are shown around their uncovered lines only.
_LONGEST_TARGET = 120
_WINDOW = 12
_LONGEST_SOURCE = 12_000  # characters, some 4,000 tokens


def default_templates() -> Path:
    """The folder of templates that comes along: in the installed package, or at the top of a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "prompts"
    return installed if installed.is_dir() else package.parents[1] / "prompts"


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
        return self._prompt("generate", context, attempt=1, seen=())

    def again(self, context: Context, verdicts: Sequence[Verdict], attempt: int) -> Prompt:
        """A re-prompt, which says what became of the last reply and what is still uncovered.

        Args:
            context: As before, its ``uncovered`` brought up to date.
            verdicts: The verdicts on the candidates of the attempt before.
            attempt: 2 for the first re-prompt.
        """
        return self._prompt("reprompt", context, attempt, _seen(verdicts))

    def _prompt(self, name: str, context: Context, attempt: int, seen: tuple[str, ...]) -> Prompt:
        goals = context.goals[:_MOST_TESTS]
        tests = max(1, len(goals))
        values = {
            "context": context,
            "target": context.target,
            "source": shown_source(context),
            "goals": goals,
            "subject": _subject(context),
            "count": tests,
            "seen": seen,
        }
        try:
            system = self._environment.get_template("system.jinja").render(values)
            user = self._environment.get_template(f"{name}.jinja").render(values)
            prefill = self._environment.get_template("prefill.jinja").render(values)
        except Exception as error:  # a template can compute, and so raise, anything
            msg = f"a template of {self._folder} cannot be rendered: {error}"
            raise UsageError(msg) from error
        return Prompt(context, (Message("system", system), Message("user", user)), prefill, attempt, tests)


def shown_source(context: Context) -> str:
    """The target's source under the header of its class; of a long one what is around the uncovered lines."""
    texts = [_shown(method, context.uncovered) for method in context.target.definitions]
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


def _seen(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """What failing tests showed, one line each. Their code is not repeated: a small model would copy it."""
    failing = (verdict.reason for verdict in verdicts if verdict.outcome in {Outcome.FAILING, Outcome.BROKEN})
    return tuple(reason[:_LONGEST_REASON] for reason in list(dict.fromkeys(failing))[:_MOST_REASONS])
