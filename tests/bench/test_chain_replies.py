from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import replace

import pytest

from llm_testgen.bench.chain_replies import ChainModel, ChainReply, Replies, as_chain_reply, prompt_digest
from llm_testgen.edges.models import Sampling
from llm_testgen.errors import ModelError, PromptRefusedError, UsageError
from llm_testgen.records import ChangedMethod, ChangeStatus, Context, Message, Method, MethodKind, Prompt, Reply, Usage

METHOD = Method("x.py", "f", MethodKind.FUNCTION, 1, 2, "def f()", "", "def f():\n    pass")
TARGET = ChangedMethod((METHOD,), frozenset({2}), ChangeStatus.ADDED)
PROMPT = Prompt(
    Context(TARGET, "x", "from x import f", frozenset({2}), "tests/test_x.py"), (Message("user", "?"),), "", 1
)
SAMPLING = Sampling(0.0, 0, 100)
KEY = ("tiny", "x.py::f", "ours", 1)


class Live:
    name = "live"
    concurrency = 1
    shares_cores = True

    def __init__(self):
        self.asked = []

    async def reply(self, prompt, sampling):
        self.asked.append(prompt)
        return Reply(prompt, f"answer {len(self.asked)}\ud800", self.name, Usage(3, 4, 1.234), truncated=True)

    async def close(self):
        raise AssertionError


def ask(model, prompt=PROMPT):
    return asyncio.run(model.reply(prompt, SAMPLING))


def recorded(text="known", prompt=PROMPT):
    return as_chain_reply(Reply(prompt, text, "canned", Usage(1, 2, 3.0)), "tiny", "ours")


def test_what_was_recorded_is_given_again():
    model = ChainModel(Replies([recorded()]), "tiny", "ours")
    given = ask(model)
    assert (given.text, given.model, given.usage, given.truncated) == ("known", "canned", Usage(1, 2, 3.0), False)
    assert (model.outdated, model.unanswered) == (0, 0)


def test_without_a_model_a_reply_to_another_wording_counts_and_shows():
    model = ChainModel(Replies([recorded()]), "tiny", "ours")
    assert ask(model, replace(PROMPT, prefill="def test_")).text == "known"
    assert model.outdated == 1


@pytest.mark.parametrize("other", [{"change": "huge"}, {"way": "plain"}])
def test_without_a_model_there_may_be_no_reply(other):
    model = ChainModel(Replies([recorded().model_copy(update=other)]), "tiny", "ours")
    assert ask(model) is None
    assert model.unanswered == 1


def test_a_model_is_asked_for_what_is_missing_and_for_another_wording_once(tmp_path):
    path = tmp_path / "replies.jsonl"
    live, again = Live(), replace(PROMPT, attempt=2)
    model = ChainModel(Replies.open(path), "tiny", "ours", live)
    assert [ask(model, prompt).text for prompt in (PROMPT, again, PROMPT)] == [
        "answer 1\ud800",
        "answer 2\ud800",
        "answer 1?",
    ]
    assert len(live.asked) == 2
    # What is written is there for the next run, whoever ended this one.
    later = ChainModel(Replies.open(path), "tiny", "ours", live)
    assert ask(later, again).text == "answer 2?"
    assert ask(later, replace(PROMPT, messages=(Message("user", "!"),))).text.startswith("answer 3")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["attempt"], line["truncated"], line["seconds"]) for line in lines] == [
        (1, True, 1.23),
        (2, True, 1.23),
        (1, True, 1.23),
    ]
    assert lines[0]["digest"] == prompt_digest(PROMPT) != lines[2]["digest"]


@pytest.mark.parametrize("error", [ModelError("it is gone"), PromptRefusedError("too long")])
def test_a_model_that_stops_answering_is_remembered_and_a_refused_prompt_counted(error, tmp_path):
    class Dead(Live):
        async def reply(self, prompt, sampling):
            raise error

    model = ChainModel(Replies.open(tmp_path / "r.jsonl"), "tiny", "ours", Dead())
    if isinstance(error, PromptRefusedError):
        assert ask(model) is None
        assert (model.fault, model.unanswered) == (None, 1)
    else:
        with pytest.raises(ModelError):
            ask(model)
        assert (model.fault, model.unanswered) == (error, 0)


def test_a_recording_may_be_compressed_and_says_who_answered(tmp_path):
    path = tmp_path / "replies.jsonl.gz"
    path.write_bytes(gzip.compress(f"{recorded().model_dump_json()}\n".encode()))
    replies = Replies.from_file(path)
    assert len(replies) == 1
    assert replies.has(KEY)
    assert replies.models == "canned"


@pytest.mark.parametrize("data", [b"{}\n", b"\xff\n", b"\x1f\x8b\x08 cut off"])
def test_what_is_no_recording_is_refused(data, tmp_path):
    path = tmp_path / "replies.jsonl"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="holds no replies of this benchmark"):
        Replies.from_file(path)


def test_a_recording_that_is_not_there_is_refused_unless_it_is_begun(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        Replies.from_file(tmp_path / "nothing")
    assert len(Replies.open(tmp_path / "nothing")) == 0
    begun = Replies.open(tmp_path / "no folder" / "replies")
    with pytest.raises(UsageError, match="cannot be written"):
        begun.add(recorded())


def test_half_a_line_that_a_killed_run_left_is_forgotten(tmp_path):
    path = tmp_path / "replies.jsonl"
    path.write_bytes(f'{recorded().model_dump_json()}\n{{"change": "ti'.encode())
    replies = Replies.open(path)
    replies.add(recorded("more"))
    assert len(path.read_text().splitlines()) == 2
    assert ask(ChainModel(Replies.open(path), "tiny", "ours")).text == "more"


def test_a_line_holds_all_that_tells_replies_apart():
    assert set(ChainReply.model_fields) >= {"change", "target", "way", "attempt", "digest", "reply", "tokens_out"}
    assert recorded().key == KEY
