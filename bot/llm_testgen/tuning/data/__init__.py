"""Training data: conversations in the form of our prompts, answered by tests that our own filters accept."""
