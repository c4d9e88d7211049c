"""What a person can choose about a run: one frozen object that the command line fills in and `commands` take apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Generation:
    """How tests are asked for and judged.

    Attributes:
        attempts: Prompts per changed method at most, the first included.
        temperature: Of the model; 0 for its likeliest reply.
        seed: Of the model's sampling; None leaves it to the server.
        context_tokens: Tokens that related code may take in a prompt.
        reply_tokens: Tokens of one reply at most; None for what the tests asked for take, with room to spare.
        max_tokens: Tokens in and out of the whole run at most; None for no limit.
        max_tests: Tests to accept at most; None for no limit.
        deadline: Seconds after which no more is asked or tried; None for no limit.
        repeats: How often a test must pass again before it counts as stable.
        repairs: Repairs of one candidate at most.
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
