"""Where the outside world is touched, one module for each outside library: git, models, coverage formats."""
