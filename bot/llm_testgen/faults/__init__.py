"""Small faults that can be put into source text: where, and what stands there instead.

It needs libcst, which takes a third of a second to import: to be imported where faults are made, and not before.
"""
