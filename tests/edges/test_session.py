from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.samples import changed_method, prompt, reply

from llm_testgen.edges.models import Sampling
from llm_testgen.edges.session import RememberingModel, Session, exchange_key
from llm_testgen.errors import ModelError, UsageError
from llm_testgen.index import Index
from llm_testgen.records import Candidate, Ending, Message, Outcome, Prompt, Reply, Run, Usage, Verdict

SAMPLING = Sampling(0.0, 0, 100)


class Scripted:
    """A model that gives the same reply each time, and counts how often it was asked."""

    concurrency = 3
    shares_cores = False

    def __init__(self, text: str | None = "the reply", name: str = "scripted") -> None:
        self.name = name
        self.asked = 0
        self.closed = False
        self._text = text

    async def reply(self, prompt: Prompt, sampling: Sampling) -> Reply | None:
        self.asked += 1
        cost = Usage(sampling.max_tokens, self.asked, 0.25)
        return Reply(prompt, self._text, f"{self.name}-1", cost, truncated=True) if self._text is not None else None

    async def close(self) -> None:
        self.closed = True


class Dead(Scripted):
    async def reply(self, prompt: Prompt, sampling: Sampling) -> Reply | None:
        self.asked += 1
        message = "the server is gone"
        raise ModelError(message)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "session.sqlite"


def ask(model: Scripted, path: Path, asked: Prompt | None = None, sampling: Sampling = SAMPLING) -> Reply | None:
    """Ask as a run does that opens the session anew."""
    return asyncio.run(RememberingModel(model, Session(path)).reply(asked or prompt(), sampling))


def rows(path: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_what_was_never_asked_is_not_known(path):
    assert Session(path).recall("key", prompt()) is None


def test_a_reply_is_recalled_as_it_was_given(path):
    given = replace(reply('def test_é():\r\n\t"\U0001f600\0"\n', truncated=True), model="some/model")
    Session(path).remember("key", given, SAMPLING)
    assert Session(path).recall("key", given.prompt) == given
    assert Session(path).recall("other", given.prompt) is None


def test_a_reply_recalled_belongs_to_the_prompt_that_is_asked_now(path):
    Session(path).remember("key", reply("text"), SAMPLING)
    again = prompt(test_path="elsewhere.py")
    recalled = Session(path).recall("key", again)
    assert recalled is not None
    assert recalled.prompt is again


def test_a_reply_remembered_twice_is_kept_once(path):
    session = Session(path)
    session.remember("key", reply("first"), SAMPLING)
    session.remember("key", reply("second"), SAMPLING)
    recalled = session.recall("key", prompt())
    assert recalled is not None
    assert recalled.text == "second"
    assert rows(path, "SELECT count(*) FROM exchange") == [(1,)]


def test_a_run_that_goes_on_pays_for_no_reply_twice(path):
    first, second = Scripted(), Scripted("another reply")
    given = ask(first, path)
    assert ask(second, path) == given
    assert (first.asked, second.asked) == (1, 0)
    assert given is not None
    assert given.usage == Usage(100, 1, 0.25)


def test_what_is_new_is_asked_and_then_known_too(path):
    ask(Scripted(), path)
    second, third = Scripted("second"), Scripted("third")
    retry = prompt(attempt=2)
    assert ask(second, path, retry).text == "second"
    assert ask(third, path, retry).text == "second"
    assert (second.asked, third.asked) == (1, 0)


def test_no_reply_is_not_remembered(path):
    assert ask(Scripted(None), path) is None
    second = Scripted()
    assert ask(second, path) is not None
    assert second.asked == 1


def test_a_fault_of_the_model_is_passed_on_and_not_remembered(path):
    with pytest.raises(ModelError, match="gone"):
        ask(Dead(), path)
    second = Scripted()
    ask(second, path)
    assert second.asked == 1


def test_a_known_reply_needs_no_living_model(path):
    given = ask(Scripted(), path)
    assert ask(Dead(), path) == given


def test_a_reply_with_half_a_surrogate_pair_becomes_text_that_a_file_can_hold(path):
    given = ask(Scripted("a\ud83db\U0001f600"), path)
    assert given is not None
    assert given.text == "a?b\U0001f600"
    assert ask(Dead(), path) == given


def test_the_model_is_shown_as_it_is_and_closed(path):
    model = Scripted(name="some/model")
    remembering = RememberingModel(model, Session(path))
    assert (remembering.name, remembering.concurrency) == ("some/model", 3)
    asyncio.run(remembering.close())
    assert model.closed


def test_many_replies_at_once_are_all_kept(path):
    async def run() -> None:
        model = RememberingModel(Scripted(), Session(path))
        await asyncio.gather(*(model.reply(prompt(attempt=number), SAMPLING) for number in range(1, 21)))

    asyncio.run(run())
    assert rows(path, "SELECT count(*) FROM exchange") == [(20,)]


def test_the_same_request_has_the_same_key():
    assert exchange_key("m", prompt(), SAMPLING) == exchange_key("m", prompt(), Sampling(0.0, 0, 100))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda: exchange_key("n", prompt(), SAMPLING), id="model"),
        pytest.param(lambda: exchange_key("m", prompt(changed_method(path="b.py")), SAMPLING), id="path"),
        pytest.param(
            lambda: exchange_key("m", prompt(changed_method("def other(): ...", "other")), SAMPLING), id="method"
        ),
        pytest.param(lambda: exchange_key("m", prompt(attempt=2), SAMPLING), id="attempt"),
        pytest.param(lambda: exchange_key("m", replace(prompt(), prefill="```"), SAMPLING), id="prefill"),
        pytest.param(lambda: said("user", "Write tests!"), id="words"),
        pytest.param(lambda: said("system", "Write tests."), id="role"),
        pytest.param(lambda: said("user", "Write", "user", " tests."), id="turns"),
        pytest.param(lambda: exchange_key("m", prompt(), replace(SAMPLING, temperature=0.1)), id="temperature"),
        pytest.param(lambda: exchange_key("m", prompt(), replace(SAMPLING, seed=1)), id="seed"),
        pytest.param(lambda: exchange_key("m", prompt(), replace(SAMPLING, seed=None)), id="no seed"),
        pytest.param(lambda: exchange_key("m", prompt(), replace(SAMPLING, max_tokens=101)), id="max_tokens"),
    ],
)
def test_the_key_differs_with_every_part_of_a_request(other: Callable[[], str]):
    assert other() != exchange_key("m", prompt(), SAMPLING)


