from __future__ import annotations

import math
import sys

import pytest
from click.testing import CliRunner

np = pytest.importorskip("numpy")
gguf = pytest.importorskip("gguf")
pytest.importorskip("matplotlib")

from llm_testgen.cli import main  # noqa: E402
from llm_testgen.errors import UsageError  # noqa: E402
from llm_testgen.tuning.quantising import files  # noqa: E402
from llm_testgen.tuning.quantising.integers import Kind, Per, Rounding  # noqa: E402
from llm_testgen.tuning.quantising.sources import weight_sources  # noqa: E402
from llm_testgen.tuning.quantising.study import (  # noqa: E402
    Draw,
    Source,
    Study,
    count,
    random_sources,
    relative_errors,
    study,
)


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["quantize", "study", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def random_rows():
    return tuple(study(random_sources(8), (2, 4, 8), (32, 128), lambda: None))


def rows_of(rows, **wanted):
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """Two layers of weights with a known spread, one of them already quantised."""
    path = tmp_path_factory.mktemp("model") / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    rng = np.random.default_rng(0)
    for name, rows in {
        "token_embd.weight": 50,
        "output.weight": 50,
        "blk.0.attn_q.weight": 32,
        "blk.0.attn_output.weight": 32,
        "blk.0.ffn_up.weight": 48,
        "blk.0.ffn_gate_inp.weight": 4,
    }.items():
        values = rng.normal(size=(rows, 64)).astype(np.float32)
        kind = gguf.GGMLQuantizationType.Q8_0 if name == "blk.0.ffn_up.weight" else None
        writer.add_tensor(name, values if kind is None else gguf.quantize(values, kind), raw_dtype=kind)
    writer.add_tensor("blk.0.attn_norm.weight", np.ones(64, np.float32))
    writer.add_tensor("blk.0.attn_q.bias", np.ones(32, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_relative_error_is_that_of_the_numbers_that_are_not_zero():
    values = np.array([[0.0, 1.0, -2.0, 4.0]], np.float32)
    returned = np.array([[0.5, 1.1, -1.0, 4.0]])
    median, mean, norm = relative_errors(values, returned)
    assert median == pytest.approx(10.0)
    assert mean == pytest.approx((10 + 50 + 0) / 3)
    assert norm == pytest.approx(100 * math.sqrt((0.25 + 0.01 + 1) / 21))
    assert relative_errors(np.zeros((1, 3), np.float32), np.zeros((1, 3))) == (0.0, 0.0, 0.0)


def test_each_bit_halves_the_error_and_rounding_to_the_nearest_halves_it_too(random_rows):
    for source in ("random, normal", "random, uniform"):
        for kind in Kind:
            found = {
                (row.bits, row.rounding): row for row in rows_of(random_rows, source=source, kind=kind, per=Per.TENSOR)
            }
            assert found[4, Rounding.NEAREST].norm.value / found[8, Rounding.NEAREST].norm.value == pytest.approx(
                17, rel=0.15
            )
            for bits in (4, 8):
                floor, nearest = found[bits, Rounding.FLOOR], found[bits, Rounding.NEAREST]
                assert floor.norm.value / nearest.norm.value == pytest.approx(2, rel=0.05)
                assert floor.median.value / nearest.median.value == pytest.approx(2, rel=0.1)


def test_smaller_groups_err_less_and_take_more_bits(random_rows):
    by_group = {
        row.columns: row
        for row in rows_of(
            random_rows, source="random, normal", bits=4, kind=Kind.ASYMMETRIC, rounding=Rounding.NEAREST
        )
    }
    assert by_group[32].norm.value < by_group[128].norm.value < by_group[0].norm.value
    assert by_group[32].bits_per_number > by_group[128].bits_per_number > by_group[0].bits_per_number > 4


def test_near_zero_the_error_is_at_most_all_to_the_nearest_and_without_limit_by_the_floor():
    values = np.array([[-1.0, -1e-4, 1e-4, 1.0]], np.float32)
    source = Source("by hand", (Draw(values, (-1.0, 1.0)),))
    by_rounding = {row.rounding: row for row in study([source], (4,), (), lambda: None) if row.kind is Kind.SYMMETRIC}
    assert by_rounding[Rounding.NEAREST].mean.value == pytest.approx(50)
    assert by_rounding[Rounding.FLOOR].mean.value > 10_000
    assert by_rounding[Rounding.FLOOR].mean.low is None


def test_intervals_hold_the_mean_of_the_draws_and_are_the_same_each_time(random_rows):
    again = tuple(study(random_sources(8), (2, 4, 8), (32, 128), lambda: None))
    assert again == random_rows
    for row in random_rows:
        assert row.draws == 8
        assert row.values == 8_000
        for figure in (row.median, row.mean, row.norm):
            assert figure.low <= figure.value <= figure.high


def test_it_has_as_many_rows_as_were_counted(random_rows):
    assert len(random_rows) == count(random_sources(8), (2, 4, 8), (32, 128)) == 2 * 3 * 3 * 2 * 2


def test_weights_are_told_apart_by_the_kind_of_layer(model_file):
    sources, note = weight_sources(str(model_file), 1_000)
    assert {source.name: len(source.draws) for source in sources} == {"attention": 2, "MLP": 1, "embeddings": 2}
    assert "quantised before (Q8_0)" in note
    assert all(draw.values.shape == (15, 64) for source in sources for draw in source.draws)


def test_rows_are_drawn_from_the_weight_and_its_whole_range_is_known(model_file):
    (attention,) = (one for one in weight_sources(str(model_file), 640)[0] if one.name == "attention")
    weights = {tensor.name: files.numbers(tensor) for tensor in files.open_model(model_file).tensors}
    for draw, name in zip(attention.draws, ("blk.0.attn_output.weight", "blk.0.attn_q.weight"), strict=True):
        whole = weights[name]
        assert draw.extent == (float(whole.min()), float(whole.max()))
        assert all((whole == row).all(axis=1).any() for row in draw.values)
        assert len(np.unique(draw.values, axis=0)) == 10


def test_a_large_sample_is_the_whole_weight_also_in_chunks(model_file, monkeypatch):
    monkeypatch.setattr(files, "NUMBERS_AT_ONCE", 64 * 7)
    for source in weight_sources(str(model_file), 10**9)[0]:
        assert {len(draw.values) for draw in source.draws} <= {32, 48, 50}


def test_weights_of_transformers_are_read_as_those_of_a_file(tiny):
    sources, note = weight_sources(str(tiny.folder), 10**9)
    layers = 2
    tied = tiny.model.config.tie_word_embeddings
    assert {source.name: len(source.draws) for source in sources} == {
        "attention": 4 * layers,
        "MLP": 3 * layers,
        "embeddings": 1 if tied else 2,
    }
    assert note == ""


def test_a_model_without_layers_is_refused(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_tensor("other.weight", np.ones((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UsageError, match="name a language model"):
        weight_sources(str(tmp_path / "m.gguf"), 10)


def test_the_command_writes_results_a_page_and_plots(model_file, tmp_path):
    out = tmp_path / "study"
    said = run(model_file, "--out", out, "--bits", 4, "--bits", 8, "--seeds", 3, "--markdown")
    assert "attention: 4,096 numbers in 2 draws" in said
    stored = Study.model_validate_json((out / "study.json").read_text())
    assert {row.source for row in stored.rows} == {
        "random, normal",
        "random, uniform",
        "attention",
        "MLP",
        "embeddings",
    }
    assert {row.bits for row in stored.rows} == {4, 8}
    assert stored.model == "model.gguf"
    page = (out / "study.md").read_text()
    assert page.count("\n## ") == 5
    assert "quantised before (Q8_0)" in page
    row = next(row for row in stored.rows if row.source == "MLP" and row.per is Per.CHANNEL)
    assert f"| channel | {row.bits} | {row.kind} | {row.rounding} | " in page
    for name in ("random-normal", "random-uniform", "attention", "mlp", "embeddings"):
        assert (out / f"error-{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (out / f"error-{name}.svg").read_text()
    before = (out / "error-mlp.svg").read_bytes()
    run(model_file, "--out", out, "--bits", 4, "--bits", 8, "--seeds", 3)
    assert (out / "error-mlp.svg").read_bytes() == before


@pytest.mark.parametrize("measure", ["mean", "norm"])
def test_another_figure_may_be_looked_at(tmp_path, measure):
    assert measure.replace("norm", "||x||") in run("--out", tmp_path, "--bits", 4, "--seeds", 2, "--measure", measure)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be made" in run("--out", tmp_path / "file" / "out", code=2)
    assert "is a file" in run("--out", tmp_path / "file", code=2)


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "m.gguf").write_text("no")
    assert "is no GGUF file" in run(tmp_path / "m.gguf", "--out", tmp_path, code=2)


def test_the_extra_is_asked_for_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    assert "pip install 'llm-testgen[tune]'" in " ".join(run("--out", tmp_path, code=2).split())
