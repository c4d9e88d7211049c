"""Between other test generators and the model: each has its own purse, and all that is said is written down.

A purse is named by the API key that a generator is started with. What it asks is sent on with the benchmark's own
model, temperature and seed; what it may still spend bounds the reply. When nothing is left, and when a replay does not
know a request, the answer is a refused request (400): the clients of OpenAI do not send that again, CoverUp gives up
the piece of code that it was about and keeps the tests that it has, and cover-agent ends.

Clients do not wait for ever, and ask the same again. A reply that nobody waited for is theirs then: it is paid once.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llm_testgen.bench.exchanges import Exchange, Exchanges, request_digest
from llm_testgen.edges.completions import Answered
from llm_testgen.edges.tokens import estimate_tokens
from llm_testgen.errors import ModelError, UsageError
from llm_testgen.records import Usage

_OK = 200
_REFUSED = 400
_UNAUTHORISED = 401
_FAILED = 502
# A prompt that is too long, say: the same request is refused again.
_LASTING = frozenset({400, 413, 422})
# What is the benchmark's to say, and what is only about how the answer is delivered.
_OWN = frozenset(
    {
        "max_tokens",
        "max_completion_tokens",
        "model",
        "n",
        "n_predict",  # llama.cpp's own name, which goes before max_tokens there
        "seed",
        "stream",
        "stream_options",
        "temperature",
        "user",
    }
)


class Upstream(Protocol):
    """What answers in the end."""

    @property
    def model(self) -> str:
        """What it calls its model."""

    async def complete(self, request: Mapping[str, object]) -> Answered:
        """Answer one request of one choice, in one piece.

        Raises:
            ModelError: It cannot be had.
        """


@dataclass(frozen=True, slots=True)
class Budget:
    """What a purse holds.

    Attributes:
        tokens: Of all replies together.
        reply_tokens: Of one reply at most; None for no other bound than what is left.
    """

    tokens: int
    reply_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What every request is sent with, whatever a generator asks for.

    Attributes:
        model: What the real model is called.
        temperature: 0 for the likeliest reply.
        seed: Of the first choice; the others have the following ones. None for none.
    """

    model: str
    temperature: float = 0.0
    seed: int | None = 0


