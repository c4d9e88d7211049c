from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest
from tests.edges.fake_openai import Answer, FakeOpenAI, completion

from llm_testgen.bench.pulls import serving
from llm_testgen.bench.pulls.serving import FILES, ServingRecord, is_whole, known_records, measure, serving_table
from llm_testgen.edges.local import LocalModel
from llm_testgen.edges.models import Service
from llm_testgen.errors import ModelError, UsageError

TIMED = {"timings": {"prompt_per_second": 200.5, "predicted_per_second": 20.0}}


class Started:
    """A model that a server of the test's own is."""

    def __init__(self, name, url, closed):
        self.name, self.service, self._closed = name, Service(name, url, "the-key"), closed

    def peak_memory(self):
        return 700_000_000

    async def close(self):
        self._closed.append(self.name)


def measured(monkeypatch, tmp_path, url, rounds=2):
    closed = []
    weights = tmp_path / "m.gguf"
    weights.write_bytes(bytes(5_000_000))

    async def started(model, _environ, _progress):
        return Started(model.name, url, closed)

    monkeypatch.setattr(serving, "open_local", started)
    models = {name: LocalModel(name, weights) for name in ("base", "base+tuned")}
    try:
        asyncio.run(measure(models, {}, tmp_path / "serving.jsonl", lambda _: None, rounds))
    finally:
        assert closed
    return closed


def record(model, writing, run="r", **more):
    values = {"size": 491_000_000, "memory": 800_000_000, "load": 2.0, "reading": 300.0} | more
    return ServingRecord(model=model, run=run, writing=writing, **values)


def test_models_are_served_in_turns_and_what_was_seen_is_kept(monkeypatch, tmp_path):
    with FakeOpenAI.scripted(Answer(body=json.dumps(TIMED).encode())) as fake:
        closed = measured(monkeypatch, tmp_path, fake.url)
    assert closed == ["base", "base+tuned"] * 2
    found = known_records(tmp_path / "serving.jsonl", ("base", "base+tuned"))
    assert [one.model for one in found] == closed
    assert len({one.run for one in found}) == 1
    assert {(one.size, one.memory, one.reading, one.writing) for one in found} == {
        (5_000_000, 700_000_000, 200.5, 20.0)
    }
    request = fake.requests[0]
    assert request.headers["authorization"] == "Bearer the-key"
    assert (request.body["ignore_eos"], request.body["temperature"]) == (True, 0)


def test_a_model_that_gives_no_timings_is_an_error_and_is_closed(monkeypatch, tmp_path):
    with FakeOpenAI.scripted(completion("x")) as fake, pytest.raises(ModelError, match="base cannot be measured"):
        measured(monkeypatch, tmp_path, fake.url)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ModelError, match="refused"):
            measured(monkeypatch, tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}")


def test_the_table_has_medians_and_compares_speeds_with_the_first():
    table = serving_table(
        [record("base", writing) for writing in (10, 40, 20)]
        + [record("base+tuned", writing, memory=None) for writing in (8, 10, 50)]
    )
    assert table.title.endswith("median of 3")
    assert table.rows == [
        ("base", "491", "800", "2.0", "300", "20.0", "1.00"),
        ("base+tuned", "491", "-", "2.0", "300", "10.0", "0.50"),
    ]
    assert serving_table([]) is None


def test_only_what_was_taken_in_turns_is_compared():
    table = serving_table([record("base", 99, run="old"), record("base", 10), record("base+tuned", 5)])
    assert [row[-1] for row in table.rows] == ["1.00", "0.50"]


def test_a_run_that_was_stopped_does_not_take_the_place_of_a_whole_one():
    whole = [record("base", 10), record("base+tuned", 5)]
    table = serving_table([*whole, record("base", 99, run="stopped")])
    assert [row[-2] for row in table.rows] == ["10.0", "5.0"]
    rounds = [*whole, *whole, *whole]
    once = [record("base", 99, run="stopped"), record("base+tuned", 99, run="stopped")]
    table = serving_table([*rounds, *once, record("base", 99, run="stopped")])
    assert table.title.endswith("median of 3")
    assert [row[-2] for row in table.rows] == ["10.0", "5.0"]
    again = [record("base", 20, run="again"), record("base+tuned", 15, run="again")]
    assert [row[-2] for row in serving_table([*whole, *again]).rows] == ["20.0", "15.0"]


def test_a_measurement_is_whole_once_all_rounds_of_all_models_were_taken_in_turns():
    models = ("base", "base+tuned")
    rounds = [record(model, 10) for _ in range(serving.ROUNDS) for model in models]
    assert is_whole(rounds, models)
    assert is_whole(rounds, ())
    assert not is_whole(rounds[:-1], models)
    assert not is_whole(rounds, (*models, "other"))
    assert not is_whole([], models)
    # Two parts do not make one measurement.
    parts = [*rounds[:-1], *(record(model, 10, run="again") for model in models)]
    assert not is_whole(parts, models)


def test_measurements_of_other_models_are_left_alone_and_other_files_refused(monkeypatch, tmp_path):
    path = tmp_path / "serving.jsonl"
    monkeypatch.setattr(serving, "RECORDED", tmp_path / "shipped.jsonl")
    assert known_records(path, ("base",)) == []
    FILES.add(tmp_path / "shipped.jsonl", [record("base", 10)])
    assert [one.writing for one in known_records(path, ("base",))] == [10]
    assert known_records(path, ("base", "base+tuned")) == []
    FILES.add(path, [record("x", 1)])
    assert [one.writing for one in known_records(path, ("base",))] == [10]
    FILES.add(path, [record("base", 20)])
    assert [one.writing for one in known_records(path, ("base",))] == [20]
    Path(path).write_text("[]\n")
    with pytest.raises(UsageError, match="holds no measurements of serving"):
        known_records(path, ("base",))
