"""What executes candidates: a throw-away copy of the tree, the project's own interpreter, limits around it."""
