"""What is printed on a parcel."""

SERVICES = {"P": "parcel", "E": "express", "R": "return"}


def format_name(first, last):
    """A person's name as the label shows it."""
    return f"{first.strip()} {last.strip().upper()}"


def check_digit(number):
    """Check digit of a tracking number: 10 less the sum of its digits, odd places counted three times."""
    total = 0
    for place, digit in enumerate(number):
        if not digit.isdigit():
            raise ValueError(f"not a digit: {digit!r}")
        total += int(digit) * (3 if place % 2 == 0 else 1)
    return (10 - total % 10) % 10


def service_of(code):
    """Name of the service that a tracking code begins with."""
    if not code:
        raise ValueError("empty tracking code")
    letter = code[0].upper()
    if letter not in SERVICES:
        return "unknown"
    return SERVICES[letter]
