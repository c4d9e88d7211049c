"""What it costs to send a parcel, in cents."""

BASE_PRICE = 490
PRICE_PER_KILOGRAM = 60
SURCHARGE = {"S": 0, "M": 150, "L": 400, "XL": 1200}


def price(parcel, express=False):
    """Price of a parcel by its weight and its size class."""
    total = BASE_PRICE + round(parcel.weight * PRICE_PER_KILOGRAM)
    total += SURCHARGE[parcel.size_class()]
    if express:
        total *= 2
    return total


def discount(count):
    """Discount in per cent for so many parcels a month."""
    if count < 0:
        raise ValueError("count must not be negative")
    if count >= 1000:
        return 30
    if count >= 100:
        return 20
    if count >= 10:
        return 5
    return 0


def format_price(cents, currency="EUR"):
    """A price for people: ``12.50 EUR``; free of charge when it is nothing."""
    if cents == 0:
        return "free of charge"
    sign = "-" if cents < 0 else ""
    cents = abs(cents)
    return f"{sign}{cents // 100}.{cents % 100:02d} {currency}"
