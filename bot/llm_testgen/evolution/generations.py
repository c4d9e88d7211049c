"""The search: generations of recipes, each tried on the same methods, the better ones the parents of the next."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llm_testgen.errors import LlmTestgenError, ModelError, UsageError
from llm_testgen.evolution.breeding import Breeder
from llm_testgen.evolution.genome import Genes, Genome, digest
from llm_testgen.evolution.race import Race
from llm_testgen.evolution.score import DEFAULT_WEIGHT_IN, Gain, Score, score, total
from llm_testgen.recipe import Recipe
from llm_testgen.records import ChangedMethod

Attempt = Callable[[Recipe, ChangedMethod], Awaitable[Gain]]


class TokensSpentError(ModelError):
    """What is left of the budget of tokens does not suffice for what comes next."""

    def __init__(self) -> None:
        """There is one reason only."""
        super().__init__("the tokens are spent: pass a larger --max-tokens, and the same command goes on")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is tried.

    Attributes:
        population: Recipes that live at once; half of them are the elite.
        generations: Generations, the first included.
        seed: Of all that is drawn by lot.
        weight_in: What a token read costs, in tokens written.
        max_tokens: Tokens in and out, those of answers that were known included; None for no limit.
        kept: Prompts for which tokens are kept back, for the comparison at the end.
        deadline: Seconds after which no more is tried; None for no limit.
        at_once: Prompts that are answered at once.
    """

    population: int = 8
    generations: int = 4
    seed: int = 0
    weight_in: float = DEFAULT_WEIGHT_IN
    max_tokens: int | None = None
    kept: int = 0
    deadline: float | None = None
    at_once: int = 1


@dataclass(frozen=True, slots=True)
class Summary:
    """What a generation has come to.

    Attributes:
        number: 1 for the first.
        best: The best score so far.
        mean: Lines per 1,000 tokens of its own recipes, on average.
        tried: How many these were.
        given_up: How many of them were not tried on every method.
        tokens: Tokens in and out of the search so far.
    """

    number: int
    best: Score
    mean: float
    tried: int
    given_up: int
    tokens: int


class Observer(Protocol):
    """Hears of what happens, to show it."""

    def trying(self, generation: int, place: int, places: int, recipes: int) -> None:
        """So many recipes are tried on one of the methods."""

    def bred(self, summary: Summary) -> None:
        """A generation is done."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to.

    Attributes:
        recipe: The best recipe.
        gain: What it brought on the methods that the search was done on.
        start: What the recipe brought there that the search set out from.
        generations: What became of each generation.
        tokens: Tokens in and out.
        note: Why it ended before its time; empty if it did not.
    """

    recipe: Recipe
    gain: Gain
    start: Gain
    generations: tuple[Summary, ...]
    tokens: int
    note: str = ""


@dataclass(slots=True)
class _Entrant:
    """A recipe while it is tried."""

    genome: Genome
    recipe: Recipe
    gains: list[Gain] = field(default_factory=list)
    given_up: bool = False


