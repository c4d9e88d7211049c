"""The project index: what the code defines, imports and calls, in SQLite, keyed by git blob."""
