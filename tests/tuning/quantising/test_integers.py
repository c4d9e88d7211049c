from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

np = pytest.importorskip("numpy")

from llm_testgen.errors import UsageError  # noqa: E402 - after the check for NumPy
from llm_testgen.tuning.quantising.integers import (  # noqa: E402
    Kind,
    Per,
    Quantised,
    Rounding,
    Scheme,
    dequantise,
    encode,
    pack,
    quantise,
    unpack,
)

SOME = settings(max_examples=40, deadline=None)
BITS = st.integers(2, 8)
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
MATRICES = st.tuples(st.integers(1, 4), st.integers(1, 9)).flatmap(
    lambda shape: st.lists(NUMBERS, min_size=math.prod(shape), max_size=math.prod(shape)).map(
        lambda flat: np.array(flat, np.float32).reshape(shape)
    )
)


@st.composite
def schemes(draw):
    per = draw(st.sampled_from(Per))
    columns = draw(st.integers(1, 10)) if per is Per.GROUP else 0
    return Scheme(draw(BITS), draw(st.sampled_from(Kind)), draw(st.sampled_from(Rounding)), per, columns)


def scale_of_each(made: Quantised):
    """The scale that each number has, in the shape of the numbers."""
    codes = made.codes
    if made.scheme.per is Per.TENSOR:
        return np.full(codes.shape, made.scales[0, 0], np.float64)
    width = made.scheme.columns or codes.shape[1]
    return np.repeat(made.scales, width, axis=1)[:, : codes.shape[1]].astype(np.float64)


def by_the_formulas(row, scheme):
    """One scale for a list of numbers, one by one and in exact fractions; not for constants."""
    row = [Fraction(x) for x in row]
    low, high, n = min(row), max(row), scheme.bits
    turn = math.floor if scheme.rounding is Rounding.FLOOR else round
    if scheme.kind is Kind.ASYMMETRIC:
        s = (high - low) / (2**n - 1)
        z = turn(-low / s)
        return [float(s * (min(max(turn(x / s) + z, 0), 2**n - 1) - z)) for x in row], float(s)
    s = max(abs(low), abs(high)) / (2 ** (n - 1) - 1)
    most = 2 ** (n - 1) - 1
    return [float(s * min(max(turn(x / s), -most), most)) for x in row], float(s)


@SOME
@given(MATRICES, schemes())
@example(np.array([[3.4e38, -3.4e38]], np.float32), Scheme(2, Kind.ASYMMETRIC))
@example(np.array([[1e-45, 3e-45]], np.float32), Scheme(8, Kind.ASYMMETRIC))
@example(np.array([[1.0, 1.0000001]], np.float32), Scheme(8, Kind.ASYMMETRIC, Rounding.FLOOR))
def test_the_error_is_at_most_a_step_by_the_floor_and_half_a_step_by_the_nearest(values, scheme):
    made = quantise(values, scheme)
    steps = 1.0 if scheme.rounding is Rounding.FLOOR else 0.5
    allowed = steps * scale_of_each(made) * (1 + 1e-4)
    assert (np.abs(values.astype(np.float64) - dequantise(made)) <= allowed).all()


@SOME
@given(MATRICES, schemes())
def test_integers_stay_within_their_bits(values, scheme):
    codes = quantise(values, scheme).codes.astype(int)
    most = 2 ** (scheme.bits - 1) - 1 if scheme.kind is Kind.SYMMETRIC else 2**scheme.bits - 1
    least = -most if scheme.kind is Kind.SYMMETRIC else 0
    assert codes.shape == values.shape
    assert codes.min() >= least
    assert codes.max() <= most


@SOME
@given(MATRICES, schemes())
def test_what_came_back_becomes_the_same_integers_again(values, scheme):
    made = quantise(values, scheme)
    returned = dequantise(made)
    assume((np.abs(returned) <= np.finfo(np.float32).max).all())  # the grid may end beyond the last float
    exact = returned.astype(np.float32) == returned  # only then is what comes back a number that can be given
    again = encode(returned, scheme, made.scales, made.zeros)
    assert (again[exact] == made.codes[exact]).all()


