"""Sizes and weights of parcels: centimetres and kilograms."""


class Parcel:
    """A box to be sent."""

    def __init__(self, length, width, height, weight):
        if min(length, width, height, weight) <= 0:
            raise ValueError("sizes and weight must be positive")
        self.length = length
        self.width = width
        self.height = height
        self.weight = weight

    @property
    def volume(self):
        """Volume in litres."""
        return self.length * self.width * self.height / 1000

    def size_class(self):
        """Size class by the longest side: S, M, L or XL."""
        longest = max(self.length, self.width, self.height)
        if longest <= 35:
            return "S"
        if longest <= 60:
            return "M"
        if longest <= 120:
            return "L"
        return "XL"


def parse_size(text):
    """Three sides from a text such as ``20 x 10 x 5 cm``; millimetres and metres are converted."""
    factors = {"mm": 0.1, "cm": 1, "m": 100}
    words = text.lower().strip().split()
    unit = "cm"
    if words and words[-1] in factors:
        unit = words.pop()
    sides = "".join(words).split("x")
    if len(sides) != 3:
        raise ValueError(f"expected three sides, got {len(sides)}")
    return tuple(float(side) * factors[unit] for side in sides)
