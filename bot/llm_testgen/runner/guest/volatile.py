"""What will be another value in another process, on another day or on another machine."""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
import time
from typing import Any

_DAYS = 3
_MINUTES = 5
_SECONDS = _DAYS * 24 * 3600
# Smaller ids of processes are numbers like any other; that they change shows when the test is run again.
_LEAST_PID = 1000
_LEAST_NAME = 5
_SCALES = (1, 10**3, 10**6, 10**9)
_DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d-%m-%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y", "%m/%d/%Y",
    "%m/%d/%y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d ", "%a, %d %b",
)  # fmt: skip
# Addresses of objects, and the name of a candidate's file.
_ALWAYS = re.compile(r"0x[0-9a-f]{6,}|test_llm_testgen", re.IGNORECASE)
_EVERYBODYS = frozenset({"/", "/usr", "/usr/local"})
# A test may replace them.
_clock, _moment, _date, _time, _delta = time.time, dt.datetime, dt.date, dt.time, dt.timedelta


class Volatile:
    """Knows it, as of now.

    Args:
        folders: Paths that are others in the next run.
    """

    def __init__(self, folders: tuple[str, ...]) -> None:
        """Look at the clock."""
        self._now = _clock()
        utc = _moment(1970, 1, 1) + _delta(seconds=self._now)
        self._moments = (utc, _moment.fromtimestamp(self._now))
        self._pids = [pid for pid in (os.getpid(), os.getppid()) if pid >= _LEAST_PID]
        days = {moment.date() + _delta(days=days) for moment in self._moments for days in (-1, 0, 1)}
        minutes = {moment - _delta(minutes=minutes) for moment in self._moments for minutes in (0, 1)}
        self._texts = [
            *(day.strftime(form) for day in days for form in _DATES),
            *(moment.strftime("%H:%M") for moment in minutes),
            *(folder for folder in (*folders, sys.prefix, sys.base_prefix) if folder not in _EVERYBODYS),
            *(name for name in (os.uname().nodename,) if len(name) >= _LEAST_NAME and name != "localhost"),
        ]

    def is_in(self, text: str) -> bool:
        """Whether a text mentions something of the kind."""
        if _ALWAYS.search(text) or any(part in text for part in self._texts):
            return True
        return any(re.search(rf"(?<!\d){pid}(?!\d)", text) for pid in self._pids)

    def is_number(self, value: float) -> bool:
        """Whether a number is a process's id, or the time."""
        return value in self._pids or any(abs(value - self._now * scale) < _SECONDS * scale for scale in _SCALES)

    def is_moment(self, value: Any) -> bool:
        """Whether a date or a time is near now, in whatever zone."""
        kind = type(value)
        if kind is _moment:
            return any(abs(value.replace(tzinfo=None) - now) < _delta(days=_DAYS) for now in self._moments)
        if kind is _date:
            return any(abs(value - now.date()) <= _delta(days=_DAYS) for now in self._moments)
        if kind is _time:
            least = _delta(minutes=_MINUTES)
            return any(abs(_moment.combine(now, value.replace(tzinfo=None)) - now) < least for now in self._moments)
        return False