def said(*turns: str) -> str:
    messages = tuple(Message(role, content) for role, content in zip(turns[::2], turns[1::2], strict=True))
    return exchange_key("m", replace(prompt(), messages=messages), SAMPLING)


def test_the_session_and_the_index_share_one_file(path):
    with Index.open(path):
        given = ask(Scripted(), path)
        assert ask(Dead(), path) == given
    with Index.open(path) as index:
        assert index.test_files() == ()
    assert ask(Dead(), path) == given


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_session_is_refused_and_left_as_it_is(path, content):
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"session\.sqlite cannot be used as a session: .*; move it away") as raised:
        Session(path)
    assert "\n" not in str(raised.value)
    assert path.read_bytes() == content


def test_a_session_of_an_earlier_version_is_gone_on_with(path):
    Session(path).remember("key", reply("text"), SAMPLING)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE exchange DROP COLUMN goals")
    session = Session(path)
    (exchange,) = session.exchanges()
    assert (exchange.reply, exchange.model, exchange.goals) == ("text", reply("text").model, None)
    session.remember("other", reply("more"), SAMPLING)
    assert [exchange.goals for exchange in session.exchanges()] == [None, ()]


def test_a_file_with_foreign_tables_of_the_same_name_is_refused(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE exchange (other TEXT)")
    with pytest.raises(UsageError, match="cannot be used as a session"):
        Session(path).recall("key", prompt())


def test_a_file_in_no_folder_or_that_is_a_folder_is_refused(tmp_path):
    for path in (tmp_path / "none" / "session.sqlite", tmp_path):
        with pytest.raises(UsageError, match="pass another --out"):
            Session(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_cannot_be_written_is_refused(path):
    Session(path)
    path.chmod(0o400)
    with pytest.raises(UsageError, match="pass another --out"):
        Session(path).remember("key", reply("text"), SAMPLING)


def verdict(name: str, outcome: Outcome = Outcome.FAILING) -> Verdict:
    candidate = Candidate(reply("text"), name, "code", ("mended", "again"))
    runs = (Run(Ending.PASSED, seconds=1.5), Run(Ending.FAILED, seconds=2.0))
    return Verdict(candidate, outcome, "why", {"b.py": frozenset({2, 1})}, runs)


def test_verdicts_are_kept_with_what_explains_them(path):
    Session(path).record("h1", [verdict("test_it")])
    columns = "head, target, name, attempt, outcome, reason, code, repairs, gained, seconds"
    assert rows(path, f"SELECT {columns} FROM verdict") == [  # noqa: S608 - the columns stand above
        (
            "h1",
            "src/pkg/mod.py::double",
            "test_it",
            1,
            "failing",
            "why",
            "code",
            '["mended", "again"]',
            '{"b.py": [1, 2]}',
            3.5,
        )
    ]


def test_verdicts_of_a_later_run_at_the_same_head_take_the_place_of_the_earlier(path):
    Session(path).record("h1", [verdict("test_a"), verdict("test_b")])
    Session(path).record("h2", [verdict("test_c")])
    Session(path).record("h1", [verdict("test_d", Outcome.ACCEPTED)])
    found = rows(path, "SELECT head, name, outcome FROM verdict ORDER BY head")
    assert found == [("h1", "test_d", "accepted"), ("h2", "test_c", "failing")]


def test_a_run_without_verdicts_leaves_none(path):
    Session(path).record("h1", [verdict("test_a")])
    Session(path).record("h1", [])
    assert rows(path, "SELECT count(*) FROM verdict") == [(0,)]
