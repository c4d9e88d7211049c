import pytest

from parcel.labels import format_name
from parcel.pricing import price
from parcel.sizes import Parcel


@pytest.fixture
def small_box():
    return Parcel(20, 10, 5, weight=1.5)


def test_volume_is_in_litres(small_box):
    assert small_box.volume == 1.0


def test_sizes_must_be_positive():
    with pytest.raises(ValueError):
        Parcel(20, 0, 5, weight=1)


def test_price_grows_with_weight(small_box):
    assert price(small_box) == 580


def test_last_name_is_in_capitals():
    assert format_name("Ada ", "Lovelace") == "Ada LOVELACE"
