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
