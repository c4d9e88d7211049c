"""The session: every exchange with a model and every verdict, in the SQLite file that also holds the index.

An exchange is kept under what was asked, of whom and how. A run that was killed asks the same again and is
answered from here, so that no reply is paid for twice and the run goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from llm_testgen.edges.models import Model, Sampling
from llm_testgen.errors import UsageError
from llm_testgen.records import Message, Outcome, Prompt, Reply, Usage, Verdict

_SCHEMA = """
CREATE TABLE IF NOT EXISTS exchange (
    key TEXT PRIMARY KEY,
    asked_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    target TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    model TEXT NOT NULL,
    sampling TEXT NOT NULL,
    messages TEXT NOT NULL,
    goals TEXT NOT NULL DEFAULT '',
    prefill TEXT NOT NULL,
    reply TEXT NOT NULL,
    truncated INTEGER NOT NULL,
    tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL,
    seconds REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS verdict (
    head TEXT NOT NULL,
    target TEXT NOT NULL,
    name TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    code TEXT NOT NULL,
    repairs TEXT NOT NULL,
    gained TEXT NOT NULL,
    seconds REAL NOT NULL,
    judged_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    exchange TEXT NOT NULL DEFAULT ''
);
"""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was asked about a target, and what came back.

    Attributes:
        target: Id of the changed method.
        attempt: Which prompt about it.
        model: Who was asked.
        messages: The chat, without the prefill.
        goals: Lines of the goals that it lists, in their order, and of those beyond; None where that is not known.
        prefill: What the reply was begun with.
        reply: The whole reply.
    """

    target: str
    attempt: int
    model: str
    messages: tuple[Message, ...]
    goals: tuple[int, ...] | None
    prefill: str
    reply: str

    @classmethod
    def of(cls, reply: Reply) -> Exchange:
        """The exchange that a reply ended."""
        prompt = reply.prompt
        goals = tuple(goal.line for goal in prompt.context.goals)
        return cls(prompt.target.id, prompt.attempt, reply.model, prompt.messages, goals, prompt.prefill, reply.text)

    @property
    def digest(self) -> str:
        """Of all this: the verdicts on the reply's tests are kept with it."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class AcceptedTest:
    """A test that was accepted.

    Attributes:
        target: Id of the method that it was written for.
        attempt: Which prompt about it.
        name: Of the test.
        code: A module of its own.
        gained: Lines of the method's file that it was the first to execute.
        exchange: Digest of the exchange that it came from; empty in sessions of earlier versions.
    """

    target: str
    attempt: int
    name: str
    code: str
    gained: frozenset[int]
    exchange: str = ""


class Session:
    """Exchanges and verdicts of the runs that share one file."""

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            UsageError: It is no SQLite file, or cannot be written.
        """
        self._path = path
        with self._connection() as connection:
            connection.executescript(_SCHEMA)
            columns = _columns(connection, "exchange")
            if "messages" in columns and "goals" not in columns:  # a session of an earlier version
                connection.execute("ALTER TABLE exchange ADD COLUMN goals TEXT NOT NULL DEFAULT ''")

    def recall(self, key: str, prompt: Prompt) -> Reply | None:
        """The reply that was once given to what ``key`` stands for."""
        with self._connection() as connection:
            row = connection.execute(
                "SELECT reply, model, truncated, tokens_in, tokens_out, seconds FROM exchange WHERE key = ?", (key,)
            ).fetchone()
        if row is None:
            return None
        text, model, truncated, tokens_in, tokens_out, seconds = row
        return Reply(prompt, text, model, Usage(tokens_in, tokens_out, seconds), truncated=bool(truncated))

    def remember(self, key: str, reply: Reply, sampling: Sampling) -> None:
        """Keep an exchange."""
        prompt, usage = reply.prompt, reply.usage
        row = (
            key,
            prompt.target.id,
            prompt.attempt,
            reply.model,
            json.dumps(dataclasses.asdict(sampling)),
            json.dumps([dataclasses.asdict(message) for message in prompt.messages]),
            json.dumps([goal.line for goal in prompt.context.goals]),
            prompt.prefill,
            reply.text,
            reply.truncated,
            usage.tokens_in,
            usage.tokens_out,
            usage.seconds,
        )
        with self._connection() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO exchange (key, target, attempt, model, sampling, messages, goals, prefill,"
                " reply, truncated, tokens_in, tokens_out, seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )

    def record(self, head: str, verdicts: Iterable[Verdict]) -> None:
        """Keep the verdicts of a run at one head, instead of those of an earlier run at the same head."""
        rows = [_verdict_row(head, verdict) for verdict in verdicts]
        with self._connection() as connection:
            if not _tells_exchanges(connection):
                connection.execute("ALTER TABLE verdict ADD COLUMN exchange TEXT NOT NULL DEFAULT ''")
            connection.execute("DELETE FROM verdict WHERE head = ?", (head,))
            connection.executemany(
                "INSERT INTO verdict (head, target, name, attempt, outcome, reason, code, repairs, gained, seconds,"
                " exchange) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def exchanges(self) -> tuple[Exchange, ...]:
        """All exchanges, in the order in which they were made."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT target, attempt, model, messages, goals, prefill, reply FROM exchange ORDER BY asked_at, rowid"
            ).fetchall()
        return tuple(
            Exchange(
                target=target,
                attempt=attempt,
                model=model,
                messages=tuple(Message(**message) for message in json.loads(messages)),
                goals=tuple(json.loads(goals)) if goals else None,
                prefill=prefill,
                reply=reply,
            )
            for target, attempt, model, messages, goals, prefill, reply in rows
        )

    def accepted(self) -> tuple[AcceptedTest, ...]:
        """The tests that were accepted, in the order in which they were recorded."""
        with self._connection() as connection:
            exchange = "exchange" if _tells_exchanges(connection) else "''"
            rows = connection.execute(
                f"SELECT target, attempt, name, code, gained, {exchange} FROM verdict"  # noqa: S608 - one of two words
                " WHERE outcome = ? ORDER BY rowid",
                (Outcome.ACCEPTED,),
            ).fetchall()
        return tuple(
            AcceptedTest(
                target=target,
                attempt=attempt,
                name=name,
                code=code,
                gained=frozenset(json.loads(gained).get(target.partition("::")[0], ())),
                exchange=exchange,
            )
            for target, attempt, name, code, gained, exchange in rows
        )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction: committed unless something is raised, then closed."""
        try:
            with closing(sqlite3.connect(self._path)) as connection, connection:
                yield connection
        except sqlite3.Error as error:
            msg = f"{self._path} cannot be used as a session: {error}; move it away or pass another --out"
            raise UsageError(msg) from error


class RememberingModel:
    """A model that answers from the session what was asked before."""

    def __init__(self, model: Model, session: Session, address: str = "") -> None:
        """Wrap a model; the address tells models of the same name on different servers apart."""
        self._address = address
        self._model = model
        self._session = session
        self.name = model.name
        self.concurrency = model.concurrency
        self.shares_cores = model.shares_cores

    async def reply(self, prompt: Prompt, sampling: Sampling) -> Reply | None:
        """The reply as it was given before, with its original cost; a new one where there is none."""
        key = exchange_key(f"{self._address} {self.name}", prompt, sampling)
        known = self._session.recall(key, prompt)
        if known is not None:
            return known
        reply = await self._model.reply(prompt, sampling)
        if reply is None:
            return None
        # JSON can carry half a surrogate pair, which no file can: everything after this writes the text somewhere.
        reply = dataclasses.replace(reply, text=reply.text.encode("utf-8", "replace").decode("utf-8"))
        self._session.remember(key, reply, sampling)
        return reply

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()


def exchange_key(model: str, prompt: Prompt, sampling: Sampling) -> str:
    """What tells one request from another: the model, every word of the prompt, and how the reply is drawn."""
    asked = {
        "model": model,
        "target": prompt.target.id,
        "attempt": prompt.attempt,
        "messages": [dataclasses.asdict(message) for message in prompt.messages],
        "prefill": prompt.prefill,
        "sampling": dataclasses.asdict(sampling),
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _verdict_row(head: str, verdict: Verdict) -> tuple[str | int | float, ...]:
    candidate = verdict.candidate
    return (
        head,
        verdict.target.id,
        candidate.name,
        candidate.attempt,
        verdict.outcome,
        verdict.reason,
        candidate.code,
        json.dumps(candidate.repairs),
        json.dumps({path: sorted(lines) for path, lines in verdict.gained.items()}),
        sum(run.seconds for run in verdict.runs),
        Exchange.of(candidate.reply).digest,
    )


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _tells_exchanges(connection: sqlite3.Connection) -> bool:
    """Whether verdicts are kept with their exchanges: a session of an earlier version is only added to by a run."""
    return "exchange" in _columns(connection, "verdict")
