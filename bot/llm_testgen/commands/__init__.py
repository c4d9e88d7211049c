"""One module per subcommand: it composes edges and stages, and prints."""
