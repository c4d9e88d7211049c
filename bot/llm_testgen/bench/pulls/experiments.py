"""The experiments: what each changes, and what is asked by it."""

from __future__ import annotations

from dataclasses import dataclass

from llm_testgen.bench.pulls import arms
from llm_testgen.bench.pulls.arms import Arm


@dataclass(frozen=True, slots=True)
class Experiment:
    """Arms that differ in one thing.

    Attributes:
        name: Of its subcommand.
        title: What stands above its table and plot.
        question: What it is to answer, in a sentence.
        arms: The ways, the one that others are compared with first.
        models: Models that it is run with unless others are named; empty for the default one.
    """

    name: str
    title: str
    question: str
    arms: tuple[Arm, ...]
    models: tuple[str, ...] = ()


EXPERIMENTS = (
    Experiment(
        "temperature",
        "Tests by temperature",
        "Whether a model that dares more writes more tests that pass, or fewer.",
        arms.TEMPERATURE,
    ),
    Experiment(
        "context",
        "Tests by what related code is shown",
        "Whether a model needs the code that a method works with, its signatures, or none.",
        arms.CONTEXT,
    ),
    Experiment(
        "comments",
        "Tests by who commented the code",
        "Whether comments help, and whether those that the model writes itself do.",
        arms.COMMENTS,
    ),
    Experiment(
        "language",
        "Tests by the language of prompt and comments",
        "Whether a model understands code that is commented and asked about in Italian as well as in English.",
        arms.LANGUAGE,
    ),
    Experiment(
        "models",
        "Tests by model",
        "What a larger model brings.",
        arms.MODELS,
    ),
    Experiment(
        "examples",
        "Tests by the examples that are shown",
        "Whether tests of the repository, and tests that were judged before, teach a model anything.",
        arms.EXAMPLES,
    ),
    Experiment(
        "prefill",
        "Tests by how far the reply is begun",
        "Whether it helps to write the first words of the reply for the model.",
        arms.PREFILL,
    ),
)
