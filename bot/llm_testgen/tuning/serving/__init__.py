"""Models that llama.cpp cannot compute, served by transformers: mixtures of LoRA experts."""
