"""One judge for all arms: what the test files that an arm leaves behind are worth on the tree at head.

First as they were left: each file is run whole, three times, and counts only if all of its tests pass each time. Then
test by test, as ours are judged: each alone in its file, with what else stands there, with two orders of sets; those
that gain a changed line are tried with mutants of what they gain, and together in several orders. Nothing is screened:
the sandbox of the runner holds whatever comes.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from llm_testgen.bench.chain import MUTANTS
from llm_testgen.bench.chain_ground import Ground
from llm_testgen.bench.chain_ledger import Ledger, RunStore
from llm_testgen.bench.chain_trial import Trial, try_accepted
from llm_testgen.bench.chain_ways import Yield, proofs
from llm_testgen.records import (
    Candidate,
    ChangedMethod,
    Context,
    Lines,
    LinesByPath,
    Mutant,
    Outcome,
    Prompt,
    Proof,
    Reply,
    SuiteRun,
    Usage,
    Verdict,
)
from llm_testgen.source import FunctionNode, SourceError, definition_start, parse_tree
from llm_testgen.stages.assure import Requirement, assure

RUNS = 3


@dataclass(frozen=True, slots=True)
class JudgedFile:
    """A file as it was left.

    Attributes:
        path: Where it stands.
        tests: How many test functions of it are new.
        passed: Whether all of its tests passed, every time.
        reason: Why not, in one line; empty when they did.
        gained: Changed lines of the targets that it executed every time and that no existing test does; none when it
            did not pass.
    """

    path: str
    tests: int
    passed: bool
    reason: str
    gained: LinesByPath


@dataclass(frozen=True, slots=True)
class JudgedTest:
    """One new test function.

    Attributes:
        path: The file that it stands in.
        name: What it is called, ``Class::name`` for a method.
        verdict: What its runs showed: ``NO_GAIN`` for a sound test that covers nothing new.
        proof: Which mutants of what it covers it notices; empty for a test that gains nothing.
    """

    path: str
    name: str
    verdict: Verdict
    proof: Proof = field(default_factory=Proof)

    @property
    def passes(self) -> bool:
        """Whether it passed every time."""
        return self.verdict.outcome in {Outcome.ACCEPTED, Outcome.NO_GAIN}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an arm's files are worth.

    Attributes:
        files: Each as it was left.
        tests: Each new test function.
        trial: The gaining ones together in several orders.
    """

    files: tuple[JudgedFile, ...] = ()
    tests: tuple[JudgedTest, ...] = ()
    trial: Trial = field(default_factory=lambda: Trial(0, 0, (), ()))

    @property
    def gained_as_left(self) -> LinesByPath:
        """Changed lines newly covered by the files that pass as a whole."""
        return _united(file.gained for file in self.files)

    @property
    def gained(self) -> LinesByPath:
        """Changed lines newly covered by tests that pass, in whatever file."""
        return _united(test.verdict.gained for test in self.tests if test.verdict.outcome is Outcome.ACCEPTED)

    @property
    def tried(self) -> frozenset[Mutant]:
        """Mutants that any test was run with."""
        return frozenset(mutant for test in self.tests for mutant in (*test.proof.killed, *test.proof.survived))

    @property
    def killed(self) -> frozenset[Mutant]:
        """Those that at least one test notices."""
        return frozenset(mutant for test in self.tests for mutant in test.proof.killed)


async def judge(
    files: Mapping[str, str], existing: Mapping[str, str], ground: Ground, store: RunStore, most: int = MUTANTS
) -> Judgement:
    """Judge what an arm leaves behind.

    Args:
        files: Its test files, as path → text.
        existing: The texts of those of them that stand in the tree at head: the tests there are nobody's gain.
        ground: The case.
        store: Runs that are known.
        most: Mutants to try a test with at most.
    """
    if not ground.targets:
        return Judgement()
    whole = [await _judge_file(path, text, existing.get(path, ""), ground) for path, text in files.items()]
    ledger, requirement = Ledger(ground.runner, store), Requirement(ground.missing(), RUNS - 1)
    tests = [
        JudgedTest(path, name, await assure(_candidate(path, name, text, ground.targets[0]), ledger, requirement))
        for path, text in files.items()
        for name in new_tests(text, existing.get(path, ""))
    ]
    gaining = tuple(test.verdict for test in tests if test.verdict.outcome is Outcome.ACCEPTED)
    found = Yield(gaining, len(gaining), len(gaining), len(files), Usage(), ledger, gaining)
    proved = dict(zip(map(id, gaining), await proofs(found, ground, store, most), strict=True))
    trial = await try_accepted(gaining, ground.runner, again=0)
    judged = tuple(
        JudgedTest(test.path, test.name, test.verdict, proved.get(id(test.verdict), test.proof)) for test in tests
    )
    return Judgement(tuple(whole), judged, trial)


async def _judge_file(path: str, text: str, before: str, ground: Ground) -> JudgedFile:
    runs: list[SuiteRun] = []
    for _ in range(RUNS):
        runs.append(await ground.runner.run_files({path: text}))
        if reason := _fault(runs[-1]):
            again = f"passed, then: {reason}" if len(runs) > 1 else reason
            return JudgedFile(path, len(new_tests(text, before)), passed=False, reason=again, gained={})
    gained = {}
    for measured, lines in ground.missing().items():
        always = lines.intersection(
            *(run.coverage[measured].executed if measured in run.coverage else frozenset() for run in runs)
        )
        if always:
            gained[measured] = always
    return JudgedFile(path, len(new_tests(text, before)), passed=True, reason="", gained=gained)


def _fault(run: SuiteRun) -> str:
    """Why a file's run is no success; empty when it is one."""
    if run.problem:
        return run.problem
    if run.failed:
        first = run.failures[0] if run.failures else None
        return f"{run.failed} failed" + (
            f", first {first.kind}: {' '.join(first.message.split())[:200]}" if first else ""
        )
    return "" if run.passed else "no test ran"


def new_tests(text: str, before: str) -> tuple[str, ...]:
    """Names of the test functions of a file that the file before did not have, or had otherwise; each once.

    Of a text that is no Python there are none.
    """
    known = {name: ast.dump(node) for name, node in _tests(before)}
    return tuple(dict.fromkeys(name for name, node in _tests(text) if known.get(name) != ast.dump(node)))


def alone(text: str, name: str) -> str:
    """A test file without its other test functions; all else stays as it is."""
    lines = text.split("\n")
    for node in reversed([other for found, other in _tests(text) if found != name]):
        indent = lines[node.lineno - 1].encode()[: node.col_offset].decode()
        # A class must not be left empty.
        lines[definition_start(node) - 1 : node.end_lineno or node.lineno] = [f"{indent}pass"] if indent else []
    return "\n".join(lines)


def _tests(text: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Test functions at the top level and in classes, in the order of the file."""
    try:
        tree = parse_tree(text)
    except SourceError:
        return
    for node in tree.body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        for child in inner:
            if isinstance(child, FunctionNode) and child.name.startswith("test"):
                yield f"{prefix}{child.name}", child


def _candidate(path: str, name: str, text: str, target: ChangedMethod) -> Candidate:
    """A test as the runners want it; whose lines it gains is told by its runs, not by its target."""
    context = Context(target, "", "", target.lines, path)
    reply = Reply(Prompt(context, (), "", 1), text, "", Usage())
    return Candidate(reply, name, alone(text, name))


def _united(found: Iterable[LinesByPath]) -> LinesByPath:
    lines: defaultdict[str, Lines] = defaultdict(frozenset)
    for gained in found:
        for path, some in gained.items():
            lines[path] |= some
    return dict(lines)
