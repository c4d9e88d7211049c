"""What runs beside foreign code: standard library only, Python 3.9 and later, copied out of the package."""