@dataclass(slots=True)
class Purse:
    """The account of one run of a generator.

    Attributes:
        name: The API key that stands for it.
        budget: What it began with.
        usage: What was spent.
        replies: How many replies it had.
        refused: Requests that came when nothing was left.
        unrecorded: Requests that a replay does not know.
        failed: Requests that the model's server did not answer.
        rejected: Requests that the model's server would not take, while it has taken none; empty once it took one.
        waited: Seconds that the model's server took: none for what was recorded before.
        unheard: Answers that the client did not wait for, by what it had asked.
    """

    name: str
    budget: Budget
    usage: Usage = field(default_factory=Usage)
    replies: int = 0
    refused: int = 0
    unrecorded: int = 0
    failed: int = 0
    rejected: list[Exchange] = field(default_factory=list)
    waited: float = 0.0
    unheard: dict[str, Answered] = field(default_factory=dict)
    _times: Counter[str] = field(default_factory=Counter)
    # One after the other: what two may spend at once cannot be known, and a recording has an order.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def left(self) -> int:
        """Tokens that replies may still have."""
        return max(0, self.budget.tokens - self.usage.tokens_out)

    def grant(self, request: Mapping[str, object], choices: int) -> int:
        """Tokens that the next of some choices may have; 0 when nothing is left."""
        asked = [request.get(name) for name in ("max_tokens", "max_completion_tokens")]
        bounds = [bound for bound in (*asked, self.budget.reply_tokens) if isinstance(bound, int) and bound > 0]
        return min([self.left // choices, *bounds])

    def count(self, digest: str) -> int:
        """How often that was asked before."""
        self._times[digest] += 1
        return self._times[digest] - 1

    def pay(self, exchange: Exchange) -> None:
        """Take what an exchange cost."""
        self.usage += Usage(exchange.tokens_in, exchange.tokens_out, exchange.seconds)
        self.replies += exchange.status == _OK


class Proxy:
    """Answers requests from a recording, and sends on what is not in it.

    Args:
        rules: What all are sent with.
        exchanges: The recording.
        upstream: The model; None to make do with the recording.
    """

    def __init__(self, rules: Rules, exchanges: Exchanges, upstream: Upstream | None = None) -> None:
        """Nothing is asked yet."""
        self.rules = rules
        self._exchanges, self._upstream = exchanges, upstream
        self._purses: dict[str, Purse] = {}

    def open_purse(self, name: str, budget: Budget) -> Purse:
        """A new account, full.

        Raises:
            UsageError: There is one of that name already, or the name cannot be a key.
        """
        if name in self._purses or not name or any(not "!" <= character <= "~" for character in name):
            msg = f"{name!r} is no name for another purse: take one of its own, of visible ASCII characters"
            raise UsageError(msg)
        self._purses[name] = Purse(name, budget)
        return self._purses[name]

    async def chat(
        self, key: str, request: Mapping[str, object], *, listens: Callable[[], bool] = lambda: True
    ) -> Answered:
        """The whole answer to a request, with all its choices.

        Args:
            key: Whose purse pays for it.
            request: As OpenAI's clients make it.
            listens: Tells whether the client still waits for the answer; else it gets that when it asks again.

        Raises:
            UsageError: The recording cannot be written.
        """
        purse = self._purses.get(key)
        if purse is None:
            return failure(_UNAUTHORISED, "this API key stands for no run of the benchmark", "invalid_api_key")
        if not isinstance(request.get("messages"), list):
            return failure(_REFUSED, "a request has messages", "invalid_request")
        asked = request_digest(request)
        async with purse.turn:
            answer = purse.unheard.pop(asked, None) or await self._choices(purse, request)
            if not listens():
                purse.unheard[asked] = answer
        return answer

    async def _choices(self, purse: Purse, request: Mapping[str, object]) -> Answered:
        wanted = request.get("n")
        choices = wanted if isinstance(wanted, int) and wanted > 0 else 1
        found: list[Exchange] = []
        for number in range(choices):
            answer = await self._choice(purse, request, number, choices - number)
            if isinstance(answer, Exchange) and answer.status == _OK:
                found.append(answer)
            elif not found:
                return Answered(answer.status, answer.reply) if isinstance(answer, Exchange) else answer
        return Answered(_OK, _completion(request, found))

    async def _choice(
        self, purse: Purse, request: Mapping[str, object], number: int, choices: int
    ) -> Exchange | Answered:
        granted = purse.grant(request, choices)
        if not granted:
            purse.refused += 1
            return failure(_REFUSED, f"the budget of {purse.budget.tokens} tokens is spent", "budget_spent")
        sent = self._sent(request, number, granted)
        digest = request_digest(sent)
        known = self._exchanges.find(purse.name, digest, purse.count(digest))
        if known is None:
            answer = await self._ask(purse, sent, digest)
            if isinstance(answer, Answered):
                return answer
            known = answer
        purse.pay(known)
        if purse.replies:
            self._write_down(purse.rejected)
        return known

    def _sent(self, request: Mapping[str, object], number: int, granted: int) -> dict[str, object]:
        kept = {name: value for name, value in request.items() if name not in _OWN}
        rules = self.rules
        seed = {} if rules.seed is None else {"seed": rules.seed + number}
        return {**kept, "model": rules.model, "temperature": rules.temperature, "max_tokens": granted, **seed}

    async def _ask(self, purse: Purse, sent: Mapping[str, object], digest: str) -> Exchange | Answered:
        """Ask the model, and write down what it says; an answer that will not be the same again is passed on only."""
        if self._upstream is None:
            purse.unrecorded += 1
            return failure(_REFUSED, "the recording holds no answer to this request", "not_recorded")
        started = time.monotonic()
        try:
            answer = await self._upstream.complete(sent)
        except ModelError as error:
            purse.failed += 1
            return failure(_FAILED, str(error), "no_answer")
        seconds = time.monotonic() - started
        purse.waited += seconds
        lasting = answer.status in _LASTING or (answer.status == _OK and _first_choice(answer.body) is not None)
        if not lasting:
            purse.failed += 1
            return failure(_FAILED, f"the model's server answered {answer.status}: {answer.body}"[:400], "no_answer")
        tokens_in, tokens_out = _tokens(sent, answer) if answer.status == _OK else (0, 0)
        exchange = Exchange.model_validate(
            {
                "purse": purse.name,
                "digest": digest,
                "status": answer.status,
                "reply": _text_alone(answer.body),
                "model": self._upstream.model or self.rules.model,
                "tokens_in": tokens_in,
                "tokens_out": tokens_out,
                "seconds": round(seconds, 2),
            }
        )
        # A server that has taken nothing yet may not be set up for such requests at all.
        purse.rejected.append(exchange)
        if exchange.status == _OK or purse.replies:
            self._write_down(purse.rejected)
        return exchange

    def _write_down(self, exchanges: list[Exchange]) -> None:
        for one in exchanges:
            self._exchanges.add(one)
        exchanges.clear()


def failure(status: int, message: str, code: str) -> Answered:
    """An error in the shape that OpenAI's clients know."""
    kind = "invalid_request_error" if status < 500 else "server_error"  # noqa: PLR2004 - the server errors of HTTP
    return Answered(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def _completion(request: Mapping[str, object], found: Sequence[Exchange]) -> dict[str, object]:
    """One answer of several choices, under the name that the generator knows the model by."""
    choices = [{**(_first_choice(one.reply) or {}), "index": index} for index, one in enumerate(found)]
    tokens_in, tokens_out = found[0].tokens_in, sum(one.tokens_out for one in found)
    return {
        "id": f"chatcmpl-{found[0].digest}",
        "object": "chat.completion",
        "created": 0,
        "model": request.get("model") or found[0].model,
        "choices": choices,
        "usage": {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
        },
    }


def _text_alone(body: Mapping[str, object]) -> object:
    """An answer without halves of characters, which JSON can hold and no recording could be read with."""
    return json.loads(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))


def _first_choice(body: Mapping[str, object]) -> dict[str, object] | None:
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) and isinstance(first.get("message"), dict) else None


def _tokens(sent: Mapping[str, object], answer: Answered) -> tuple[int, int]:
    """What the server counted, else an estimate."""
    usage = answer.body.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    tokens_in, tokens_out = counted.get("prompt_tokens"), counted.get("completion_tokens")
    if not isinstance(tokens_in, int):
        tokens_in = estimate_tokens(str(sent.get("messages")))
    if not isinstance(tokens_out, int):
        tokens_out = estimate_tokens(str(_first_choice(answer.body)))
    return tokens_in, tokens_out
