import asyncio
import json
from pathlib import Path

import pytest
from tests.edges.fake_openai import make_prompt

from llm_testgen.edges.models import Sampling
from llm_testgen.edges.replay import Recorder, ReplayModel
from llm_testgen.errors import UsageError
from llm_testgen.records import Reply, Usage

SAMPLING = Sampling(0.0, None, 100)


def write(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def line(target, reply, **extra):
    return {"target": target, "reply": reply, **extra}


def texts(model, *qualnames):
    async def run():
        replies = [await model.reply(make_prompt(qualname=qualname), SAMPLING) for qualname in qualnames]
        await model.close()
        return [reply and reply.text for reply in replies]

    return asyncio.run(run())


def test_a_target_gets_its_own_replies_in_order_then_those_for_any_then_nothing(tmp_path):
    path = write(
        tmp_path / "replies.jsonl",
        line(None, "any 1"),
        line("pkg/size.py::human", "own 1"),
        line("pkg/size.py::other", "not mine"),
        line("pkg/size.py::human", "own 2"),
        line(None, "any 2"),
    )
    model = ReplayModel.from_file(path)
    assert texts(model, *["human"] * 5) == ["own 1", "own 2", "any 1", "any 2", None]


def test_replies_for_any_target_are_shared_and_each_is_given_once(tmp_path):
    model = ReplayModel.from_file(write(tmp_path / "r", line(None, "1"), line(None, "2"), line(None, "3")))
    assert texts(model, "a", "b", "a", "b") == ["1", "2", "3", None]


def test_an_empty_recording_has_nothing_to_say(tmp_path):
    assert texts(ReplayModel.from_file(write(tmp_path / "r")), "human") == [None]


def test_the_text_is_given_as_it_was_recorded_without_the_prefill(tmp_path):
    assert texts(ReplayModel.from_file(write(tmp_path / "r", line(None, "plain"))), "human") == ["plain"]


def test_tokens_are_estimated_where_the_recording_does_not_say(tmp_path):
    model = ReplayModel.from_file(write(tmp_path / "r", line(None, "x" * 30)))
    reply = asyncio.run(model.reply(make_prompt(), SAMPLING))
    assert reply.usage == Usage(0, 10, 0.0)
    assert (reply.model, reply.truncated) == ("replay", False)


def test_blank_lines_windows_newlines_a_bom_and_unknown_keys_are_taken(tmp_path):
    path = tmp_path / "r"
    path.write_bytes(
        b'\xef\xbb\xbf{"target": null, "reply": "1", "note": [1]}\r\n\r\n  \n{"target": null, "reply": "2"}'
    )
    assert texts(ReplayModel.from_file(path), "a", "b", "c") == ["1", "2", None]


def test_line_separators_inside_a_string_do_not_end_the_line(tmp_path):
    path = tmp_path / "r"
    path.write_text('{"target": null, "reply": "a\u2028b\u0085c\x0cd"}\n'.replace("\x0c", "\\f"), encoding="utf-8")
    assert texts(ReplayModel.from_file(path), "a") == ["a\u2028b\u0085c\x0cd"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("{", "no JSON"),
        ("not json", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('{"target": null, "reply": "x", "tokens_in": ' + "9" * 5000 + "}", "no JSON"),
        ("[]", "dictionary"),
        ("null", "dictionary"),
        ('"text"', "dictionary"),
        ('{"reply": "x"}', "target: Field required"),
        ('{"target": null}', "reply: Field required"),
        ('{"target": 3, "reply": "x"}', "target: "),
        ('{"target": null, "reply": null}', "reply: "),
        ('{"target": null, "reply": ["x"]}', "reply: "),
        ('{"target": null, "reply": "x", "tokens_in": -1}', "tokens_in: "),
        ('{"target": null, "reply": "x", "truncated": "yes"}', "truncated: "),
    ],
)
def test_a_wrong_line_is_an_error_of_one_line_that_names_it_and_shows_a_right_one(tmp_path, wrong, reason):
    path = tmp_path / "replies.jsonl"
    path.write_text('{"target": null, "reply": "x"}\n\n' + wrong + "\n")
    with pytest.raises(UsageError) as caught:
        ReplayModel.from_file(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:3: ")
    assert '{"target": "src/x.py::Class.method" or null, "reply": "..."}' in message
    assert reason in message
    assert "\n" not in message


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        ReplayModel.from_file(tmp_path / "absent")
    with pytest.raises(UsageError, match="cannot be read"):
        ReplayModel.from_file(tmp_path)


def test_a_file_of_other_bytes_is_an_error(tmp_path):
    (tmp_path / "r").write_bytes(b"\xff\xfe{")
    with pytest.raises(UsageError, match="not UTF-8"):
        ReplayModel.from_file(tmp_path / "r")


class ScriptedModel:
    """Answers with the replies' texts and usages in turn."""

    name = "scripted"
    concurrency = 3
    shares_cores = False

    def __init__(self, *answers):
        self.answers = list(answers)
        self.closed = False

    async def reply(self, prompt, _):
        if not self.answers:
            return None
        text, usage, truncated = self.answers.pop(0)
        return Reply(prompt, text, "some-model", usage, truncated)

    async def close(self):
        self.closed = True


def test_a_recording_replays_what_was_said_whatever_the_text(tmp_path):
    awkward = ["", "a\nb\r\nc\x00", '"\\', "ünïcode \N{SNOWMAN} \U0001f40d", "\u2028\u0085", "half \ud800 pair", "{}"]
    answers = [(text, Usage(number, number + 1, 0.0), number % 2 == 0) for number, text in enumerate(awkward)]
    path = tmp_path / "r.jsonl"
    model = ScriptedModel(*answers)
    recorder = Recorder(model, path)
    assert (recorder.name, recorder.concurrency) == ("scripted", 3)
    names = ["a", "b", "a", "b", "c", "a", "c"]
    prompts = [make_prompt(qualname=name) for name in names]

    async def run(source):
        replies = [await source.reply(prompt, SAMPLING) for prompt in prompts]
        await source.close()
        return replies

    said = asyncio.run(run(recorder))
    assert model.closed
    assert asyncio.run(run(ReplayModel.from_file(path))) == said
    assert [json.loads(row)["target"] for row in path.read_text().splitlines()] == [f"pkg/size.py::{n}" for n in names]


def test_each_reply_is_in_the_file_as_soon_as_it_is_given(tmp_path):
    async def run():
        recorder = Recorder(ScriptedModel(("x", Usage(), False)), tmp_path / "r")
        await recorder.reply(make_prompt(), SAMPLING)
        written = (tmp_path / "r").read_text()
        assert await recorder.reply(make_prompt(), SAMPLING) is None
        await recorder.close()
        return written

    written = asyncio.run(run())
    assert json.loads(written)["reply"] == "x"
    assert (tmp_path / "r").read_text() == written


def test_a_new_recording_takes_the_place_of_an_old_one(tmp_path):
    write(tmp_path / "r", line(None, "old"))
    asyncio.run(Recorder(ScriptedModel(), tmp_path / "r").close())
    assert (tmp_path / "r").read_text() == ""


def test_a_recording_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be written"):
        Recorder(ScriptedModel(), tmp_path / "absent" / "r")


def test_a_disk_that_is_full_is_an_error():
    async def run():
        recorder = Recorder(ScriptedModel(("x", Usage(), False)), Path("/dev/full"))
        try:
            await recorder.reply(make_prompt(), SAMPLING)
        finally:
            await recorder.close()

    with pytest.raises(UsageError, match="make room"):
        asyncio.run(run())
