"""Tests for the methods that a pull request changes, written by a language model and proved before they are shown."""

__version__ = "0.1.0"
