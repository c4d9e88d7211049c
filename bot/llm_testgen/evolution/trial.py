"""One recipe, one method, one prompt: what the whole chain of filters makes of the reply."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from llm_testgen.baseline import Baseline
from llm_testgen.edges.models import Model, Sampling
from llm_testgen.edges.tokens import TokenBudget
from llm_testgen.errors import ModelError, PromptRefusedError
from llm_testgen.evolution.generations import TokensSpentError
from llm_testgen.evolution.genome import digest
from llm_testgen.evolution.score import Gain
from llm_testgen.evolution.store import TrialStore, key_of
from llm_testgen.recipe import Recipe
from llm_testgen.records import ChangedMethod, LinesByPath, Prompt, Reply, Snapshot, Usage, Verdict
from llm_testgen.search import Search
from llm_testgen.settings import Generation
from llm_testgen.stages.assure import assure_together
from llm_testgen.stages.prompt import Templates
from llm_testgen.stages.select import select
from llm_testgen.tools import Tools


class MeteredModel:
    """A model that is asked nothing for which the budget might not suffice.

    Attributes:
        fault: Why there will be no more answers; None as long as there may be.
    """

    def __init__(self, model: Model, budget: TokenBudget) -> None:
        """Wrap a model; what it remembers counts like what it says anew."""
        self.name = model.name
        self.concurrency = model.concurrency
        self.shares_cores = model.shares_cores
        self.fault: ModelError | None = None
        self._model = model
        self._budget = budget

    async def reply(self, prompt: Prompt, sampling: Sampling) -> Reply | None:
        """What the model answers.

        Raises:
            TokensSpentError: The whole of its reply might be too much; with less room it would be another reply.
            ModelError: As the model does.
        """
        usage = Usage()
        granted = self._budget.reserve(prompt, sampling.max_tokens)
        try:
            if granted < sampling.max_tokens:
                raise TokensSpentError
            reply = await self._model.reply(prompt, sampling)
            usage = reply.usage if reply is not None else usage
        except PromptRefusedError:
            raise  # others may still be answered
        except ModelError as error:
            self.fault = error
            raise
        finally:
            if granted:
                self._budget.settle(usage)
        return reply

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()


@dataclass(frozen=True, slots=True)
class Ground:
    """What recipes are tried on, and with.

    Attributes:
        tools: Of a run; of its templates only the folder counts.
        baseline: What the existing tests execute.
        settings: How replies are judged, and by which seed they are drawn.
        budget: Of tokens, for all trials together.
        digest: Of all that decides how a trial ends, beside the recipe and the method.
    """

    tools: Tools
    baseline: Baseline
    settings: Generation
    budget: TokenBudget
    digest: str


class Trials:
    """Tries recipes on methods; what is in the store is not tried again.

    Attributes:
        new: How many were really tried.
    """

    def __init__(self, ground: Ground, store: TrialStore) -> None:
        """Take the ground and what is known of it."""
        self.new = 0
        self._ground = ground
        self._store = store
        self._missing = ground.baseline.missing()

    async def __call__(self, recipe: Recipe, target: ChangedMethod) -> Gain:
        """What one prompt about a method brings.

        Raises:
            TokensSpentError: The budget does not allow for it.
            LlmTestgenError: Something that a person has to mend first.
        """
        ground = self._ground
        missing = self._missing.get(target.path, frozenset()) & target.lines
        sources = [definition.source for definition in target.definitions]
        key = key_of(ground.digest, recipe.model_dump(mode="json"), target.id, sources, sorted(missing))
        gain = self._store.recall(key)
        if gain is not None:
            ground.budget.spend(Usage(gain.tokens_in, gain.tokens_out))
            return gain
        gain = await self._tried(recipe, target, missing)
        self.new += 1
        self._store.remember(key, gain, recipe=digest(recipe), target=target.id)
        return gain

    async def _tried(self, recipe: Recipe, target: ChangedMethod, missing: frozenset[int]) -> Gain:
        ground = self._ground
        model = MeteredModel(ground.tools.model, ground.budget)
        tools = replace(ground.tools, model=model, templates=Templates(ground.tools.templates.folder, recipe))
        settings = replace(
            ground.settings,
            attempts=1,
            temperature=recipe.temperature,
            context_tokens=recipe.context_tokens,
            reply_tokens=recipe.reply_tokens,
        )
        search = Search(Baseline({target.path: missing}, ground.baseline.coverage), tools, settings)
        try:
            await search.run([target])
        except PromptRefusedError:
            # The model cannot take a prompt of this recipe, and takes others: the fault is the recipe's.
            return Gain(tokens_in=search.usage.tokens_in, tokens_out=search.usage.tokens_out)
        if model.fault is not None:
            # A method whose comments were written, and its tests not, says nothing of the recipe.
            raise model.fault
        verdicts, accepted = select(await assure_together(search.verdicts(), tools.runner), None)
        return _gain([verdicts[index] for index in accepted], {target.path: missing}, search.usage)


def _gain(accepted: list[Verdict], missing: LinesByPath, usage: Usage) -> Gain:
    gained = {
        (path, line)
        for verdict in accepted
        for path, lines in verdict.gained.items()
        for line in lines & missing.get(path, frozenset())
    }
    killed = {
        (mutant.path, mutant.line, mutant.operator, mutant.source)
        for verdict in accepted
        for mutant in verdict.proof.killed
    }
    return Gain(len(accepted), len(gained), len(killed), usage.tokens_in, usage.tokens_out)


def digest_of(snapshot: Snapshot, folder: Path, settings: Generation, about: Mapping[str, str]) -> str:
    """The digest of a ground: the tree, every word of the templates, how replies are judged, and what else is said."""
    templates = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.jinja"))
    }
    tree = [(file.path, file.blob) for file in snapshot.files]
    return key_of(tree, templates, asdict(settings), dict(about))
