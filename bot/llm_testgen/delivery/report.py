"""The summary comment of a pull request, and the summary of a job: what was found, and where it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from llm_testgen.delivery import proof
from llm_testgen.delivery.comments import PatchOf, full_part, patch_part
from llm_testgen.delivery.contracts import NO_CLAUSES, Clauses, assertions, clauses_section
from llm_testgen.delivery.findings import Finding
from llm_testgen.delivery.markdown import (
    LONGEST_BODY,
    cell,
    code,
    details,
    fenced,
    fitting,
    html,
    joined,
    plural,
    ranges,
)
from llm_testgen.delivery.plan import Place
from llm_testgen.proposal import Proposal
from llm_testgen.records import Outcome

# Of a job's summary GitHub shows 1 MiB, in bytes.
_LONGEST_SUMMARY = 1 << 20

_STAGES = ("candidates", "built", "passed", "stable", "gained", "accepted")
_STAGE_NAMES = ("written", "built", "passed", "stable", "new lines", "accepted")
# What a report has at most of each part, so that all of them have room in a comment, whatever they hold.
_ROOM_FOR_ROWS = 20_000
_MOST_ROWS = 50
_MOST_QUESTIONS = 10
_ROOM_FOR_QUESTIONED = 10_000
_ROOM_FOR_CONTRACTS = 10_000
_LONGEST_NAME = 100
_MOST_PATHS = 3
_MOST_SKIPS = 20
_MOST_NOTES = 10
_MOST_WITHHELD = 10
_MOST_MODELS = 3
# Others may write to a job's summary before it.
_ROOM_FOR_OTHERS = 10_000
_CUT = "_What is too long to be shown here is in the run's artifact._"
_SHORT_COMMIT = 10


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to tell.

    Attributes:
        proposal: What was found.
        findings: Its accepted tests.
        places: Where each of them stands, by id.
        withheld: Names of tests that hold a secret and are posted nowhere.
        links: Page of the comment about a test, by the test's id.
        run: Page of the workflow run; empty outside a workflow.
        notes: What a person should know of the delivery.
        clauses: Its contracts.
    """

    proposal: Proposal
    findings: Sequence[Finding]
    places: Mapping[str, Place]
    withheld: Sequence[str] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    run: str = ""
    notes: tuple[str, ...] = field(default=())
    clauses: Clauses = NO_CLAUSES


def summary_comment(report: Report, marker: str, patch_of: PatchOf) -> str:
    """The one comment of a pull request that is edited in place, its marker as the first line."""
    here = [finding for finding in report.findings if report.places.get(finding.id) is Place.SUMMARY]
    proposal = report.proposal
    title, table = f"### llm-testgen: {_headline(report)}", _tests(report)
    tail = [_notes(report), _left_out(proposal), _funnel_line(proposal), _footer(report)]
    asserted = _contracts(report, LONGEST_BODY - _ROOM_FOR_QUESTIONED - len(joined([marker, title, table, *tail])), len)
    asked = _regressions(proposal, LONGEST_BODY - len(joined([marker, title, table, asserted, *tail])), len)
    head = [marker, title, asked, table, asserted]
    room = LONGEST_BODY - len(joined([*head, *tail]))
    return joined([*head, *_in_full(here, patch_of, room, len), *tail]) + "\n"


def job_summary(report: Report, patch_of: PatchOf) -> str:
    """The summary of a job, with a chart of the funnel and every test in full."""
    parts = [
        f"## llm-testgen: {_headline(report)}",
        _regressions(report.proposal, _LONGEST_SUMMARY, _bytes),
        _tests(report),
        _contracts(report, _LONGEST_SUMMARY, _bytes),
        _small(_noticed(report.proposal)),
        _chart(report.proposal),
        _refusals(report.proposal),
        _notes(report),
        _left_out(report.proposal),
    ]
    footer = _footer(report)
    room = _LONGEST_SUMMARY - _bytes(joined([*parts, footer])) - _ROOM_FOR_OTHERS
    return joined([*parts, *_in_full(report.findings, patch_of, room, _bytes), footer]) + "\n"


def skip_summary(reason: str) -> str:
    """The summary of a job that did nothing."""
    return f"## llm-testgen did nothing\n\n{code(reason, longest=2_000)}\n"


