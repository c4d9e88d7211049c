"""Sizes, prices and labels of parcels."""
