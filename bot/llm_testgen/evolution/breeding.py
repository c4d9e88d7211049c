"""From genomes to new ones: DEAP's tournament, uniform crossover and mutation by drawing a gene anew.

DEAP comes with the extra ``evolve``, and is imported here alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llm_testgen.errors import UsageError
from llm_testgen.evolution.genome import Genome
from llm_testgen.evolution.score import Score

try:
    from deap import base, tools
except ImportError as error:
    _message = "a search over prompts needs DEAP: pip install 'llm-testgen[evolve]'"
    raise UsageError(_message) from error

_TOURNAMENT = 2
_MATING = 0.7
# Of a child so many genes are drawn anew, on average.
_MUTATED = 2.0
# The first generation looks further around.
_MUTATED_AT_FIRST = 4.0
# So many children are tried for each place before one stays empty: in a small space all may be known.
_TRIES = 50


class _Fitness(base.Fitness):
    """A score; DEAP compares its figures one after the other."""

    weights = (1.0, 1.0)  # type: ignore[assignment]  # DEAP's own stands for none


class _Individual(list[int]):
    """A genome that DEAP can change."""

    def __init__(self, genome: Genome, score: Score | None = None) -> None:
        super().__init__(genome)
        self.fitness = _Fitness(tuple(score) if score is not None else ())


class Breeder:
    """Makes genomes. The same seed and the same scores give the same ones, whatever else draws by lot meanwhile.

    Args:
        sizes: How many values each gene may have.
        seed: Of all that is drawn.
    """

    def __init__(self, sizes: Sequence[int], seed: int) -> None:
        """Register the operators."""
        self._sizes = tuple(sizes)
        self._seed = seed
        self._toolbox: Any = base.Toolbox()
        self._toolbox.register("select", tools.selTournament, tournsize=_TOURNAMENT)
        self._toolbox.register("mate", tools.cxUniform, indpb=0.5)
        self._toolbox.register("mutate", self._mutate)

    def first(self, start: Genome, count: int, is_new: Callable[[Genome], bool]) -> list[Genome]:
        """The first generation without the genome to set out from: half of it near that one, the others anywhere.

        Args:
            start: The genome to set out from.
            count: How many to make.
            is_new: Whether a genome has not been seen; each is asked about once.
        """

        def make(number: int) -> Genome:
            if number % 2:
                return tuple(random.randrange(size) for size in self._sizes)  # noqa: S311 - a search keeps no secret
            return tuple(self._toolbox.mutate(_Individual(start), _MUTATED_AT_FIRST))

        return self._made(0, count, make, is_new)

    def children(
        self, parents: Sequence[tuple[Genome, Score]], count: int, generation: int, is_new: Callable[[Genome], bool]
    ) -> list[Genome]:
        """New genomes from scored ones.

        Args:
            parents: Those to choose among.
            count: How many to make; there may be fewer where hardly any are new.
            generation: Its number, by which what is drawn differs.
            is_new: Whether a genome has not been seen; each is asked about once.
        """
        pool = [_Individual(genome, score) for genome, score in parents]

        def make(_: int) -> Genome:
            one, other = (_Individual(tuple(parent)) for parent in self._toolbox.select(pool, 2))
            if random.random() < _MATING:  # noqa: S311 - a search keeps no secret
                one, other = self._toolbox.mate(one, other)
            return tuple(self._toolbox.mutate(one, _MUTATED))

        return self._made(generation, count, make, is_new)

    def best(self, scored: Sequence[tuple[Genome, Score]], count: int) -> list[Genome]:
        """The best of scored genomes, best first; of equal ones the earlier."""
        return [tuple(one) for one in tools.selBest([_Individual(genome, score) for genome, score in scored], count)]

    def _made(
        self, generation: int, count: int, make: Callable[[int], Genome], is_new: Callable[[Genome], bool]
    ) -> list[Genome]:
        found: list[Genome] = []
        with _drawing(f"{self._seed}/{generation}"):
            for _ in range(_TRIES * count):
                if len(found) == count:
                    break
                genome = make(len(found))
                if is_new(genome):
                    found.append(genome)
        return found

    def _mutate(self, individual: _Individual, wanted: float) -> _Individual:
        """Draw genes anew, so many on average, each from the values that it does not have."""
        for position, size in enumerate(self._sizes):
            if random.random() < wanted / len(self._sizes):  # noqa: S311 - a search keeps no secret
                others = [value for value in range(size) if value != individual[position]]
                individual[position] = random.choice(others)  # noqa: S311 - the same
        return individual


@contextmanager
def _drawing(seed: str) -> Iterator[None]:
    """DEAP draws from the generator that all of Python shares: for a while it is seeded, and then as it was."""
    before: Any = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
