"""Rejection sampling: a model is asked about methods of a project, and what every filter accepts is the answer.

A method is asked about as if it were new, or as if a part of it had just been changed, and no test reached that yet.
What a model writes and the filters accept is in the form that prompts ask for, and within the reach of a model.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llm_testgen.baseline import Baseline
from llm_testgen.edges.models import Model, Sampling
from llm_testgen.edges.session import RememberingModel, Session
from llm_testgen.errors import ModelError, PromptRefusedError, first_expected
from llm_testgen.records import ChangedMethod, CoverageByPath, Lines, Prompt, Reply, Verdict
from llm_testgen.search import Search
from llm_testgen.settings import Generation
from llm_testgen.stages.context import Surroundings
from llm_testgen.stages.goals import goals
from llm_testgen.stages.prompt import Templates
from llm_testgen.tools import Knowledge, Tools
from llm_testgen.tuning.data.examples import About, Origin
from llm_testgen.tuning.data.ground import MineGround
from llm_testgen.tuning.data.pairing import body_lines, lines_for, used_name
from llm_testgen.tuning.data.project_run import Made, Steps, Tell
from llm_testgen.tuning.data.sessions import session_examples

_AS_NEW = 0.5  # the share of methods that are asked about as a whole
_LEAST_LINES = 2


@dataclass(frozen=True, slots=True)
class Draws:
    """What is asked of a model.

    Attributes:
        templates: What prompts are made from.
        temperature: Of the model.
        methods: Of a project at most.
        samples: Replies about a method.
        seed: By which methods are chosen, and replies drawn.
    """

    templates: Templates
    temperature: float = 0.8
    methods: int = 20
    samples: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """A method, and the lines of it that no test is to reach yet."""

    target: ChangedMethod
    lines: Lines


async def sample(ground: MineGround, draws: Draws, model: Model, sessions: Path, tell: Tell) -> Made:
    """The examples that a model gives of a project.

    Args:
        ground: The project, ready.
        draws: What is asked.
        model: Who.
        sessions: How the paths of the sessions begin that replies are kept in, so that none is asked for twice.
        tell: Called with the per cent that are done.

    Raises:
        ModelError: The model gives no more answers; what it has said is kept.
        UsageError: A session cannot be written.
    """
    source = ground.source
    about = About(origin=Origin.SAMPLED, project=source.name, version=source.version, licence=source.licence)
    wishes = choose(ground.targets, ground.statements, draws)
    steps = Steps(max(1, draws.samples * len(wishes)), tell)
    made = Made()
    made.counts["methods"] = len(wishes)
    for number in range(draws.samples):
        session = Session(sessions.with_name(f"{sessions.name}-{draws.seed + number}.sqlite"))
        await _ask(wishes, replace(draws, seed=draws.seed + number), ground, _Teacher(model), session, steps)
        examples, counts = session_examples(session, about)
        made.examples.extend(examples)
        made.counts.update(counts)
    return made


async def _ask(  # noqa: PLR0913, PLR0917 - all that a search is made of
    wishes: Sequence[Wish], draws: Draws, ground: MineGround, teacher: _Teacher, session: Session, steps: Steps
) -> None:
    """One reply about each method, and the verdicts on its tests, kept in a session."""
    recipe = draws.templates.recipe
    settings = Generation(
        attempts=1,
        temperature=draws.temperature,
        seed=draws.seed,
        context_tokens=recipe.context_tokens,
        reply_tokens=recipe.reply_tokens,
    )
    model = RememberingModel(teacher, session)
    tools = Tools(_Unseen(ground.knowledge), model, ground.runner, draws.templates, _Listener(steps))
    # While tests of some are judged, a server can write about others.
    turns = asyncio.Semaphore(1 if model.shares_cores else 2 * model.concurrency)

    async def ask(wish: Wish) -> None:
        # Each has a search of its own: a test that was accepted for one must not leave another with less to ask for.
        search = Search(_baseline(wish, ground.statements), tools, settings)
        async with turns:
            try:
                await search.run([wish.target])
            except PromptRefusedError:
                steps.step()  # others may still be answered
                return
        if teacher.fault is not None:
            raise teacher.fault
        session.record(f"{ground.source.version} {wish.target.id}", search.verdicts())

    try:
        async with asyncio.TaskGroup() as tasks:
            for wish in wishes:
                tasks.create_task(ask(wish))
    except ExceptionGroup as group:
        raise first_expected(group) or group from group


def choose(targets: Collection[ChangedMethod], statements: CoverageByPath, draws: Draws) -> tuple[Wish, ...]:
    """The methods that are asked about, in the order of the lot: some as a whole, of others one part or some."""
    lot = random.Random(draws.seed)  # noqa: S311 - nothing is secret
    most = draws.templates.recipe.tests
    wishes = []
    for target in sorted(targets, key=lambda target: target.id):
        own = body_lines(target)
        known = statements.get(target.path)
        if known is None or len(own & known.statements) < _LEAST_LINES:
            continue
        every = goals(target, own)
        lines = own
        if len(every) > 1 and lot.random() >= _AS_NEW:
            lines = lines_for(target, lot.sample(every, lot.randint(1, min(most, len(every) - 1))), own)
        wishes.append(Wish(target, lines))
    lot.shuffle(wishes)
    return tuple(wishes[: draws.methods])


def _baseline(wish: Wish, statements: CoverageByPath) -> Baseline:
    """Where the method stands: nothing of what is wished for is executed."""
    path = wish.target.path
    return Baseline({path: wish.lines}, {path: replace(statements[path], executed=frozenset())})


class _Unseen:
    """What the index tells, without the tests of the method: it is asked about as if there were none to copy."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.names = knowledge.names
        self.test_files = knowledge.test_files
        self.text = knowledge.text
        self._knowledge = knowledge

    def surroundings(self, target: ChangedMethod) -> Surroundings:
        around = self._knowledge.surroundings(target)
        named = re.compile(rf"\b{re.escape(used_name(target))}\b")
        return replace(around, tests=tuple(test for test in around.tests if not named.search(test.source)))


class _Teacher:
    """A model that says afterwards why it stopped answering: a search keeps what it has by then, as if it were all.

    Attributes:
        fault: Why; None as long as there are answers.
    """

    def __init__(self, model: Model) -> None:
        self.name = model.name
        self.concurrency = model.concurrency
        self.shares_cores = model.shares_cores
        self.fault: ModelError | None = None
        self._model = model
        self._asking = asyncio.Semaphore(model.concurrency)

    async def reply(self, prompt: Prompt, sampling: Sampling) -> Reply | None:
        try:
            async with self._asking:
                return None if self.fault is not None else await self._model.reply(prompt, sampling)
        except PromptRefusedError:
            raise
        except ModelError as error:
            self.fault = error
            raise

    async def close(self) -> None:
        await self._model.close()


class _Listener:
    """Counts the replies."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def asked(self, target: ChangedMethod, attempt: int) -> None:
        pass

    def replied(self, reply: Reply) -> None:  # noqa: ARG002 - an Observer's
        self._steps.step()

    def judged(self, verdict: Verdict) -> None:
        pass

    def confirming(self, count: int) -> None:
        pass
