from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console
from rich.live import Live
from tests.samples import changed_method, reply

from llm_testgen.commands.progress import Progress, open_progress
from llm_testgen.records import Candidate, Outcome, Usage, Verdict

TARGET = changed_method()
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
TRICKY = ["[red]x[/red]", "[/]", "[bold", "a[:100:]", ":warning:", "x[0][1]", "tail\\", "[link=x]", "{name}", "%s"]


def verdict(outcome: Outcome, name: str = "test_it", reason: str = "", gained: int = 1) -> Verdict:
    lines = {"a.py": frozenset(range(1, gained + 1))} if outcome is Outcome.ACCEPTED else {}
    return Verdict(Candidate(reply("text", TARGET), name, "code"), outcome, reason, lines)


def plain(steps: Callable[[Progress], None], width: int = 80) -> list[str]:
    """The lines that are printed where there is no terminal."""
    console = Console(file=StringIO(), width=width)
    with open_progress(console) as progress:
        steps(progress)
    return shown(console).splitlines()


def shown(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


class Screen:
    """A terminal: what stands on the changing line after each step, and what was printed for good."""

    def __init__(self, width: int = 80) -> None:
        self._console = Console(file=StringIO(), width=width, force_terminal=True, _environ={"TERM": "xterm-256color"})

    def after(self, steps: Callable[[Progress], None]) -> tuple[str, str]:
        with open_progress(self._console) as progress:
            steps(progress)
            (live,) = self._console._live_stack
            now = self._line(live)
        return now, ANSI.sub("", shown(self._console))

    def _line(self, live: Live) -> str:
        """The line as it is drawn, without the spinner before it."""
        quiet = Console(file=StringIO(), width=1000)
        quiet.print(live.get_renderable())
        return shown(quiet).strip().partition(" ")[2]


def test_every_step_is_a_line_where_there_is_no_terminal():
    def steps(progress: Progress) -> None:
        progress.phase("reading the project")
        progress.asked(TARGET, 1)
        progress.replied(replace(reply("text", TARGET), usage=Usage(100, 20, 0.55)))
        progress.judged(verdict(Outcome.ACCEPTED, gained=1))
        progress.judged(verdict(Outcome.ACCEPTED, gained=3))
        progress.judged(verdict(Outcome.NO_GAIN, "test_other", "covers nothing new"))
        progress.judged(verdict(Outcome.UNPARSABLE, "", "the reply holds no test function"))
        progress.asked(TARGET, 2)
        progress.confirming(1)
        progress.confirming(2)

    assert plain(steps) == [
        "reading the project",
        "asking about src/pkg/mod.py::double",
        "  20 tokens in 0.6 s for src/pkg/mod.py::double",
        "  ✓ test_it: 1 more changed line",
        "  ✓ test_it: 3 more changed lines",
        "  ✗ test_other: no gain: covers nothing new",
        "  ✗ the reply: unparsable: the reply holds no test function",
        "asking about src/pkg/mod.py::double (attempt 2)",
        "running the 1 chosen test together",
        "running the 2 chosen tests together",
    ]


def test_what_a_test_executes_is_called_what_it_is():
    console = Console(file=StringIO(), width=80)
    with open_progress(console, "line") as progress:
        progress.judged(verdict(Outcome.ACCEPTED, gained=1))
        progress.judged(verdict(Outcome.ACCEPTED, gained=3))
    assert shown(console).splitlines() == ["  ✓ test_it: 1 more line", "  ✓ test_it: 3 more lines"]


@pytest.mark.parametrize("width", [80, 120])
def test_long_lines_are_not_wrapped_in_a_log(width):
    reason = "word " * 100
    (line,) = plain(lambda progress: progress.judged(verdict(Outcome.FAILING, reason=reason)), width)
    assert reason.strip() in line


def test_a_log_holds_no_control_characters():
    def steps(progress: Progress) -> None:
        progress.phase("x")
        progress.judged(verdict(Outcome.ACCEPTED))
        progress.judged(verdict(Outcome.FAILING))

    assert "\x1b" not in "".join(plain(steps))


def test_a_download_is_told_in_steps_of_ten_per_cent():
    def steps(progress: Progress) -> None:
        for done in range(0, 1_000_000_001, 1_000_000):
            progress.download(done, 1_000_000_000)

    lines = plain(steps)
    assert len(lines) == 11
    assert lines[0] == "fetching the model: 0 bytes of 1.0 GB, 0 %"
    assert lines[5] == "fetching the model: 500.0 MB of 1.0 GB, 50 %"
    assert lines[-1] == "fetching the model: 1.0 GB of 1.0 GB, 100 %"


def test_a_download_that_goes_on_where_it_stopped_or_of_unknown_size_is_told():
    assert plain(lambda progress: progress.download(55, 100)) == ["fetching the model: 55 bytes of 100 bytes, 55 %"]
    assert len(plain(lambda progress: progress.download(55, 0))) == 1


@pytest.mark.parametrize("text", TRICKY)
@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.FAILING])
def test_names_and_reasons_are_printed_as_they_are(text, outcome):
    (line,) = plain(lambda progress: progress.judged(verdict(outcome, f"test_{text}", f"because {text}")))
    assert f"test_{text}: " in line
    assert outcome is Outcome.ACCEPTED or line.endswith(f"because {text}")


