"""Numbers as small integers and back, by the formulas of affine quantisation, one scale for many numbers.

Of numbers in [low, high] and with n bits (see Nagel et al., *A White Paper on Neural Network Quantization*, 2021):

- asymmetric: s = (high - low) / (2^n - 1), z = round(-low / s), q = clamp(round(x / s) + z; 0; 2^n - 1), x ~ s (q - z)
- symmetric: s = max(|low|, |high|) / (2^(n-1) - 1), q = clamp(round(x / s); -(2^(n-1) - 1); 2^(n-1) - 1), x ~ s q

``round`` is the floor, or the nearest integer (halves go to the even one). Within the range the error is at most s by
the floor and s / 2 by the nearest. Numbers are taken as float32 and computed with in float64; a scale is kept as
float32, rounded down, so that the floor takes the end of a range to the last integer (which adds less than s / 10,000).

What the formulas leave open: a range of one number c has s = |c|, which gives c back exactly, and zeros have s = 1;
numbers that are infinite or none are refused, and so is an empty array. A range without zero is taken as it is, so the
zero point may be any integer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_testgen.errors import UsageError

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8 | np.int8]

FEWEST_BITS = 2
MOST_BITS = 8
SCALE_BITS = 32
_WIDE_ZERO_BITS = 32


class Kind(StrEnum):
    """Whether the range may lie anywhere, or is centred on zero."""

    SYMMETRIC = "symmetric"
    ASYMMETRIC = "asymmetric"


class Rounding(StrEnum):
    """Which integer stands for a number between two."""

    FLOOR = "floor"
    NEAREST = "nearest"


class Per(StrEnum):
    """What has a scale of its own."""

    TENSOR = "tensor"
    CHANNEL = "channel"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Scheme:
    """How numbers become integers.

    Attributes:
        bits: Of an integer, from 2 to 8.
        kind: Where the range lies.
        rounding: To which integer.
        per: What has a scale of its own: the whole, each row, or each group of columns of a row.
        columns: Of a group; 0 where there are none. The last group of a row may be narrower.
    """

    bits: int
    kind: Kind = Kind.ASYMMETRIC
    rounding: Rounding = Rounding.NEAREST
    per: Per = Per.TENSOR
    columns: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no scheme."""
        if not FEWEST_BITS <= self.bits <= MOST_BITS:
            msg = f"numbers are quantised to {FEWEST_BITS} to {MOST_BITS} bits, not {self.bits}"
            raise UsageError(msg)
        if (self.per is Per.GROUP) != (self.columns > 0):
            msg = f"groups need a number of columns above 0, and nothing else has one; this is {self.columns}"
            raise UsageError(msg)

    @property
    def smallest(self) -> int:
        """The smallest integer."""
        return -self.greatest if self.kind is Kind.SYMMETRIC else 0

    @property
    def greatest(self) -> int:
        """The greatest integer."""
        return int(2 ** (self.bits - 1) - 1 if self.kind is Kind.SYMMETRIC else 2**self.bits - 1)


@dataclass(frozen=True, slots=True)
class Quantised:
    """Numbers as integers.

    Attributes:
        codes: The integers, in the shape of the numbers.
        scales: For each row and group; (1, 1) where the whole has one.
        zeros: The integers that stand for zero, alike; all 0 where the range is symmetric.
        scheme: How they were made.
    """

    codes: Codes
    scales: NDArray[np.float32]
    zeros: NDArray[np.int64]
    scheme: Scheme

    @property
    def bits_per_number(self) -> float:
        """What one number takes when all is packed: its integer, and its part of the scales and zero points.

        A scale takes 32 bits. A zero point takes as many as an integer where all of them fit into that, else 32.
        """
        scheme = self.scheme
        bits = self.codes.size * scheme.bits + self.scales.size * SCALE_BITS
        if scheme.kind is Kind.ASYMMETRIC:
            narrow = bool(((self.zeros >= scheme.smallest) & (self.zeros <= scheme.greatest)).all())
            bits += self.zeros.size * (scheme.bits if narrow else _WIDE_ZERO_BITS)
        return bits / self.codes.size


def quantise(values: ArrayLike, scheme: Scheme, extent: tuple[float, float] | None = None) -> Quantised:
    """Turn numbers into integers.

    Args:
        values: Of any shape; the first axis counts the rows.
        scheme: How.
        extent: The lowest and the highest number of a tensor of which these are but a part; only where the whole
            tensor has one scale.

    Raises:
        UsageError: There is no number, one is infinite or no number, or lies outside the extent.
    """
    numbers = _checked(values)
    arranged = _arranged(numbers, scheme)
    axes = (0, 1, 2) if scheme.per is Per.TENSOR else (2,)
    low, high = arranged.min(axis=axes, keepdims=True)[..., 0], arranged.max(axis=axes, keepdims=True)[..., 0]
    if extent is not None:
        if scheme.per is not Per.TENSOR or extent[0] > low.min() or extent[1] < high.max():
            msg = f"the extent {extent} is that of no tensor with one scale that holds these numbers"
            raise UsageError(msg)
        low, high = np.full((1, 1), extent[0], np.float64), np.full((1, 1), extent[1], np.float64)
    scales, zeros = _parameters(low, high, scheme)
    return Quantised(encode(numbers, scheme, scales, zeros), scales, zeros, scheme)