@SOME
@given(MATRICES, schemes())
def test_packing_keeps_the_integers_and_takes_as_many_bits_as_they_have(values, scheme):
    made = quantise(values, scheme)
    packed = pack(made)
    assert len(packed) == math.ceil(values.size * scheme.bits / 8)
    assert (unpack(packed, values.shape, scheme) == made.codes).all()


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("bits", range(2, 9))
def test_it_is_what_the_formulas_say(bits, rounding, kind):
    values = np.random.default_rng(bits).normal(size=(3, 50)).astype(np.float32)
    scheme = Scheme(bits, kind, rounding, Per.GROUP, 20)
    made = quantise(values, scheme)
    for row in range(3):
        for group, start in enumerate((0, 20, 40)):
            given_numbers = [float(x) for x in values[row, start : start + 20]]
            expected, scale = by_the_formulas(given_numbers, scheme)
            assert made.scales[row, group] == pytest.approx(scale, rel=1e-6)
            found = dequantise(made)[row, start : start + 20]
            assert found == pytest.approx(np.array(expected), rel=1e-6, abs=1e-6 * scale)


@SOME
@given(MATRICES, BITS, st.sampled_from(Rounding))
def test_asymmetric_integers_reach_both_ends_of_the_range(values, bits, rounding):
    assume(float(values.max()) > float(values.min()))
    made = quantise(values, Scheme(bits, Kind.ASYMMETRIC, rounding))
    codes, flat = made.codes.reshape(-1).astype(int), values.reshape(-1)
    assert codes[flat.argmin()] <= 1
    assert codes[flat.argmax()] >= 2**bits - 3
    returned = dequantise(made).reshape(-1)
    for end in (flat.argmin(), flat.argmax()):
        assert abs(returned[end] - float(flat[end])) <= float(made.scales[0, 0]) * (1 + 1e-4)


@SOME
@given(MATRICES, st.sampled_from(Kind), st.sampled_from(Rounding), BITS, st.integers(1, 9))
def test_a_scale_for_each_group_is_never_worse_at_most_than_one_for_the_tensor(values, kind, rounding, bits, columns):
    whole = quantise(values, Scheme(bits, kind, rounding))
    groups = quantise(values, Scheme(bits, kind, rounding, Per.GROUP, columns))
    steps = 1.0 if rounding is Rounding.FLOOR else 0.5
    if float(values.max()) > float(values.min()):
        worst = np.abs(values.astype(np.float64) - dequantise(groups)).max()
        assert worst <= steps * float(whole.scales[0, 0]) * (1 + 1e-4)


def test_the_thesis_example_of_four_bits():
    values = np.array([-1.0, 0.0, 0.49, 2.0], np.float32)
    floored = quantise(values, Scheme(4, Kind.ASYMMETRIC, Rounding.FLOOR))
    assert floored.scales[0, 0] == pytest.approx(0.2)
    assert floored.zeros[0, 0] == 5
    assert floored.codes.tolist() == [0, 5, 7, 15]
    nearest = quantise(values, Scheme(4, Kind.SYMMETRIC, Rounding.NEAREST))
    assert nearest.codes.tolist() == [-4, 0, 2, 7]
    assert dequantise(nearest).tolist() == pytest.approx([-8 / 7, 0.0, 4 / 7, 2.0])


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("constant", [0.0, 0.1, -3.5, 1e-45, -3.4028235e38])
def test_a_constant_comes_back_exactly_where_the_range_may_lie_anywhere(constant, rounding, kind):
    values = np.full((2, 3), constant, np.float32)
    returned = dequantise(quantise(values, Scheme(8, kind, rounding)))
    if kind is Kind.ASYMMETRIC or constant == 0.0:
        assert (returned == values).all()
    else:
        assert np.abs(returned - values).max() <= abs(constant) / 127 * 1.001 + 1e-44


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 1e300])
def test_numbers_that_are_none_are_refused(wrong):
    with pytest.raises(UsageError, match=r"infinite, too large for float32 or no numbers"):
        quantise([1.0, wrong], Scheme(8))


