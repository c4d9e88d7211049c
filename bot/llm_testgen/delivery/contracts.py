"""Contracts as GitHub gets to see them: suggestions on the lines of the methods, or else a patch in the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from llm_testgen.clauses import ContractRecord
from llm_testgen.delivery import proof
from llm_testgen.delivery.markdown import cell, code, details, fenced, fitting, html, joined, plural, unseen
from llm_testgen.delivery.markers import TestMarker, contract_method_id, finding_id
from llm_testgen.delivery.named import Named
from llm_testgen.delivery.secrets import holds_secret
from llm_testgen.proposal import Proposal

_MOST_SHOWN = 10
_MOST_ROWS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause(Named):
    """Assertions for one place of a changed method; ``record`` is what the proposal holds of them."""

    record: ContractRecord


def _no_patch(_clauses: Sequence[Clause]) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Clauses:
    """All of a proposal's.

    Attributes:
        found: Those that may be posted.
        withheld: What to call those that hold a secret and are posted nowhere.
        patch_of: Makes the patch, as ``git apply`` takes it, that adds some of them; empty where the files are not
            at hand.
    """

    found: tuple[Clause, ...] = ()
    withheld: tuple[str, ...] = ()
    patch_of: Callable[[Sequence[Clause]], str] = _no_patch


NO_CLAUSES = Clauses()


def clauses_of(proposal: Proposal, secrets: Iterable[str] = ()) -> Clauses:
    """The contracts of a proposal.

    Args:
        proposal: What was found.
        secrets: Values that the job was given and that nothing posted may hold.
    """
    secrets = tuple(secrets)
    targets = {target.id: target for target in proposal.targets}
    seen: Counter[tuple[str, str]] = Counter()
    found, withheld = [], []
    for record in proposal.contracts:
        target = targets.get(record.target)
        if target is None or target.path != record.path:  # of no changed method: none of ours is like that
            continue
        qualname = target.id.removeprefix(f"{target.path}::")
        if any(holds_secret(text, secrets) for text in _texts(record)):
            shown = "a method" if holds_secret(qualname, secrets) else qualname
            withheld.append(f"assertions for {shown}")
            continue
        # The same may be asserted at several places of a method.
        number = seen[record.target, record.text]
        seen[record.target, record.text] += 1
        text = f"{record.text}\n{number}" if number else record.text
        name = finding_id(target.path, qualname, target.digest, text)
        method = contract_method_id(target.path, qualname)
        known = TestMarker(name, method, target.digest, proposal.head)
        found.append(Clause(record=record, target=target, marker=known))
    return Clauses(tuple(found), tuple(withheld))


def clause_comment(clause: Clause) -> str:
    """A suggestion that a click commits, with the proof of each assertion; it may be longer than GitHub takes."""
    # A last line that is empty is one of the lines that stay.
    suggestion = fenced(f"{clause.record.text}\n", "suggestion")
    return joined([clause.marker.line(), _told(clause), suggestion])


def clauses_section(
    clauses: Clauses, where: Mapping[str, str], in_full: Sequence[Clause], room: int, size: Callable[[str], int] = len
) -> str:
    """What a summary says of contracts: a table, and what stands nowhere else in full, with its patch.

    Args:
        clauses: All of them.
        where: Where each of them stands, by id, in Markdown.
        in_full: Those that are to be told in full.
        room: The size that it may have at most.
        size: Measures a part.
    """
    if not clauses.found:
        return ""
    heading = "#### Assertions that the methods could hold"
    titles = ("assertions", "id", "of", "faults noticed", "where")
    head = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    rows = [_row(clause, where.get(clause.id, "")) for clause in clauses.found[:_MOST_ROWS]]
    ending = "| and {} more, in the run's artifact | | | | |"
    room -= size("\n".join([heading, *head, ending])) + 2 * len("\n\n")
    if room < 0:
        return ""
    kept = fitting(rows, room // 2, size)
    more = len(clauses.found) - len(kept)
    kept += [ending.format(more)] if more else []
    table = "\n".join([*head, *kept])
    parts = []
    if in_full:
        patch = clauses.patch_of(in_full)
        parts += [details("As a patch for <code>git apply</code>", fenced(patch, "diff"))] if patch else []
        parts += [details(f"Proof for {html(clause.qualname)}", _told(clause)) for clause in in_full[:_MOST_SHOWN]]
    return joined([heading, table, *fitting(parts, room - size("\n".join(kept)), size)])


def assertions(clauses: Iterable[Clause]) -> str:
    """How many assertions there are in all, with the noun."""
    return plural(sum(len(clause.record.asserts) for clause in clauses), "assertion")


def _told(clause: Clause) -> str:
    """What is known of the assertions, in a few lines."""
    record = clause.record
    asserts = record.asserts[:_MOST_SHOWN]
    lines = [f"**{code(one.text)}** {proof.of_assertion(one, code)}." for one in asserts]
    facts = [
        f"{'it' if len(record.asserts) == 1 else 'each'} held in every run of the tests that were tried",
        f"written by the model {code(record.model)}" if record.model else "",
        f"id {code(clause.short_id)}",
    ]
    lines.append(f"<small>{' · '.join(filter(None, facts))}</small>")
    if hidden := unseen(record.text):
        lines.append(f"**It holds characters that cannot be seen: {code(hidden)}**")
    return "<br>".join(lines)


def _row(clause: Clause, where: str) -> str:
    asserts = clause.record.asserts
    shown = "; ".join(cell(one.text) for one in asserts[:2]) + ("; …" if len(asserts) > len(asserts[:2]) else "")
    tally = "; ".join(filter(None, (proof.tally_of_assertion(one) for one in asserts[:2])))
    return f"| {shown} | {cell(clause.short_id)} | {cell(clause.qualname)} | {tally} | {where} |"


def _texts(record: ContractRecord) -> Iterable[str]:
    """All that could be posted of a contract, each text once."""
    faults = (fault for one in record.asserts for fault in (*one.killed, *one.earlier, *one.survived))
    texts = (
        *(record.text, record.target, record.model),
        *(one.text for one in record.asserts),
        *(text for fault in faults for text in (fault.operator, fault.before, fault.after)),
    )
    return dict.fromkeys(texts)
