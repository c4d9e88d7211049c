"""Experiments about the project index: what it costs, and how well it knows which method calls which."""
