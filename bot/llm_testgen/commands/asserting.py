"""From a change to a proposal of assertions for the changed methods themselves."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from llm_testgen.asserting import Asserted
from llm_testgen.baseline import Baseline
from llm_testgen.commands.output import write_asserts, write_proposal
from llm_testgen.delivery.markdown import plural
from llm_testgen.proposal import Proposal, funnel
from llm_testgen.records import Change
from llm_testgen.reporting import contract_records, coverage_figures, skip_records, target_records, usage_record


def asserts_proposal(
    change: Change, baseline: Baseline, asserted: Asserted, notes: Iterable[str], seconds: float
) -> Proposal:
    """What `propose_asserts` found, as the proposal holds it: contracts and no test.

    Args:
        change: What they are for.
        baseline: Where it stands.
        asserted: What was found.
        notes: What a person should know of the run beside that.
        seconds: What the whole run took.
    """
    return Proposal(
        base=change.base,
        head=change.head,
        coverage=coverage_figures(baseline.figure, baseline.figure),
        targets=target_records(change.targets, baseline.figure),
        skipped=skip_records(change.skipped),
        verdicts=(),
        accepted=(),
        files=(),
        suggestions=(),
        funnel=funnel(asserted.replies, ()),
        usage=usage_record(asserted.usage, seconds),
        notes=(*notes, *_counted(asserted), *asserted.notes),
        contracts=contract_records(asserted.insertions, asserted.upheld, asserted.model),
    )


def _counted(asserted: Asserted) -> Iterable[str]:
    """How many came through each filter."""
    if asserted.asked:
        kept = len(asserted.upheld)
        are = "is" if kept == 1 else "are"
        yield (
            f"of {plural(asserted.asked, 'assertion')} that could be tried {asserted.held:,} held in every run, and"
            f" {kept:,} {are} kept: what notices no fault, or none that another one there does not, is left out"
        )


def write_asserted(out: Path, proposal: Proposal, asserted: Asserted) -> None:
    """Write the proposal, and the patch that adds its assertions."""
    write_proposal(out, proposal, ())
    write_asserts(out, asserted.files)
