"""The project index: what the code defines, imports and calls, in SQLite, keyed by git blob."""

from llm_testgen.index.project import Index, IndexStats

__all__ = ["Index", "IndexStats"]