def encode(values: ArrayLike, scheme: Scheme, scales: NDArray[np.float32], zeros: NDArray[np.int64]) -> Codes:
    """Turn numbers into integers with scales and zero points that are there already.

    Raises:
        UsageError: There is no number, or one is infinite or no number.
    """
    numbers = _checked(values)
    arranged = _arranged(numbers, scheme)
    steps = arranged / scales.astype(np.float64)[..., None]
    codes = np.clip(_rounded(steps, scheme) + zeros[..., None], scheme.smallest, scheme.greatest)
    flat = codes.reshape(codes.shape[0], -1)[:, : numbers.size // codes.shape[0]]
    return _typed(flat, scheme).reshape(numbers.shape)


def dequantise(quantised: Quantised) -> Floats:
    """The numbers that integers stand for, in float64, in which they are exact."""
    shape = quantised.codes.shape
    codes = _arranged(quantised.codes.astype(np.float64), quantised.scheme)
    numbers = (codes - quantised.zeros[..., None]) * quantised.scales.astype(np.float64)[..., None]
    return numbers.reshape(numbers.shape[0], -1)[:, : math.prod(shape) // numbers.shape[0]].reshape(shape)


def pack(quantised: Quantised) -> bytes:
    """The integers alone as bits without gaps, the low bits first, counted from the smallest."""
    unsigned = (quantised.codes.astype(np.int16) - quantised.scheme.smallest).astype(np.uint8).reshape(-1, 1)
    bits = np.unpackbits(unsigned, axis=1, count=quantised.scheme.bits, bitorder="little")
    return np.packbits(bits, bitorder="little").tobytes()


def unpack(packed: bytes, shape: tuple[int, ...], scheme: Scheme) -> Codes:
    """The integers that were packed.

    Raises:
        UsageError: These are not as many bytes as they take.
    """
    count = math.prod(shape)
    if len(packed) != -(-count * scheme.bits // 8):
        msg = f"{count} integers of {scheme.bits} bits are not {len(packed)} bytes"
        raise UsageError(msg)
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=count * scheme.bits, bitorder="little")
    unsigned = np.packbits(bits.reshape(-1, scheme.bits), axis=1, bitorder="little")[:, 0]
    signed = unsigned.astype(np.int16) + scheme.smallest
    return _typed(signed, scheme).reshape(shape)


def _checked(values: ArrayLike) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        numbers = np.asarray(values).astype(np.float32)
    if numbers.size == 0:
        msg = "there is no number to quantise: the array is empty"
        raise UsageError(msg)
    if not np.isfinite(numbers).all():
        msg = (
            "numbers that are infinite, too large for float32 or no numbers cannot be quantised: look where they arose"
        )
        raise UsageError(msg)
    return numbers


def _arranged(numbers: NDArray[np.float32] | Floats, scheme: Scheme) -> Floats:
    """Rows, groups, columns of a group; a narrower last group is filled with the row's last number."""
    whole = scheme.per is Per.TENSOR or numbers.ndim < 2  # noqa: PLR2004 - a vector is one row
    rows = numbers.astype(np.float64).reshape(1 if whole else numbers.shape[0], -1)
    if scheme.per is not Per.GROUP:
        return rows[:, None, :]
    lacking = -rows.shape[1] % scheme.columns
    return np.pad(rows, ((0, 0), (0, lacking)), mode="edge").reshape(len(rows), -1, scheme.columns)


def _typed(codes: Floats | NDArray[np.int16], scheme: Scheme) -> Codes:
    return codes.astype(np.int8) if scheme.kind is Kind.SYMMETRIC else codes.astype(np.uint8)


def _rounded(steps: Floats, scheme: Scheme) -> Floats:
    return np.floor(steps) if scheme.rounding is Rounding.FLOOR else np.rint(steps)


def _parameters(low: Floats, high: Floats, scheme: Scheme) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scales and zero points of ranges."""
    largest = np.maximum(np.abs(low), np.abs(high))
    if scheme.kind is Kind.SYMMETRIC:
        scales = _kept(np.where(largest > 0, largest / scheme.greatest, 1.0))
        return scales, np.zeros(scales.shape, np.int64)
    constant = low == high
    scales = _kept(np.where(constant, np.where(largest > 0, largest, 1.0), (high - low) / scheme.greatest))
    zeros = np.where(constant, (high < 0).astype(np.float64), _rounded(-low / scales.astype(np.float64), scheme))
    return scales, zeros.astype(np.int64)


def _kept(scales: Floats) -> NDArray[np.float32]:
    """In float32, rounded down; up where float32 has few digits, or none but zero, so that ends stay within reach."""
    kept = scales.astype(np.float32)
    with np.errstate(over="ignore", under="ignore"):
        above, below = np.nextafter(kept, np.float32(np.inf)), np.nextafter(kept, np.float32(0))
    rounded_down, rounded_up = np.where(kept > scales, below, kept), np.where(kept < scales, above, kept)
    return np.where(scales < np.finfo(np.float32).tiny, rounded_up, rounded_down)