@pytest.mark.parametrize("text", TRICKY)
def test_methods_and_phases_are_printed_as_they_are(text):
    target = replace(TARGET, definitions=(replace(TARGET.method, qualname=text),))

    def steps(progress: Progress) -> None:
        progress.phase(text)
        progress.asked(target, 1)

    assert plain(steps) == [text, f"asking about src/pkg/mod.py::{text}"]
    now, _ = Screen().after(lambda progress: progress.asked(target, 1))
    assert now == f"asking about src/pkg/mod.py::{text}"


@pytest.mark.parametrize("text", TRICKY)
def test_names_are_printed_as_they_are_on_a_terminal(text):
    _, kept = Screen().after(lambda progress: progress.judged(verdict(Outcome.ACCEPTED, f"test_{text}")))
    assert f"test_{text}: 1 more changed line" in kept


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_shows_what_goes_on_now_and_keeps_the_accepted_tests(width):
    def steps(progress: Progress) -> None:
        progress.phase("reading the project")
        progress.asked(TARGET, 1)
        progress.replied(reply("text", TARGET))
        progress.judged(verdict(Outcome.ACCEPTED, "test_good"))
        progress.judged(verdict(Outcome.FAILING, "test_bad", "a reason"))
        progress.judged(verdict(Outcome.UNPARSABLE, ""))

    now, kept = Screen(width).after(steps)
    assert now == "judging tests of src/pkg/mod.py::double · 2 tests judged, 1 accepted"
    assert "  ✓ test_good: 1 more changed line" in kept
    assert "test_bad" not in kept
    assert "a reason" not in kept


def test_a_terminal_shows_every_step_of_a_download_and_of_the_end():
    now, _ = Screen().after(lambda progress: progress.download(123_456, 1_000_000))
    assert now == "fetching the model: 123.5 kB of 1.0 MB"
    now, _ = Screen().after(lambda progress: progress.confirming(3))
    assert now == "running the 3 chosen tests together"


def test_nothing_stays_on_the_line_when_the_run_is_over():
    console = Console(file=StringIO(), width=80, force_terminal=True, _environ={"TERM": "xterm-256color"})
    with open_progress(console) as progress:
        progress.phase("reading the project")
    assert console._live_stack == []
    assert shown(console).endswith(("\x1b[2K", "\x1b[?25h"))


def test_an_error_leaves_the_terminal_as_it_was():
    console = Console(file=StringIO(), width=80, force_terminal=True, _environ={"TERM": "xterm-256color"})
    with pytest.raises(RuntimeError), open_progress(console):
        raise RuntimeError
    assert "\x1b[?25h" in shown(console)
