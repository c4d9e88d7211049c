from __future__ import annotations

import dataclasses

import pytest

from llm_testgen.errors import UsageError
from llm_testgen.tuning.mixtures.config import AdaMoLEConfig, MoLEConfig, Selection


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"experts": 0}, "the number of experts is 0: make it a number from 1 to 256"),
        ({"rank": 0}, "the rank is 0"),
        ({"alpha": 0.0}, "alpha is 0"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"dropout": 1.0}, "the dropout is 1: make it a number from 0 to below 1"),
        ({"balance": -1.0}, "the weight of the balance loss is -1"),
        ({"target_modules": ()}, "no target modules"),
        ({"target_modules": ("q_proj", "")}, "an empty name"),
        ({"threshold": 0.0}, "the highest threshold is 0"),
        ({"threshold": 1.5}, "the highest threshold is 1.5"),
        ({"selection": Selection.FIXED, "threshold": 0.3}, "a fixed threshold is 0.3: make it a number from 0 to 1/4"),
        ({"selection": Selection.TOP_K, "top_k": 5}, "top_k is 5: make it a number from 1 to the 4 experts"),
    ],
)
def test_settings_of_an_adamole_that_are_out_of_range_are_refused(values, message):
    with pytest.raises(UsageError, match=message):
        AdaMoLEConfig(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 0.0}, "the temperature is 0"),
        ({"dropout": -0.1}, "the dropout is -0.1"),
        ({"balance": float("inf")}, "the weight of the balance loss is inf"),
    ],
)
def test_settings_of_a_mole_that_are_out_of_range_are_refused(values, message):
    with pytest.raises(UsageError, match=message):
        MoLEConfig(**values)


def test_the_threshold_is_at_most_one_nth_unless_it_is_said_otherwise():
    assert AdaMoLEConfig(experts=8).highest_threshold == 0.125
    assert AdaMoLEConfig(experts=8, threshold=0.2).highest_threshold == 0.2


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MoLEConfig().balance = 2.0
