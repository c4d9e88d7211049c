"""The experiments: what each changes, and what is asked by it.

Most repeat those of A. Dugo, *Test Automatici con Large Language Model* (bachelor's thesis, Padua 2024); the claims are
what it reports.
"""

from __future__ import annotations

from dataclasses import dataclass

from llm_testgen.bench.pulls import arms
from llm_testgen.bench.pulls.arms import Arm
from llm_testgen.bench.pulls.claims import Claim, Measure


@dataclass(frozen=True, slots=True)
class Experiment:
    """Arms that differ in one thing, or the same arms with different models.

    Attributes:
        name: Of its subcommand.
        title: What stands above its table and plot.
        question: What it is to answer, in a sentence.
        arms: The ways, the one that others are compared with first.
        claims: What others found, to be looked at again.
        of_models: Whether models are compared, rather than the arms.
        served: Whether it also counts what serving a model takes.
    """

    name: str
    title: str
    question: str
    arms: tuple[Arm, ...]
    claims: tuple[Claim, ...] = ()
    of_models: bool = False
    served: bool = False


EXPERIMENTS = (
    Experiment(
        "temperature",
        "Tests by temperature",
        "Whether a model that dares more writes more tests that pass, or fewer.",
        arms.TEMPERATURE,
        (Claim("A temperature of 0 is no better than one of 0.8", "t-0.8", "t-0.0", Measure.PASSING),),
    ),
    Experiment(
        "context",
        "Tests by what related code is shown",
        "Whether a model needs the code that a method works with, its signatures, or none.",
        arms.CONTEXT,
        (
            Claim(
                "With related code there are more correct tests", "context-bodies-600", "context-none", Measure.PASSING
            ),
            Claim("Too much of it is worse again", "context-bodies-300", "context-bodies-1200", Measure.PASSING),
        ),
    ),
    Experiment(
        "comments",
        "Tests by who commented the code",
        "Whether comments help, and whether those that the model writes itself do.",
        arms.COMMENTS,
        (
            Claim("Comments help", "comments-author", "comments-none", Measure.PASSING),
            Claim("So do comments by the model", "comments-model", "comments-none", Measure.PASSING),
            Claim(
                "They help the smaller model most", "comments-author", "comments-none", Measure.PASSING, of_smaller=True
            ),
        ),
    ),
    Experiment(
        "language",
        "Tests by the language of prompt and comments",
        "Whether a model understands code that is commented and asked about in Italian as well as in English.",
        arms.LANGUAGE,
        (Claim("English is ahead of Italian", "language-english", "language-italian", Measure.LINES),),
    ),
    Experiment(
        "models",
        "Tests by model",
        "What a larger model brings.",
        arms.MODELS,
        of_models=True,
    ),
    Experiment(
        "adapters",
        "Tests by what was tuned",
        "What a tuned adapter brings, and a mixture of them.",
        arms.MODELS,
        of_models=True,
        served=True,
    ),
    Experiment(
        "quantisation",
        "Tests by how the model is quantised",
        "How many bits of a weight it takes.",
        arms.MODELS,
        of_models=True,
        served=True,
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
