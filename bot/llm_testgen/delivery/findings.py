"""Accepted tests as GitHub gets to see them: each with the name by which it is known again on a later run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llm_testgen.delivery.markers import TestMarker, finding_id, method_id
from llm_testgen.delivery.named import Named
from llm_testgen.delivery.secrets import holds_secret
from llm_testgen.proposal import (
    MutantRecord,
    Proposal,
    RegressionRecord,
    SuggestionRecord,
    VerdictRecord,
)
from llm_testgen.records import Outcome

_WITHHELD = "(withheld: it holds what looks like a secret)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Named):
    """An accepted test.

    Attributes:
        index: Of its suggestion in the proposal.
        suggestion: Where it goes, and what is added there.
        verdict: How it was judged.
    """

    index: int
    suggestion: SuggestionRecord
    verdict: VerdictRecord


def findings_of(proposal: Proposal, secrets: Iterable[str] = ()) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """The accepted tests of a proposal, and names of those that are withheld since they give away a secret.

    Two that are the same test count as one.

    Args:
        proposal: What was found.
        secrets: Values that the job was given and that nothing posted may hold.
    """
    secrets = tuple(secrets)
    targets = {target.id: target for target in proposal.targets}
    found: dict[str, Finding] = {}
    withheld = []
    for index, suggestion in enumerate(proposal.suggestions):
        verdict = proposal.verdicts[suggestion.verdict]
        target = targets.get(verdict.target)
        if target is None:  # of no changed method: none of ours is like that
            continue
        if holds_secret(suggestion.name, secrets):
            withheld.append("a test whose name is one")
            continue
        parts = ("\n".join(suggestion.imports), *suggestion.pieces, verdict.code, *verdict.repairs)
        parts += (*verdict.observed, *verdict.idle)
        if any(holds_secret(part, secrets) for part in parts):
            withheld.append(suggestion.name)
            continue
        qualname = target.id.removeprefix(f"{target.path}::")
        marker = TestMarker(
            finding=finding_id(target.path, qualname, target.digest, verdict.code),
            method=method_id(target.path, qualname),
            source=target.digest,
            head=proposal.head,
        )
        found.setdefault(
            marker.finding, Finding(index=index, suggestion=suggestion, verdict=verdict, target=target, marker=marker)
        )
    return tuple(found.values()), tuple(withheld)


def without_secrets(proposal: Proposal, secrets: Iterable[str]) -> Proposal:
    """A proposal that gives no secret away beside its tests, which `findings_of` judges.

    That are its notes, reasons and names of models, the faults that tests were tried with, and possible regressions.
    """
    secrets = tuple(secrets)

    def clean(text: str) -> str:
        return _WITHHELD if holds_secret(text, secrets) else text

    def clean_mutant(mutant: MutantRecord) -> MutantRecord:
        texts = (mutant.path, mutant.operator, mutant.before, mutant.after)
        if any(holds_secret(text, secrets) for text in texts):
            return mutant.model_copy(update=dict.fromkeys(("path", "operator", "before", "after"), _WITHHELD))
        return mutant

    def clean_regression(found: RegressionRecord) -> RegressionRecord:
        texts = (found.code, found.assertion, found.expected, found.actual, found.reason)
        update = {"target": clean(found.target), "name": clean(found.name)}
        if any(holds_secret(text, secrets) for text in texts):
            # Each may hold a part of what only one of them holds whole.
            update |= {"code": "", "assertion": _WITHHELD, "expected": "", "actual": "", "reason": ""}
        return found.model_copy(update=update)

    def clean_verdict(verdict: VerdictRecord) -> VerdictRecord:
        update: dict[str, object] = {"reason": clean(verdict.reason), "model": clean(verdict.model)}
        if verdict.outcome is Outcome.ACCEPTED:  # of no other test is any fault told
            update["killed"] = tuple(map(clean_mutant, verdict.killed))
            update["survived"] = tuple(map(clean_mutant, verdict.survived))
        return verdict.model_copy(update=update)

    return proposal.model_copy(
        update={
            "notes": tuple(map(clean, proposal.notes)),
            "skipped": tuple(
                skip.model_copy(update={"reason": clean(skip.reason), "qualname": clean(skip.qualname)})
                for skip in proposal.skipped
            ),
            "verdicts": tuple(map(clean_verdict, proposal.verdicts)),
            "regressions": tuple(map(clean_regression, proposal.regressions)),
        }
    )
