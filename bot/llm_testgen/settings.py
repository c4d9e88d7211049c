"""What a person can choose about a run: one frozen object that the command line fills in and `commands` take apart."""

from __future__ import annotations

from dataclasses import dataclass

from llm_testgen.repairs.base import ALL_REPAIRS, RepairKind


@dataclass(frozen=True, slots=True)
class Generation:
    """How tests are asked for and judged.

    Attributes:
        attempts: Prompts per changed method, the first included: what one does not need another may have.
        temperature: Of the model; 0 for its likeliest reply.
        seed: Of the model's sampling; None leaves it to the server.
        context_tokens: Tokens that related code may take in a prompt.
        reply_tokens: Tokens of one reply at most; None for what the tests asked for take, with room to spare.
        max_tokens: Tokens in and out of the whole run at most; None for no limit.
        max_tests: Tests to accept at most; None for no limit.
        deadline: Seconds after which no more is asked or tried; None for no limit.
        repeats: How often a test must pass again before it counts as stable.
        repairs: Repairs of one candidate at most.
        repairing: The families of repairs that are tried.
        mutants: Faults that one test is tried with at most; 0 for no proof by mutants.
        asserting: Whether a test must assert something, and notice one of them; a smoke test need not.
    """

    attempts: int = 2
    temperature: float = 0.0
    seed: int | None = 0
    context_tokens: int = 600
    reply_tokens: int | None = None
    max_tokens: int | None = None
    max_tests: int | None = None
    deadline: float | None = None
    repeats: int = 2
    repairs: int = 6
    repairing: frozenset[RepairKind] = ALL_REPAIRS
    mutants: int = 10
    asserting: bool = True
