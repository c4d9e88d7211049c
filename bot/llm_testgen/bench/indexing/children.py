"""Measuring in a process of its own: a request goes in as a file, and what came of it comes back as one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from llm_testgen.bench.accounting import execute
from llm_testgen.errors import ProjectError

# Scripts that run in interpreters where this package is not installed: they are started, and never imported.
GUESTS = Path(__file__).parent
_SECONDS = 1800.0


class Answer(BaseModel):
    """What a child says.

    Attributes:
        cpu: Seconds that its work took, without starting it.
        seconds: Of the wall clock, likewise.
        definitions: How many it found.
        done: How many files there was time for.
        calls: What it found of calls, as the child defines them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: float
    seconds: float
    definitions: int = 0
    done: int = 0
    calls: tuple[tuple[str, int, str, int], ...] = ()


class Took(BaseModel):
    """What a whole process took.

    Attributes:
        cpu: Seconds of user and system time, of its children too.
        seconds: Of the wall clock.
        peak: The most memory that it held at a time, in bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: float
    seconds: float
    peak: int


@dataclass(frozen=True, slots=True)
class Children:
    """Starts processes in one folder, with one environment.

    Attributes:
        home: Where requests and answers are written.
        environ: All that they see of the environment.
    """

    home: Path
    environ: Mapping[str, str]

    async def run(self, command: Sequence[str]) -> Took:
        """Run a command to its end.

        Raises:
            ProjectError: It has failed, or taken too long.
        """
        took, output = self.home / "took.json", self.home / "output.txt"
        launch = [sys.executable, "-I", "-S", str(GUESTS / "guest_launch.py"), str(took)]
        finished = await execute([*launch, *command], self.home, self.environ, output, _SECONDS)
        if finished.status != 0:
            said = output.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
            name = Path(command[1]).name if len(command) > 1 else command[0]
            msg = f"{name} has failed ({said[:200]})"
            raise ProjectError(msg)
        return Took.model_validate_json(took.read_bytes())

    async def ask(self, command: Sequence[str], request: Mapping[str, object]) -> tuple[Answer, Took]:
        """Start a command with the names of two files behind it, and read the second when it has ended.

        Raises:
            ProjectError: It has not done what it should.
        """
        asked, answered = self.home / "request.json", self.home / "result.json"
        asked.write_text(json.dumps(request), encoding="utf-8")
        took = await self.run([*command, str(asked), str(answered)])
        return Answer.model_validate_json(answered.read_bytes()), took
