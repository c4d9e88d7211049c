from __future__ import annotations

import pytest

from llm_testgen.errors import UsageError
from llm_testgen.tuning.training.settings import PRESETS, Precision, changed, settings_of


def test_the_preset_of_the_thesis_has_its_values():
    thesis = settings_of("thesis", {})
    assert (thesis.rank, thesis.alpha, thesis.dropout, thesis.targets) == (64, 32, 0.05, "attention")
    assert (thesis.learning_rate, thesis.warmup, thesis.gradient_norm) == (5e-5, 0.005, 0.5)
    assert (thesis.batch, thesis.accumulation, thesis.batch * thesis.accumulation) == (16, 8, 128)
    assert (thesis.steps, thesis.length, thesis.grouped, thesis.precision) == (100, 512, True, Precision.FLOAT16)


def test_the_preset_for_processors_is_bound_by_time():
    cpu = settings_of("cpu", {})
    assert (cpu.rank, cpu.alpha, cpu.targets, cpu.length) == (16, 32, "all-linear", 1024)
    assert cpu.batch * cpu.accumulation == 8
    assert (cpu.steps, cpu.minutes) == (0, 60)


def test_single_settings_override_a_preset():
    made = settings_of("cpu", {"rank": 3, "minutes": 0, "dropout": None})
    assert (made.rank, made.minutes, made.dropout) == (3, 0, 0.0)
    assert changed(made, {"seed": 7}).rank == 3
    assert PRESETS["cpu"].rank == 16


def test_an_unknown_preset_is_told_with_those_that_are_there():
    with pytest.raises(UsageError, match="no preset fast: the presets are thesis, cpu"):
        settings_of("fast", {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rank": 0}, "--rank: input should be greater than or equal to 1"),
        ({"learning_rate": 2}, "--learning-rate: "),
        ({"dropout": 1.0}, "--dropout: "),
        ({"load_bits": 5}, "--load-bits: "),
        ({"targets": ()}, "--targets: "),
    ],
)
def test_a_value_out_of_its_range_is_told_with_its_option(change, said):
    with pytest.raises(UsageError, match=said):
        settings_of("cpu", change)
