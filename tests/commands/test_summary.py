from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tests.samples import changed_method, prompt, reply

from llm_testgen.commands.summary import print_summary
from llm_testgen.proposal import CoverageFigures, Proposal, funnel
from llm_testgen.records import Candidate, ChangedMethod, Outcome, Skip, Usage, Verdict
from llm_testgen.reporting import (
    file_records,
    skip_records,
    suggestion_records,
    target_records,
    usage_record,
    verdict_record,
)
from llm_testgen.stages.suggest import place

TARGET = changed_method()
OTHER = changed_method("def other(): ...\n", "other", "src/pkg/other.py")
FIGURES = CoverageFigures(before=25.0, after=75.5, changed_lines=4, covered_before=1, covered_after=3)
TRICKY = ["[red]x[/red]", "[/]", "[bold", "x[0][1]", "[link=x]"]


def verdict(outcome: Outcome, name: str = "test_it", target: ChangedMethod = TARGET, **fields) -> Verdict:
    gained = {target.path: frozenset({3, 4, 5, 9})} if outcome in {Outcome.ACCEPTED, Outcome.UNCONFIRMED} else {}
    answer = replace(reply("text"), prompt=prompt(target))
    candidate = Candidate(
        answer, name, f"def {name}():\n    assert [1, 2][0] == 1  # of {name}\n", fields.pop("repairs", ())
    )
    return Verdict(candidate, outcome, gained=gained, **fields)


def proposal(*verdicts: Verdict, **changes) -> Proposal:
    accepted = tuple(index for index, entry in enumerate(verdicts) if entry.outcome is Outcome.ACCEPTED)
    files, placements = place([verdicts[index].candidate for index in accepted], {})
    fields = {
        "base": "a" * 40,
        "head": "b" * 40,
        "coverage": FIGURES,
        "targets": target_records([TARGET, OTHER]),
        "skipped": (),
        "verdicts": tuple(map(verdict_record, verdicts)),
        "accepted": accepted,
        "files": file_records(files),
        "suggestions": suggestion_records(verdicts, placements),
        "funnel": funnel(7, verdicts),
        "usage": usage_record(Usage(12345, 678, 90.0), 123.0),
    }
    return Proposal.model_validate(fields | changes)


def summary(shown: Proposal, width: int = 80, out: Path = Path("out"), *, terminal: bool = False) -> str:
    """What is printed; styles of a terminal are left in."""
    console = Console(file=StringIO(), width=width, force_terminal=terminal, _environ={"TERM": "xterm-256color"})
    print_summary(console, shown, out, Path("/project"))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def numbers(line: str) -> list[str]:
    return [word for word in line.split() if word.isdigit()]


def line_with(text: str, output: str) -> str:
    (line,) = (line for line in output.splitlines() if text in line)
    return line


@pytest.mark.parametrize("width", [80, 120])
def test_the_funnel_stands_there_by_method_and_in_all(width):
    outcomes = [Outcome.ACCEPTED, Outcome.NO_GAIN, Outcome.FLAKY, Outcome.FAILING, Outcome.BROKEN, Outcome.UNPARSABLE]
    shown = proposal(*map(verdict, outcomes), verdict(Outcome.FAILING, "test_other", OTHER))
    output = summary(shown, width)
    assert numbers(line_with("  double ", output)) == ["5", "4", "3", "2", "1", "1"]
    assert numbers(line_with("  other ", output)) == ["1", "1", "0", "0", "0", "0"]
    assert numbers(line_with("7 replies", output)) == ["7", "6", "5", "3", "2", "1", "1"]
    for text in ("src/pkg/mod.py", "src/pkg/other.py", "candidates", "built", "passed", "stable", "gained"):
        assert text in output


@pytest.mark.parametrize("width", [80, 120])
def test_accepted_tests_are_shown_with_what_they_cover_and_what_was_repaired(width):
    output = summary(proposal(verdict(Outcome.ACCEPTED, "test_good", repairs=("added `import os`",))), width)
    assert "test_good covers src/pkg/mod.py:3-5,9" in output
    assert "added `import os`" in output
    assert "def test_good():" in output
    assert "    assert [1, 2][0] == 1  # of test_good" in output


def test_refused_tests_are_counted_and_not_shown():
    output = summary(proposal(*(verdict(Outcome.FAILING, f"test_{n}") for n in range(3)), verdict(Outcome.NO_GAIN)))
    assert "3 failing, 1 no gain" in output
    assert "def test_" not in output
    assert "proposal.json" in output


