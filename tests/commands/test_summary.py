from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tests.samples import changed_method, prompt, reply

from llm_testgen.commands.summary import Telling, print_summary
from llm_testgen.proposal import CoverageFigures, Proposal, funnel
from llm_testgen.records import (
    Candidate,
    ChangedMethod,
    Label,
    Mutant,
    Outcome,
    Proof,
    Regression,
    Skip,
    Usage,
    Verdict,
)
from llm_testgen.reporting import (
    file_records,
    regression_records,
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
    code = f"def {name}():\n    assert [1, 2][0] == 1  # of {name}\n"
    candidate = Candidate(answer, name, code, fields.pop("repairs", ()), fields.pop("observed", ()))
    return Verdict(candidate, outcome, gained=gained, **fields)


def mutant(line: int, before: str = "<", after: str = "<=") -> Mutant:
    return Mutant(TARGET.method, line, "comparison", before, after, "def double(x): ...")


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


def summary(
    shown: Proposal,
    width: int = 80,
    out: Path = Path("out"),
    *,
    terminal: bool = False,
    telling: Telling = Telling(),  # noqa: B008 - it cannot be changed
) -> str:
    """What is printed; styles of a terminal are left in."""
    console = Console(file=StringIO(), width=width, force_terminal=terminal, _environ={"TERM": "xterm-256color"})
    print_summary(console, shown, out, Path("/project"), telling)
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


@pytest.mark.parametrize("width", [80, 120])
def test_what_a_test_proves_is_told_in_two_lines(width):
    proof = Proof((mutant(3), mutant(4, "5", "6")), (mutant(5), mutant(6), mutant(7)), ("assert x",))
    output = summary(proposal(verdict(Outcome.ACCEPTED, proof=proof, label=Label.PINS)), width)
    assert (
        "\n  2 of 5 faults noticed · fails at base: pins what this change does · assertion that noticed no fault:"
        " `assert x`\n"
        "  Notices `<` becoming `<=` in line 3; `5` becoming `6` in line 4. Does not notice `<` becoming `<=` in line 5;"
        " `<` becoming `<=` in line 6, and 1 more.\n"
    ) in output
    assert "characterisation" not in output


def test_what_a_test_does_at_base_is_told_without_a_fault():
    output = summary(proposal(verdict(Outcome.ACCEPTED, label=Label.HARDENS)))
    assert "\n  passes at base too: hardens what was there\n" in output
    assert "faults" not in output


def test_values_from_a_run_are_to_be_checked():
    output = summary(proposal(verdict(Outcome.ACCEPTED, observed=("'5 B'",))))
    assert (
        "\n  characterisation: the expected value `'5 B'` was taken from a run, not worked out: check that it is what"
        " you want\n"
    ) in output


def regressions(number: int, text: str = ""):
    code = f"def test_double():\n    assert double(2) == 4{text}\n"
    candidate = Candidate(reply("text"), f"test_{text}", code)
    found = Regression(candidate, f"assert double(2) == 4{text}", f"4{text}", f"5{text}", "AssertionError")
    return regression_records([found] * number)


@pytest.mark.parametrize("width", [80, 120])
def test_a_possible_regression_is_asked_about_with_both_values_and_its_test(width):
    output = summary(proposal(regressions=regressions(1)), width)
    assert (
        "Possible regressions\n"
        "? `src/pkg/mod.py::double`: `assert double(2) == 4` holds at base and fails at head: base gives `4`, head gives"
        " `5`. Is this meant?\n"
    ) in output
    assert "    assert double(2) == 4" in output
    assert "more, in" not in output


def test_of_many_possible_regressions_the_first_are_printed():
    output = summary(proposal(regressions=regressions(12)))
    assert output.count("Is this meant?") == 10
    assert "And 2 more, in proposal.json." in output


def test_refused_tests_are_counted_and_not_shown():
    output = summary(proposal(*(verdict(Outcome.FAILING, f"test_{n}") for n in range(3)), verdict(Outcome.NO_GAIN)))
    assert "3 failing, 1 no gain" in output
    assert "def test_" not in output
    assert "proposal.json" in output


def test_only_what_there_is_is_told():
    output = summary(proposal(verdict(Outcome.ACCEPTED)))
    for text in ("Refused", "Left out", "note:", "Possible", "noticed", "base"):
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


def test_code_that_was_named_is_not_called_a_change():
    output = summary(proposal(verdict(Outcome.ACCEPTED)), telling=Telling("src/[m].py::double"))
    assert "Coverage of src/[m].py::double\n" in output
    assert "Tests by method" in output
    for word in ("Diff coverage", "changed", "nothing is left"):
        assert word not in output


def test_code_that_was_named_and_is_covered_already_is_told_so():
    figures = CoverageFigures(before=100, after=100, changed_lines=4, covered_before=4, covered_after=4)
    shown = proposal(targets=(), funnel=funnel(0, ()), coverage=figures)
    told = "Existing tests execute every line of src/m.py::double: nothing is left to cover."
    assert told in summary(shown, telling=Telling("src/m.py::double"))
    assert "nothing is left" not in summary(shown)


def test_code_that_is_printed_elsewhere_is_left_out():
    output = summary(proposal(verdict(Outcome.ACCEPTED)), telling=Telling(code=False))
    assert "test_it covers" in output
    assert "def test_it" not in output


def test_what_was_written_needs_no_patch():
    output = summary(proposal(verdict(Outcome.ACCEPTED)), telling=Telling(written=("tests/[a].py", "tests/b.py")))
    assert "Written: tests/[a].py, tests/b.py\n" in output
    assert " apply " not in output


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("text", TRICKY)
def test_names_and_reasons_are_printed_as_they_are(text, terminal):
    shown = proposal(
        verdict(
            Outcome.ACCEPTED,
            repairs=(f"repair {text}",),
            observed=(f"observed {text}",),
            proof=Proof((mutant(1, f"fault {text}"),), (), (f"idle {text}",)),
        ),
        regressions=regressions(1, text),
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
    parts = ("repair ", "reason ", "note ", "test_", "gained/", "skipped/", "path/", "name_")
    for part in (*parts, "observed ", "fault ", "idle ", "assert double(2) == 4", "gives `4", "gives `5"):
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
