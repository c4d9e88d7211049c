from __future__ import annotations

import json

import pytest

from llm_testgen.errors import UsageError
from llm_testgen.records import Message
from llm_testgen.tuning.data.examples import About, Origin, as_lines, make_example, read_examples
from llm_testgen.tuning.data.pool import PartReport, Pool, total

ABOUT = About(origin=Origin.MINED, project="box", version="1.0", licence="MIT", target="box.py::area", test="t")
MESSAGES = (Message("system", "You test."), Message("user", "Test `area`."))


def report(name="mined-box-1.0", key="k", **more):
    return PartReport(name=name, key=key, origin=Origin.MINED, project="box", licence="MIT", examples=1, **more)


def test_an_example_is_what_the_trainer_takes():
    line = json.loads(as_lines([make_example(MESSAGES, "```python\nx\n```", ABOUT)]))
    assert line["prompt"] == [{"role": "system", "content": "You test."}, {"role": "user", "content": "Test `area`."}]
    assert line["completion"] == [{"role": "assistant", "content": "```python\nx\n```"}]
    assert line["prefill"] == ""
    assert list(line["meta"]) == ["origin", "project", "version", "licence", "target", "test", "author", "digest"]


def test_what_an_answer_is_begun_with_is_kept_where_it_does_begin_so():
    begun = make_example(MESSAGES, "```python\nx\n```", ABOUT, "```python\n")
    assert begun.prefill == json.loads(as_lines([begun]))["prefill"] == "```python\n"
    assert make_example(MESSAGES, "x", ABOUT, "```python\n").prefill == ""


def test_a_digest_is_of_conversation_and_answer_alone():
    one = make_example(MESSAGES, "a", ABOUT)
    assert one.meta.digest == make_example(MESSAGES, "a", ABOUT.model_copy(update={"project": "other"})).meta.digest
    assert one.meta.digest != make_example(MESSAGES, "b", ABOUT).meta.digest
    assert one.meta.digest != make_example(MESSAGES[1:], "a", ABOUT).meta.digest


def test_examples_are_read_as_they_were_written(tmp_path):
    examples = (make_example(MESSAGES, "ünï \ud800\u2028", ABOUT), make_example(MESSAGES, "b", ABOUT))
    (tmp_path / "x.jsonl").write_text(as_lines(examples), encoding="utf-8")
    assert read_examples(tmp_path / "x.jsonl") == examples


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(UsageError, match="holds no examples"):
        read_examples(tmp_path / "x.jsonl")
    with pytest.raises(UsageError, match="cannot be read"):
        read_examples(tmp_path / "y.jsonl")


def test_a_part_is_known_by_what_it_was_made_with(tmp_path):
    pool = Pool(tmp_path / "data")
    assert pool.known("mined-box-1.0", "k") is None
    pool.add(report(), [make_example(MESSAGES, "a", ABOUT)])
    assert Pool(tmp_path / "data").known("mined-box-1.0", "k") == report()
    assert pool.known("mined-box-1.0", "other") is None
    ((found, examples),) = pool.parts()
    assert (found, len(examples)) == (report(), 1)


def test_a_part_that_was_cut_off_is_not_there(tmp_path):
    pool = Pool(tmp_path)
    pool.write("parts/mined-box-1.0.jsonl", as_lines([make_example(MESSAGES, "a", ABOUT)]))
    assert pool.known("mined-box-1.0", "k") is None
    assert pool.parts() == ()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="pass another --out"):
        Pool(tmp_path / "file")


def test_counts_are_added_up_the_largest_first():
    assert list(total([{"a": 1, "b": 2}, {"a": 4}]).items()) == [("a", 5), ("b", 2)]