def _headline(report: Report) -> str:
    figures = report.proposal.coverage
    count = len(report.findings)
    asked = len(report.proposal.regressions)
    possible = f"{plural(asked, 'possible regression')}; " if asked else ""
    if report.clauses.found:
        possible += f"{assertions(report.clauses.found)} to add to the methods; "
    if not count:
        return f"{possible}no test to propose, diff coverage stays at {figures.before:.2f} %"
    verb = "raises" if count == 1 else "raise"
    return (
        f"{possible}{plural(count, 'test')} {verb} diff coverage from {figures.before:.2f} % to {figures.after:.2f} %"
    )


def _regressions(proposal: Proposal, room: int, size: Callable[[str], int]) -> str:
    """What held at base and does not at head, each as a question; its test is folded below it where there is room."""
    if not proposal.regressions:
        return ""
    shown = proposal.regressions[:_MOST_QUESTIONS]
    more = len(proposal.regressions) - len(shown)
    ending = f"And {more:,} more, in the run's artifact." if more else ""
    heading = "#### Possible regressions"
    questions = [
        f"**{code(found.target.rpartition('::')[2], _LONGEST_NAME)}**: {proof.question(found, code)}" for found in shown
    ]
    # What follows may have to say once more that something is too long.
    room = min(_ROOM_FOR_QUESTIONED, room - size(joined([heading, *questions, ending])) - 2 * len(f"\n\n{_CUT}"))
    parts = [heading]
    cut = False
    for found, question in zip(shown, questions, strict=True):
        parts.append(question)
        if found.code:
            test = details(f"The test: {html(found.name)}", fenced(found.code.strip("\n"), "python"))
            fits = size(test) <= room
            parts += [test] if fits else []
            room -= size(test) + len("\n\n") if fits else 0
            cut = cut or not fits
    return joined([*parts, ending, _CUT if cut else ""])


