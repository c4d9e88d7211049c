"""What is said about one changed method, by the name under which it is found again on a later run."""

from __future__ import annotations

from dataclasses import dataclass

from llm_testgen.delivery.markers import TestMarker
from llm_testgen.proposal import TargetRecord

# Enough to tell those of a pull request apart, and short enough to be typed.
_SHOWN_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Something about one method.

    Attributes:
        target: The changed method.
        marker: How it is found again.
    """

    target: TargetRecord
    marker: TestMarker

    @property
    def id(self) -> str:
        """Its whole id."""
        return self.marker.finding

    @property
    def short_id(self) -> str:
        """Its id as people see and type it."""
        return self.id[:_SHOWN_DIGITS]

    @property
    def qualname(self) -> str:
        """The method inside its file."""
        return self.target.id.removeprefix(f"{self.target.path}::")
