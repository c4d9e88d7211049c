from __future__ import annotations

import asyncio
import gzip
import json

import pytest
from tests.samples import changed_method

from llm_testgen.bench.pulls import recorded
from llm_testgen.bench.pulls.recorded import RecordedModel, Recording, digest_of, pack
from llm_testgen.edges.models import Sampling
from llm_testgen.errors import ModelError, PromptRefusedError, UsageError
from llm_testgen.records import Context, Message, Prompt, Reply, Usage

TARGET = changed_method("def f():\n    return 1\n", "f")
SAMPLING = Sampling(0.0, 0, 540)


def prompt(text="Write a test.", attempt=1) -> Prompt:
    context = Context(TARGET, "mod", "from mod import f", frozenset(), "tests/test_mod.py")
    return Prompt(context, (Message("user", text),), "```python\n", attempt, 1)


class Live:
    """A model that takes as many tokens as it may, up to 300."""

    name = "live"
    concurrency = 2
    shares_cores = False

    def __init__(self):
        self.asked = []

    async def reply(self, prompt, sampling):
        self.asked.append(sampling.max_tokens)
        usage = Usage(10, min(300, sampling.max_tokens), 1.234)
        return Reply(prompt, f"reply {len(self.asked)}", "live", usage, truncated=False)

    async def close(self):
        raise AssertionError


@pytest.fixture(autouse=True)
def no_packaged_recording(monkeypatch, tmp_path):
    monkeypatch.setattr(recorded, "RECORDED", tmp_path / "none")


def model(recording, live=None, purse=800, name="m"):
    return RecordedModel(name=name, recording=recording, live=live, case="c-1", arm="ours", purse=purse)


def ask(asked, *prompts, sampling=SAMPLING):
    async def all_of_them():
        return [await asked.reply(one, sampling) for one in prompts]

    return [reply and reply.text for reply in asyncio.run(all_of_them())]


def test_what_was_answered_is_answered_again_and_by_the_same_model_only(tmp_path):
    path, live = tmp_path / "replies.jsonl", Live()
    first = model(Recording.open(path), live)
    assert ask(first, prompt()) == ["reply 1"]
    again = model(Recording.open(path))
    assert ask(again, prompt()) == ["reply 1"]
    assert again.unanswered == 0
    other = model(Recording.open(path), name="other")
    assert ask(other, prompt()) == [None]
    assert other.unanswered == 1
    assert live.asked == [540]


@pytest.mark.parametrize("changed", [prompt("Write another test."), prompt()])
def test_another_wording_or_way_to_draw_is_another_request(changed, tmp_path):
    sampling = Sampling(0.2, 0, 540) if changed == prompt() else SAMPLING
    live = Live()
    asked = model(Recording.open(tmp_path / "replies.jsonl"), live)
    ask(asked, prompt())
    assert ask(asked, changed, sampling=sampling) == ["reply 2"]
    assert digest_of(changed, sampling) != digest_of(prompt(), SAMPLING)


def test_replies_about_one_method_take_no_more_than_its_purse():
    live = Live()
    asked = model(Recording(()), live, purse=700)
    assert ask(asked, *(prompt(str(number)) for number in range(4))) == ["reply 1", "reply 2", "reply 3", None]
    assert live.asked == [540, 400, 100]
    assert asked.unanswered == 0


def test_a_model_is_asked_in_the_order_of_a_replay_whatever_it_could_do_at_once():
    for asked in (model(Recording(()), Live()), model(Recording(()))):
        assert (asked.concurrency, asked.shares_cores) == (1, True)


def test_only_what_a_real_model_is_asked_for_is_waited_for(tmp_path):
    path = tmp_path / "replies.jsonl"
    first = model(Recording.open(path), Live(), purse=2000)
    ask(first, prompt("1"), prompt("2"))
    assert first.waited == pytest.approx(2 * 1.234)
    again = model(Recording.open(path), Live(), purse=2000)
    ask(again, prompt("1"), prompt("3"))
    assert again.waited == pytest.approx(1.234)


@pytest.mark.parametrize(("error", "refused"), [(PromptRefusedError("too long"), 1), (ModelError("it died"), 0)])
def test_a_prompt_that_is_refused_is_told_from_a_model_that_stopped_answering(error, refused, tmp_path):
    class Failing(Live):
        async def reply(self, prompt, sampling):
            raise error

    asked = model(Recording.open(tmp_path / "replies.jsonl"), Failing())
    if refused:
        assert ask(asked, prompt()) == [None]
    else:
        with pytest.raises(ModelError, match="it died"):
            ask(asked, prompt())
    assert (asked.refused, asked.unanswered, asked.fault) == (refused, refused, None if refused else error)
    assert not (tmp_path / "replies.jsonl").exists()


def test_half_a_line_of_a_run_that_was_killed_is_forgotten(tmp_path):
    path = tmp_path / "replies.jsonl"
    ask(model(Recording.open(path), Live(), purse=2000), prompt("1"), prompt("2"))
    path.write_bytes(path.read_bytes()[:-5])
    again = Recording.open(path)
    assert ask(model(again, purse=2000), prompt("1"), prompt("2")) == ["reply 1", None]
    ask(model(again, Live(), purse=2000), prompt("2"))
    assert ask(model(Recording.open(path), purse=2000), prompt("1"), prompt("2")) == ["reply 1", "reply 1"]


def test_a_packed_recording_is_the_same_each_time_and_can_be_read(tmp_path, monkeypatch):
    path, other = tmp_path / "replies.jsonl", tmp_path / "other.jsonl"
    ask(model(Recording.open(path), Live(), purse=2000), prompt("1"), prompt("2"))
    lines = path.read_text().splitlines()
    other.write_text("\n".join(reversed([*lines, lines[0]])) + "\n")
    assert pack(path) == pack(other)
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(pack(path))
    assert len(gzip.decompress(packed.read_bytes()).splitlines()) == 2
    monkeypatch.setattr(recorded, "RECORDED", packed)
    assert ask(model(Recording.open(None), purse=2000), prompt("1"), prompt("2")) == ["reply 1", "reply 2"]


@pytest.mark.parametrize("content", ["{}\n", json.dumps({"model": 1}) + "\n", "\xff\n"])
def test_a_file_of_something_else_is_refused(content, tmp_path):
    path = tmp_path / "replies.jsonl"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match="holds no replies of this benchmark"):
        Recording.open(path)
