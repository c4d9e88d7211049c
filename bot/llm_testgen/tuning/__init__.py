"""Models of our own: training data, LoRA, mixtures of LoRA experts, quantisation."""
