"""Lets ``python -m llm_testgen`` stand for ``llm-testgen``."""

from llm_testgen.cli import main

main(prog_name="llm-testgen")
