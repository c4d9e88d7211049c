"""What is printed on a parcel."""


def format_name(first, last):
    """A person's name as the label shows it."""
    return f"{first.strip()} {last.strip().upper()}"
