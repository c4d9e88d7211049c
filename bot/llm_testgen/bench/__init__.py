"""Experiments: what the parts of the pipeline cost and yield, beside other ways of doing the same."""
