"""How many tokens texts have and requests may cost, without any model's tokeniser."""

from __future__ import annotations

from llm_testgen.records import Message, Prompt, Usage

_MIN_REPLY = 64


def estimate_tokens(text: str) -> int:
    """Tokens of a text, about: a third of its UTF-8 bytes. For reports, where a server does not say."""
    return -(-len(_encode(text)) // 3)


class TokenBudget:
    """A number of tokens, in and out, that all requests together do not exceed.

    Each request reserves the most that it can cost before it is sent and is settled after with what it did cost, or
    with ``Usage()`` if it failed. A settlement does not say whose it is: it frees the smallest reservation that covers
    it, which is never more than its own, so what stays reserved always suffices for the requests still under way.
    """

    def __init__(self, total: int | None) -> None:
        """Start with ``total`` tokens; None for no limit."""
        self._total = total
        self._spent = 0
        self._reserved: list[int] = []

    @property
    def spent(self) -> int:
        """Tokens of all settled requests."""
        return self._spent

    def spend(self, usage: Usage) -> None:
        """Count what was paid before, without any reservation."""
        self._spent += usage.tokens

    def reserve(self, prompt: Prompt, reply_max: int) -> int:
        """Set aside what the prompt and its reply can cost.

        Returns:
            The ``max_tokens`` that the reply may use, at most ``reply_max``; 0, with nothing reserved, when fewer than
            64 (or ``reply_max``) are left.
        """
        if self._total is None:
            return reply_max
        cost = _most_tokens(prompt)
        granted = min(reply_max, self._total - self._spent - sum(self._reserved) - cost)
        if granted < min(_MIN_REPLY, reply_max):
            return 0
        self._reserved.append(cost + granted)
        return granted

    def settle(self, usage: Usage) -> None:
        """Replace a reservation by what the request really cost."""
        self._spent += usage.tokens
        if self._reserved:
            covering = [size for size in self._reserved if size >= usage.tokens]
            self._reserved.remove(min(covering) if covering else max(self._reserved))


def _most_tokens(prompt: Prompt) -> int:
    """Tokens of a prompt, from above: tokenisers join letters, rarely digits, and may split the rest into bytes."""
    messages = (*prompt.messages, Message("assistant", prompt.prefill))
    encoded = b"".join(_encode(message.content) for message in messages)
    dense = sum(byte >= 0x80 or 0x30 <= byte <= 0x39 for byte in encoded)  # noqa: PLR2004  # non-ASCII, digits
    around_messages = 8 * len(messages) + 24  # the template's marks and a default system prompt's
    return dense + -(-(len(encoded) - dense) // 2) + around_messages


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
