"""Repairs of a candidate without a model, each a pure function; `llm_testgen.stages.repair` tries them in order."""
