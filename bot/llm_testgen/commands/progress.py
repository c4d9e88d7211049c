"""What a person sees while a run works: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.status import Status
from rich.text import Text

from llm_testgen.records import ChangedMethod, Outcome, Reply, Verdict
from llm_testgen.tools import Observer

_PERCENT_STEP = 10


class Progress(Observer, Protocol):
    """An observer that also hears of what comes before the first prompt."""

    def phase(self, name: str) -> None:
        """Something new begins."""

    def download(self, done: int, total: int) -> None:
        """So many bytes of a model are there."""


@contextmanager
def open_progress(console: Console, line: str = "changed line") -> Iterator[Progress]:
    """Show progress on a console until the block is left; ``line`` says what a test is to execute."""
    if not console.is_terminal:
        yield _Lines(console, line)
        return
    with console.status("") as status:
        yield _Live(console, line, status)


class _Lines:
    """One line for each thing that happens; also the base of the live display, which prints less."""

    def __init__(self, console: Console, line: str) -> None:
        self._console = console
        self._line = line
        self._percent = -1

    def phase(self, name: str) -> None:
        self._show(name)

    def download(self, done: int, total: int) -> None:
        percent = 100 * done // total if total else 0
        if percent // _PERCENT_STEP > self._percent // _PERCENT_STEP:
            self._percent = percent
            self._show(f"fetching the model: {decimal(done)} of {decimal(total)}, {percent} %")

    def asked(self, target: ChangedMethod, attempt: int) -> None:
        again = f" (attempt {attempt})" if attempt > 1 else ""
        self._show(f"asking about {target.id}{again}")

    def replied(self, reply: Reply) -> None:
        usage = reply.usage
        self._show(f"  {usage.tokens_out} tokens in {usage.seconds:.1f} s for {reply.prompt.target.id}")

    def judged(self, verdict: Verdict) -> None:
        name = verdict.candidate.name or "the reply"
        if verdict.outcome is Outcome.ACCEPTED:
            gained = sum(map(len, verdict.gained.values()))
            gain = f" {name}: {gained} more {self._line}{'' if gained == 1 else 's'}"
            self._print(Text.assemble("  ", ("✓", "green"), gain))
        else:
            outcome = verdict.outcome.replace("_", " ")
            self._refused(Text(f"  ✗ {name}: {outcome}: {verdict.reason}", "dim"))

    def confirming(self, count: int) -> None:
        self._show(f"running the {count} chosen {'test' if count == 1 else 'tests'} together")

    def _show(self, text: str) -> None:
        self._print(Text(text))

    def _refused(self, text: Text) -> None:
        self._print(text)

    def _print(self, text: Text) -> None:
        # What is no string is printed as it is: in names and reasons brackets are no markup and `:x:` is no emoji.
        self._console.print(text, soft_wrap=True)


class _Live(_Lines):
    """What goes on now stands on one line that changes; accepted tests stay on the screen."""

    def __init__(self, console: Console, line: str, status: Status) -> None:
        super().__init__(console, line)
        self._status = status
        self._judged = 0
        self._accepted = 0
        self._now = ""

    def download(self, done: int, total: int) -> None:
        self._show(f"fetching the model: {decimal(done)} of {decimal(total)}")

    def replied(self, reply: Reply) -> None:
        self._show(f"judging tests of {reply.prompt.target.id}")

    def judged(self, verdict: Verdict) -> None:
        self._judged += verdict.outcome is not Outcome.UNPARSABLE
        self._accepted += verdict.outcome is Outcome.ACCEPTED
        super().judged(verdict)
        self._show(self._now)

    def _refused(self, text: Text) -> None:
        """Refused tests are counted, and listed in the summary."""

    def _show(self, text: str) -> None:
        self._now = text
        tests = "test" if self._judged == 1 else "tests"
        counts = f" · {self._judged} {tests} judged, {self._accepted} accepted" if self._judged else ""
        self._status.update(Text.assemble(text, (counts, "dim")))
