"""A genetic search over prompt recipes: what is tried, how it is scored, and what became of it where nobody looked."""