def _tests(report: Report) -> str:
    if not report.findings:
        return ""
    rows = fitting((_row(report, finding) for finding in report.findings[:_MOST_ROWS]), _ROOM_FOR_ROWS)
    if more := len(report.findings) - len(rows):
        rows.append(f"| and {more} more, in the run's artifact | | | | | | |")
    titles = ("test", "id", "of", "executes for the first time", "faults noticed", "at base", "where")
    return "\n".join([f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}", *rows])


def _row(report: Report, finding: Finding) -> str:
    verdict = finding.verdict
    gained = sorted(verdict.gained.items())
    lines = [f"{cell(path)} {ranges(found)}" for path, found in gained[:_MOST_PATHS]]
    lines += [plural(len(gained) - _MOST_PATHS, "more file")] if len(gained) > _MOST_PATHS else []
    name = f"{cell(finding.suggestion.name)}{' (characterisation)' if verdict.observed else ''}"
    columns = [name, cell(finding.short_id), cell(finding.qualname), "; ".join(lines)]
    columns += [proof.tally(verdict), proof.at_base(verdict), _where(report, finding.id)]
    return f"| {' | '.join(columns)} |"


def _where(report: Report, found: str) -> str:
    place = report.places.get(found, Place.SUMMARY)
    link = report.links.get(found)
    return f"[{place.value}]({link})" if link and place is Place.DIFF else place.value


def _contracts(report: Report, room: int, size: Callable[[str], int]) -> str:
    """The contracts, and in full those that stand nowhere else."""
    found = report.clauses.found
    where = {one.id: _where(report, one.id).replace("has tests", "has assertions") for one in found}
    in_full = [one for one in found if report.places.get(one.id, Place.SUMMARY) is Place.SUMMARY]
    return clauses_section(report.clauses, where, in_full, max(0, min(room, _ROOM_FOR_CONTRACTS)), size)


def _in_full(tests: Sequence[Finding], patch_of: PatchOf, room: int, size: Callable[[str], int]) -> list[str]:
    """Each of the tests, and the patch of all of them, as far as there is room: the patch before all."""
    if not tests:
        return []
    patch = patch_part(tests, patch_of)
    kept = fitting([patch, *map(full_part, tests)], room - len(f"\n\n{_CUT}\n"), size)
    whole = len(kept) == len(tests) + 1
    if kept[:1] == [patch]:
        kept = [*kept[1:], patch]
    return kept if whole else [*kept, _CUT]


def _chart(proposal: Proposal) -> str:
    counts = [getattr(proposal.funnel, stage) for stage in _STAGES]
    if not counts[0]:
        return ""
    names = ", ".join(f'"{name}"' for name in _STAGE_NAMES)
    chart = [
        "xychart-beta",
        '    title "Tests, filter by filter"',
        f"    x-axis [{names}]",
        f'    y-axis "tests" 0 --> {max(counts)}',
        f"    bar [{', '.join(map(str, counts))}]",
    ]
    return fenced("\n".join(chart), "mermaid")


def _funnel_line(proposal: Proposal) -> str:
    counts = (getattr(proposal.funnel, stage) for stage in _STAGES)
    steps = " → ".join(f"{count} {name}" for count, name in zip(counts, _STAGE_NAMES, strict=True))
    told = [f"Filter by filter: {steps}" if proposal.funnel.replies else "", _noticed(proposal)]
    return _small(" · ".join(filter(None, told)))


def _noticed(proposal: Proposal) -> str:
    """How many faults the accepted tests notice together."""
    tally = proof.tally_of_all(proposal.verdicts[index] for index in proposal.accepted)
    return f"The accepted tests notice {tally} faults put into lines that they run" if tally else ""


def _small(text: str) -> str:
    return f"<small>{text}</small>" if text else ""


def _refusals(proposal: Proposal) -> str:
    """Why candidates were refused, the most frequent first, with one reason each."""
    refused = [verdict for verdict in proposal.verdicts if verdict.outcome is not Outcome.ACCEPTED]
    if not refused:
        return ""
    example = {verdict.outcome: verdict.reason for verdict in reversed(refused)}
    rows = ["| refused | candidates | such as |", "|---|---|---|"]
    counted = Counter(verdict.outcome for verdict in refused).most_common()
    rows += [
        f"| {outcome.replace('_', ' ')} | {count} | {cell(example[outcome]) if example[outcome] else ''} |"
        for outcome, count in counted
    ]
    return "\n".join(rows)


def _left_out(proposal: Proposal) -> str:
    if not proposal.skipped:
        return ""
    lines = [
        f"- {code(f'{skip.path}::{skip.qualname}' if skip.qualname else skip.path)}: {code(skip.reason)}"
        for skip in proposal.skipped[:_MOST_SKIPS]
    ]
    more = len(proposal.skipped) - _MOST_SKIPS
    lines += [f"- and {more} more"] if more > 0 else []
    return details(f"Left out: {plural(len(proposal.skipped), 'changed part')}", "\n".join(lines))


def _notes(report: Report) -> str:
    notes = [*report.notes, *(code(note, longest=500) for note in report.proposal.notes)]
    if len(notes) > _MOST_NOTES:
        notes = [*notes[:_MOST_NOTES], f"and {len(notes) - _MOST_NOTES} more"]
    if withheld := (*report.withheld, *report.clauses.withheld):
        names = [*map(code, withheld[:_MOST_WITHHELD])]
        names += [f"{len(withheld) - _MOST_WITHHELD} more"] if len(withheld) > _MOST_WITHHELD else []
        notes.append(f"Withheld, since they hold what looks like a secret: {', '.join(names)}")
    return "\n>\n".join(f"> {note}" for note in notes)


def _footer(report: Report) -> str:
    proposal = report.proposal
    usage = proposal.usage
    names = [verdict.model for verdict in proposal.verdicts]
    names += [clause.record.model for clause in report.clauses.found]
    models = [*dict.fromkeys(filter(None, names))]
    facts = [
        f"tested at {code(proposal.head[:_SHORT_COMMIT])}",
        f"model {', '.join(map(code, models[:_MOST_MODELS]))}" if models else "",
        f"{usage.tokens_in + usage.tokens_out:,} tokens" if usage.tokens_in else "",
        f"{usage.total_seconds:.0f} s",
        f"[run]({report.run})" if report.run else "",
        "`/gen-tests apply` commits the tests, `/gen-tests help` says more" if report.findings else "`/gen-tests help`",
    ]
    return _small(" · ".join(filter(None, facts)))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
