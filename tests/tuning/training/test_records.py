from __future__ import annotations

import json

import pytest

from llm_testgen.errors import UsageError
from llm_testgen.tuning.training.records import read_records

GOOD = {
    "prompt": [{"role": "user", "content": "a"}],
    "completion": [{"role": "assistant", "content": "b"}],
    "meta": {"any": "thing"},
}


def write(path, *records):
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in records))
    return path


def test_a_folder_has_a_part_to_validate_on_and_a_file_has_none(tmp_path):
    write(tmp_path / "train.jsonl", GOOD, "", GOOD)
    alone = read_records(tmp_path / "train.jsonl")
    assert [(one.turns, one.answer) for one in alone.train] == [(({"role": "user", "content": "a"},), "b")] * 2
    assert alone.train[1].where.endswith("train.jsonl, line 3")
    assert read_records(tmp_path).digest == alone.digest
    write(tmp_path / "validation.jsonl", GOOD)
    both = read_records(tmp_path)
    assert (len(both.train), len(both.validation)) == (2, 1)
    assert both.digest != alone.digest


def test_what_an_answer_is_begun_with_is_read_where_it_is_said(tmp_path):
    answer = [{"role": "assistant", "content": "def test_a(): ..."}]
    path = write(tmp_path / "some.jsonl", GOOD, GOOD | {"completion": answer, "prefill": "def test_"})
    assert [one.prefill for one in read_records(path).train] == ["", "def test_"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{", "line 2: Invalid JSON"),
        ({"prompt": GOOD["prompt"]}, "line 2: completion: Field required"),
        (GOOD | {"prompt": []}, "line 2: prompt: "),
        (GOOD | {"prompt": [{"role": "robot", "content": "a"}]}, r"line 2: prompt\.0\.role: "),
        (GOOD | {"completion": [{"role": "user", "content": "b"}]}, r"line 2: completion\.0\.role: "),
        (GOOD | {"completion": [{"role": "assistant", "content": ""}]}, r"line 2: completion\.0\.content: "),
        ('{"prompt": "\\ud800"}', "line 2: "),
        (GOOD | {"prefill": "c"}, "line 2: .*the completion does not begin with the prefill"),
        (GOOD | {"prefill": "b"}, "line 2: .*the completion holds no more than the prefill"),
    ],
)
def test_a_wrong_line_is_told_by_its_number(tmp_path, bad, said):
    with pytest.raises(UsageError, match=said):
        read_records(write(tmp_path / "some.jsonl", GOOD, bad))


def test_what_is_not_there_or_empty_is_told_with_what_to_do(tmp_path):
    with pytest.raises(UsageError, match=r"holds no train\.jsonl: make it with `llm-testgen tune data join"):
        read_records(tmp_path)
    with pytest.raises(UsageError, match=r"cannot be read .* pass --data"):
        read_records(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="holds no examples: make them with"):
        read_records(write(tmp_path / "train.jsonl", "", ""))
    (tmp_path / "raw.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(UsageError, match="line 1: "):
        read_records(tmp_path / "raw.jsonl")