@pytest.mark.parametrize("shape", [(0,), (0, 4), (3, 0)])
def test_an_empty_array_is_refused(shape):
    with pytest.raises(UsageError, match="the array is empty"):
        quantise(np.zeros(shape), Scheme(8))


@pytest.mark.parametrize("bits", [1, 9])
def test_other_numbers_of_bits_are_refused(bits):
    with pytest.raises(UsageError, match=f"2 to 8 bits, not {bits}"):
        Scheme(bits)


@pytest.mark.parametrize(("per", "columns"), [(Per.GROUP, 0), (Per.GROUP, -1), (Per.TENSOR, 32), (Per.CHANNEL, 1)])
def test_only_groups_have_columns(per, columns):
    with pytest.raises(UsageError, match="groups need a number of columns"):
        Scheme(4, per=per, columns=columns)


def test_each_row_and_each_group_has_its_scale_and_the_last_group_may_be_narrower():
    values = np.array([[1, 2, 30, 40, 500], [1, 1, 1, 1, 1]], np.float32)
    assert quantise(values, Scheme(8)).scales.shape == (1, 1)
    assert quantise(values, Scheme(8, per=Per.CHANNEL)).scales.shape == (2, 1)
    groups = quantise(values, Scheme(8, Kind.SYMMETRIC, per=Per.GROUP, columns=2))
    assert groups.scales * 127 == pytest.approx(np.array([[2, 40, 500], [1, 1, 1]]))


def test_a_vector_and_a_tensor_of_three_axes_have_their_rows():
    assert quantise(np.arange(5.0), Scheme(8, per=Per.CHANNEL)).scales.shape == (1, 1)
    made = quantise(np.arange(24.0).reshape(2, 3, 4), Scheme(8, per=Per.GROUP, columns=6))
    assert made.scales.shape == (2, 2)
    assert made.codes.shape == (2, 3, 4)
    assert np.abs(dequantise(made) - np.arange(24.0).reshape(2, 3, 4)).max() <= 0.011


def test_a_part_of_a_tensor_has_the_scale_of_the_whole():
    values = np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)
    whole = quantise(values, Scheme(4))
    part = quantise(values[2:4], Scheme(4), (float(values.min()), float(values.max())))
    assert part.scales == whole.scales
    assert (part.codes == whole.codes[2:4]).all()
    with pytest.raises(UsageError, match="that of no tensor"):
        quantise(values, Scheme(4), (0.0, 0.1))
    with pytest.raises(UsageError, match="that of no tensor"):
        quantise(values, Scheme(4, per=Per.CHANNEL), (-9.0, 9.0))


def test_bits_of_a_number_count_scales_and_zero_points():
    around_zero = np.linspace(-1, 1, 128, dtype=np.float32).reshape(1, -1)
    assert quantise(around_zero, Scheme(4, Kind.SYMMETRIC, per=Per.GROUP, columns=32)).bits_per_number == 4 + 32 / 32
    assert quantise(around_zero, Scheme(4, per=Per.CHANNEL)).bits_per_number == 4 + (32 + 4) / 128
    # Far from zero the zero point is no integer of 4 bits.
    assert quantise(around_zero + 100, Scheme(4, per=Per.CHANNEL)).bits_per_number == 4 + (32 + 32) / 128


def test_bytes_of_another_length_are_refused():
    with pytest.raises(UsageError, match="5 integers of 3 bits are not 3 bytes"):
        unpack(b"abc", (5,), Scheme(3))
