"""The stages of the pipeline: each computes one record from another, and touches nothing outside."""
