"""``llm-testgen bench pull-requests`` and the experiments: many ways to ask for tests, on the same real changes."""