class Evolution:
    """One search. The same seed and the same answers give the same result, however often it was interrupted.

    Args:
        genes: What may change.
        attempt: Tries a recipe on a method.
        plan: How much is tried.
        observer: Who hears of it.
    """

    def __init__(self, genes: Genes, attempt: Attempt, plan: Plan, observer: Observer) -> None:
        """Try nothing yet."""
        self._genes = genes
        self._attempt = attempt
        self._plan = plan
        self._observer = observer
        self._breeder = Breeder(genes.sizes, plan.seed)
        self._seen: set[str] = set()
        self._finished: list[_Entrant] = []
        self._summaries: list[Summary] = []
        self._tokens = 0
        self._prompts = 0

    async def run(self, targets: Sequence[ChangedMethod]) -> Found:
        """Breed and try until the generations, the tokens or the time are used up.

        Raises:
            UsageError: They do not suffice for one generation.
            LlmTestgenError: Something that a person has to mend first.
        """
        note = ""
        try:
            async with asyncio.timeout(self._plan.deadline):
                note = await self._generations(targets)
        except TimeoutError:
            note = "the deadline passed before all generations were tried"
        except TokensSpentError:
            note = "the tokens were spent before all generations were tried"
        if not self._summaries:
            msg = (
                f"{note.replace('all generations were', 'one generation was')}: a generation is up to"
                f" {self._plan.population * len(targets)} prompts; what was tried is kept, so the same command"
                " with more of them goes on from there"
            )
            raise UsageError(msg)
        winner = max(self._finished, key=self._score)
        return Found(
            winner.recipe,
            total(winner.gains),
            total(self._finished[0].gains),
            tuple(self._summaries),
            self._tokens,
            note,
        )

    async def _generations(self, targets: Sequence[ChangedMethod]) -> str:
        plan, start = self._plan, self._genes.genome(self._genes.start)
        self._is_new(start)
        living = [(start, Score(0, 0))]
        scores: dict[Genome, Score] = {}
        for number in range(1, plan.generations + 1):
            if number == 1:
                genomes = [start, *self._breeder.first(start, plan.population - 1, self._is_new)]
            else:
                genomes = self._breeder.children(living, plan.population, number, self._is_new)
            if not genomes:
                return "there was no recipe left that had not been tried"
            race = self._race()
            entrants = await self._tried(number, genomes, targets, race)
            for entrant in entrants:
                scores[entrant.genome] = self._score(entrant, race)
            self._sum_up(number, [scores[entrant.genome] for entrant in entrants], entrants)
            living = [(genome, scores[genome]) for genome in self._breeder.best([*scores.items()], plan.population)]
        return ""

    def _race(self) -> Race | None:
        elite = max(1, self._plan.population // 2)
        return Race.after([entrant.gains for entrant in self._finished], elite, self._plan.weight_in)

    async def _tried(
        self, number: int, genomes: Sequence[Genome], targets: Sequence[ChangedMethod], race: Race | None
    ) -> list[_Entrant]:
        """A generation, one method after the other, so that what is given up is so before the next is asked about."""
        entrants = [_Entrant(genome, self._genes.recipe(genome)) for genome in genomes]
        for place, target in enumerate(targets, start=1):
            running = [entrant for entrant in entrants if not entrant.given_up]
            if not running:
                break
            self._observer.trying(number, place, len(targets), len(running))
            gains = await self._round([entrant.recipe for entrant in running], target)
            for entrant, gain in zip(running, gains, strict=True):
                entrant.gains.append(gain)
                entrant.given_up = race is not None and place < len(targets) and not race.can_win(entrant.gains)
        # What an interrupted generation has shown counts for nothing: how far it came is chance.
        self._finished += [entrant for entrant in entrants if not entrant.given_up]
        return entrants

    async def _round(self, recipes: Sequence[Recipe], target: ChangedMethod) -> list[Gain]:
        """What each of some recipes gains on a method. After a fault nothing is begun; what was, is ended."""
        self._save(len(recipes))
        slots = asyncio.Semaphore(self._plan.at_once)
        faults: list[LlmTestgenError] = []

        async def one(recipe: Recipe) -> Gain:
            async with slots:
                if not faults:
                    try:
                        return await self._attempt(recipe, target)
                    except LlmTestgenError as error:
                        faults.append(error)
                return Gain()

        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one(recipe)) for recipe in recipes]
        if faults:
            raise faults[0]
        gains = [task.result() for task in running]
        self._prompts += len(gains)
        self._tokens += sum(gain.tokens for gain in gains)
        return gains

    def _save(self, prompts: int) -> None:
        """Begin nothing that would leave too little for the comparison, by what a prompt has taken so far.

        Raises:
            TokensSpentError: It would.
        """
        limit = self._plan.max_tokens
        if limit is None or not self._prompts:
            return
        coming = (prompts + self._plan.kept) * self._tokens / self._prompts
        if self._tokens + coming > limit:
            raise TokensSpentError

    def _score(self, entrant: _Entrant, race: Race | None = None) -> Score:
        found = score(total(entrant.gains), self._plan.weight_in)
        return Score(race.given_up(entrant.gains), found.killed) if race and entrant.given_up else found

    def _sum_up(self, number: int, scores: Sequence[Score], entrants: Sequence[_Entrant]) -> None:
        summary = Summary(
            number,
            best=max(map(self._score, self._finished)),
            mean=statistics.fmean(one.rate for one in scores),
            tried=len(entrants),
            given_up=sum(entrant.given_up for entrant in entrants),
            tokens=self._tokens,
        )
        self._summaries.append(summary)
        self._observer.bred(summary)

    def _is_new(self, genome: Genome) -> bool:
        """Whether the recipe of a genome was not met before; from now on it was."""
        name = digest(self._genes.recipe(genome))
        if name in self._seen:
            return False
        self._seen.add(name)
        return True
