"""Integer quantisation, the study of its error, and models and adapters as GGUF files."""
