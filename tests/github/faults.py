"""What goes wrong on the way: refusals, failures before and after the work was done, lost connections, slowness."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.github.router import Answer, Refusal

_SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. "
    "If you reach out to GitHub Support for help, please include the request ID 0000:0000."
)
_UNICORN = b"<html><head><title>Unicorn!</title></head><body>We had issues producing the response.</body></html>"


class Fault(StrEnum):
    FORBIDDEN = "forbidden"
    """403 without a word on when to come again."""
    SECONDARY = "secondary"
    """403: too much at once, with ``retry-after``."""
    SECONDARY_SILENT = "secondary-silent"
    """403: too much at once, without ``retry-after``."""
    PRIMARY = "primary"
    """403: the hour's requests are used up, until ``x-ratelimit-reset``."""
    TOO_MANY = "too-many"
    """429 with ``retry-after``."""
    UNPROCESSABLE = "unprocessable"
    """422"""
    SERVER_ERROR = "server-error"
    """500 before anything was done."""
    BAD_GATEWAY = "bad-gateway"
    """502 before anything was done."""
    BAD_GATEWAY_AFTER = "bad-gateway-after"
    """502 though it was done."""
    DROPPED = "dropped"
    """No answer, and nothing was done."""
    DROPPED_AFTER = "dropped-after"
    """No answer, though it was done."""
    SLOW = "slow"
    """The right answer, after ``seconds``."""

    @property
    def is_late(self) -> bool:
        """Whether the request is served, and only its answer is lost."""
        return self in {Fault.BAD_GATEWAY_AFTER, Fault.DROPPED_AFTER}


@dataclass(slots=True)
class Planned:
    """Something that happens to the next requests of a kind."""

    method: str
    path: re.Pattern[str]
    times: int

    def takes(self, method: str, path: str) -> bool:
        """Whether this request is one of them, which then counts."""
        if self.times <= 0 or method != self.method or not self.path.search(path):
            return False
        self.times -= 1
        return True


@dataclass(slots=True)
class PlannedFault(Planned):
    kind: Fault
    seconds: float


@dataclass(slots=True)
class PlannedCall(Planned):
    function: Callable[[], object]


def answer_of(fault: PlannedFault, rate_limit: int) -> Answer | None:
    """What a fault answers instead of the server; None if nothing comes at all."""
    wait = str(int(fault.seconds))
    refusals = {
        Fault.FORBIDDEN: Refusal(403, "Resource not accessible by integration"),
        Fault.SECONDARY: Refusal(403, _SECONDARY, retry_after=wait),
        Fault.SECONDARY_SILENT: Refusal(403, _SECONDARY),
        Fault.TOO_MANY: Refusal(429, _SECONDARY, retry_after=wait),
        Fault.UNPROCESSABLE: Refusal(422, "Validation Failed"),
    }
    gateway = Answer(_UNICORN, 502, content_type="text/html")
    answers = {kind: refusal.answer() for kind, refusal in refusals.items()} | {
        Fault.PRIMARY: exhausted(rate_limit, int(time.time() + fault.seconds)),
        Fault.SERVER_ERROR: Answer({"message": "Server Error"}, 500),
        Fault.BAD_GATEWAY: gateway,
        Fault.BAD_GATEWAY_AFTER: gateway,
    }
    return answers.get(fault.kind)


def exhausted(limit: int, reset: int) -> Answer:
    rate = {"limit": limit, "remaining": 0, "used": limit, "reset": reset}
    headers = {f"x_ratelimit_{name}": str(value) for name, value in rate.items()}
    return Refusal(403, "API rate limit exceeded for installation ID 1.", **headers).answer()
