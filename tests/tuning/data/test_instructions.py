from __future__ import annotations

import importlib
import json

import pytest
from click.testing import CliRunner
from huggingface_hub import DatasetCard
from huggingface_hub.errors import HTTPError

from llm_testgen.errors import ModelError, UsageError
from llm_testgen.tuning.cli import tune
from llm_testgen.tuning.data.instructions import as_examples, load_instructions
from llm_testgen.tuning.data.parts import run_instructions
from llm_testgen.tuning.data.pool import Pool

datasets = pytest.importorskip("datasets")
client = importlib.import_module(HTTPError.__module__.partition(".")[0])  # of the hub, whichever it uses

ROWS = [
    {"instruction": "Reverse a list.", "input": "", "output": "x[::-1]"},
    {"instruction": "Reverse this.", "input": "[1, 2]", "output": "[2, 1]"},
    {"instruction": "Say nothing.", "input": "", "output": " "},
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def as_json(folder, rows):
    path = folder / "rows.json"
    path.write_text(json.dumps(rows))
    return path


def as_json_lines(folder, rows):
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def as_parquet(folder, rows):
    path = folder / "rows.parquet"
    datasets.Dataset.from_list(rows).to_parquet(str(path))
    return path


@pytest.mark.parametrize("write", [as_json, as_json_lines, as_parquet])
def test_a_file_of_any_form_gives_conversations(tmp_path, write):
    rows, licence = load_instructions(str(write(tmp_path, ROWS)), "train")
    assert licence == "unknown"
    examples, counts = as_examples(rows, "rows", "MIT")
    assert [[turn.content for turn in one.prompt] for one in examples] == [
        ["Reverse a list."],
        ["Reverse this.\n\n[1, 2]"],
    ]
    assert [one.answer for one in examples] == ["x[::-1]", "[2, 1]"]
    assert {(one.meta.origin, one.meta.project, one.meta.licence) for one in examples} == {
        ("instructions", "rows", "MIT")
    }
    assert counts == {"rows": 3, "row left out: it has no instruction or no output": 1}


def test_a_file_without_the_fields_is_refused_with_those_that_it_has(tmp_path):
    path = as_json_lines(tmp_path, [{"question": "a", "output": "b"}])
    with pytest.raises(UsageError, match=r"has no field instruction; its fields are question, output: pass .* Alpaca"):
        load_instructions(str(path), "train")


@pytest.mark.parametrize("text", ["", "[]"])
def test_an_empty_file_is_refused(tmp_path, text):
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(UsageError, match=r"rows\.json (is empty|cannot be read as a table|has no field)"):
        load_instructions(str(tmp_path / "rows.json"), "train")


def test_an_empty_table_is_refused(tmp_path):
    path = as_parquet(tmp_path, ROWS)
    datasets.Dataset.from_parquet(str(path)).select([]).to_parquet(str(path))
    with pytest.raises(UsageError, match="is empty: pass another data set"):
        load_instructions(str(path), "train")


def test_a_file_that_is_no_table_is_refused(tmp_path):
    (tmp_path / "rows.parquet").write_text("no table")
    with pytest.raises(UsageError, match="cannot be read as a table"):
        load_instructions(str(tmp_path / "rows.parquet"), "train")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        load_instructions(str(tmp_path / "rows.json"), "train")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("no route"),
        datasets.exceptions.DatasetNotFoundError("no such"),
        RuntimeError("closed"),
        client.ReadError("lost"),
    ],
)
def test_a_hub_that_gives_nothing_is_told_with_what_to_do(monkeypatch, error):
    def refuse(*_args, **_more):
        raise error

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(ModelError, match=rf"the hub does not give a/b \({error}\): .*or pass a local file"):
        load_instructions("a/b", "train")


def test_a_split_that_is_not_there_is_told(monkeypatch):
    def refuse(*_args, **_more):
        message = "Unknown split \"x\". Should be one of ['train']."
        raise ValueError(message)

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(UsageError, match=r"Unknown split \"x\".* pass another --split"):
        load_instructions("a/b", "x")


def test_code_keeps_its_indentation_and_loses_what_is_blank_around_it():
    row = {"instruction": "Fill in.\n", "input": "\n    if x:\n", "output": " \r\n\n    x = 1\n\n    return x \n\n"}
    (made,), _ = as_examples([row], "rows", "MIT")
    assert made.answer == "    x = 1\n\n    return x"
    assert made.prompt[0].content == "Fill in.\n\n    if x:"


class Hub:
    """Gives rows for any name, and a card."""

    def __init__(self, monkeypatch, card=""):
        self.card = card
        self.asked = []
        monkeypatch.setattr(datasets, "load_dataset", self.rows)
        monkeypatch.setattr(DatasetCard, "load", self.load)

    def rows(self, _name, *, split):
        return datasets.Dataset.from_list([{**row, "output": f"{split} {row['output']}"} for row in ROWS])

    def load(self, name):
        self.asked.append(name)
        if isinstance(self.card, Exception):
            raise self.card
        return DatasetCard(self.card)


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n# Rows\n", "apache-2.0"),
        ("---\nlicense:\n- mit\n- cc-by-4.0\n---\n", "mit and cc-by-4.0"),
        ("---\nlicense: other\nlicense_name: my-own\n---\n", "my-own"),
        ("---\nlicense: other\n---\n", "unknown"),
        ("---\nlanguage: en\n---\n", "unknown"),
        ("---\nlicense: [\n---\n", "unknown"),
        ("---\n- no table\n---\n", "unknown"),
        (client.ReadError("lost"), "unknown"),
        (OSError("there is no card"), "unknown"),
    ],
)
def test_the_licence_of_a_data_set_of_the_hub_is_that_of_its_card(monkeypatch, card, licence):
    hub = Hub(monkeypatch, card)
    assert load_instructions("a/b", "train")[1] == licence
    assert hub.asked == ["a/b"]


def test_the_card_of_a_folder_is_in_it(monkeypatch, tmp_path):
    hub = Hub(monkeypatch)
    load_instructions(str(tmp_path), "train")
    assert hub.asked == [tmp_path / "README.md"]


def test_data_sets_of_one_name_are_parts_of_their_own(monkeypatch, tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        run_instructions(tmp_path / "data", str(as_json(tmp_path / name, ROWS)), "train", "MIT")
    Hub(monkeypatch)
    for named, split in (("a/b", "train"), ("a/b", "test"), ("a-b", "train"), ("a/b", "train")):
        run_instructions(tmp_path / "data", named, split, "MIT")
    reports = [report for report, _ in Pool(tmp_path / "data").parts()]
    assert sorted(report.project for report in reports) == ["a-b", "a/b", "a/b", "rows", "rows"]


def test_the_command_writes_a_part_and_says_that_the_licence_is_lacking(tmp_path):
    path, out = str(as_json_lines(tmp_path, ROWS)), str(tmp_path / "data")
    done = CliRunner().invoke(tune, ["data", "instructions", path, "--out", out])
    assert done.exit_code == 0, done.output
    assert "2 examples of rows" in done.output
    assert "the licence of rows is not known: join leaves it out, unless you pass --licence here" in done.output
    arguments = ["data", "join", "--out", out, "--work", str(tmp_path), "--allow-uncompared", "--validation", "0.5"]
    joined = CliRunner().invoke(tune, arguments)
    assert "0 examples to train on, 0 to validate on" in joined.output
    CliRunner().invoke(tune, ["data", "instructions", path, "--out", out, "--licence", "MIT"])
    joined = CliRunner().invoke(tune, arguments)
    assert "1 examples to train on, 1 to validate on" in joined.output
