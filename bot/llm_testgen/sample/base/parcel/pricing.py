"""What it costs to send a parcel, in cents."""

BASE_PRICE = 490
PRICE_PER_KILOGRAM = 60


def price(parcel):
    """Price of a parcel by its weight."""
    return BASE_PRICE + round(parcel.weight * PRICE_PER_KILOGRAM)