def test_only_what_there_is_is_told():
    output = summary(proposal(verdict(Outcome.ACCEPTED)))
    for text in ("Refused", "Left out", "note:"):
        assert text not in output
    assert " apply " not in summary(proposal(verdict(Outcome.FAILING)))


@pytest.mark.parametrize("width", [80, 120])
def test_both_figures_stand_there_with_their_lines(width):
    output = summary(proposal(), width)
    assert "25.00 %" in line_with("before", output)
    assert "(1 of 4 lines)" in line_with("before", output)
    assert "75.50 %" in line_with("after", output)
    assert "(3 of 4 lines)" in line_with("after", output)


@pytest.mark.parametrize("percent", [0.0, 0.01, 99.99, 100.0])
def test_every_percentage_fits_on_its_line(percent):
    figures = CoverageFigures(
        before=percent, after=percent, changed_lines=10_000, covered_before=10_000, covered_after=10_000
    )
    output = summary(proposal(coverage=figures))
    assert f"{percent:.2f} %  (10000 of 10000 lines)" in line_with("before", output)


def test_the_cost_and_the_way_to_take_the_tests_are_told():
    output = summary(proposal(verdict(Outcome.ACCEPTED)), out=Path("/somewhere/[out]"))
    told = " ".join(output.split())
    assert "12,345 tokens read and 678 written" in told
    assert "90 s" in told
    assert "123 s in all" in told
    assert "git -C /project apply '/somewhere/[out]/tests.patch'\n" in output


def test_a_long_command_is_not_broken_so_that_it_can_be_copied():
    out = Path("/", *["folder"] * 40)
    assert f"git -C /project apply {out}/tests.patch\n" in summary(proposal(verdict(Outcome.ACCEPTED)), out=out)


def test_what_was_left_out_is_told_with_the_reason():
    skipped = (Skip("src/a.py", "it is generated"), Skip("src/b.py", "it is a stub", "C.f"))
    told = " ".join(summary(proposal(skipped=skip_records(skipped))).split())
    for text in ("src/a.py", "it is generated", "src/b.py", "C.f", "it is a stub"):
        assert text in told


def test_many_left_out_for_one_reason_are_told_once():
    skipped = tuple(Skip("src/a.py", "existing tests execute it", f"f{number}") for number in range(300))
    output = summary(proposal(skipped=skip_records(skipped)))
    assert output.count("existing tests execute it") == 1
    assert len(output.splitlines()) < 40


def test_notes_are_told():
    assert "the token budget is spent" in summary(proposal(notes=("the token budget is spent",)))


def test_a_run_in_which_nothing_was_left_to_do_is_told():
    output = summary(proposal(targets=(), funnel=funnel(0, ())))
    assert "Diff coverage" in output
    assert "0 accepted" in output
    assert "candidates" not in output


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("text", TRICKY)
def test_names_and_reasons_are_printed_as_they_are(text, terminal):
    shown = proposal(
        verdict(Outcome.ACCEPTED, repairs=(f"repair {text}",)),
        skipped=skip_records([Skip(f"skipped/{text}.py", f"reason {text}")]),
        notes=(f"note {text}",),
    )
    (record,) = shown.verdicts
    target = shown.targets[0].model_copy(update={"id": f"path/{text}::name_{text}", "path": f"path/{text}"})
    gained = {f"gained/{text}.py": (1,)}
    shown = shown.model_copy(
        update={
            "verdicts": (record.model_copy(update={"name": f"test_{text}", "gained": gained}),),
            "targets": (target,),
        }
    )
    output = plain(summary(shown, 120, terminal=terminal))
    for part in ("repair ", "reason ", "note ", "test_", "gained/", "skipped/", "path/", "name_"):
        assert f"{part}{text}" in output


def plain(output: str) -> str:
    """Without the styles of a terminal."""
    return "".join(part.partition("m")[2] if index else part for index, part in enumerate(output.split("\x1b[")))


def test_there_are_colours_on_a_terminal_alone():
    shown = proposal(verdict(Outcome.ACCEPTED))
    assert "\x1b[" not in summary(shown)
    assert "\x1b[" in summary(shown, terminal=True)


@pytest.mark.parametrize("width", [80, 120])
def test_the_code_of_a_test_can_be_copied_from_a_log(width):
    (entry,) = (verdict(Outcome.ACCEPTED),)
    code = 'def test_it():\n    assert format_name("Ada ", "Lovelace") == "Ada LOVELACE"\n'
    shown = proposal(replace(entry, candidate=replace(entry.candidate, code=code)))
    lines = [line.rstrip() for line in summary(shown, width).splitlines()]
    assert "\n".join(lines).find(code.strip()) >= 0
