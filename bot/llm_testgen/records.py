"""The frozen records that flow through the pipeline, in its order.

Each record carries the one that it came from, so that a verdict can always be explained. Lines are
1-based line numbers of a file at the head revision; paths are relative to the repository's root, with
forward slashes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

Lines = frozenset[int]
LinesByPath = Mapping[str, Lines]
# A line and the one that followed it; negative for leaving a definition, as coverage counts.
BranchesByPath = Mapping[str, frozenset[tuple[int, int]]]

MODULE_QUALNAME = "<module>"


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A regular file of a tree: its path and the id of the git blob that its bytes have."""

    path: str
    blob: str
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every regular file of one revision or of the working tree; symlinks and submodules are left out.

    Attributes:
        commit: The revision; for the working tree the commit that it stands on.
        files: In path order.
        read: Gives the bytes of one of the files.
    """

    commit: str
    files: tuple[TreeFile, ...]
    read: Callable[[TreeFile], bytes] = field(repr=False)


class FileStatus(StrEnum):
    """What a change did to a file."""

    ADDED = "added"
    MODIFIED = "modified"
    RENAMED = "renamed"
    DELETED = "deleted"


class FileType(StrEnum):
    """What stands at a path of a tree."""

    REGULAR = "regular"
    SYMLINK = "symlink"
    SUBMODULE = "submodule"


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a diff between two trees.

    Attributes:
        path: Path at head; at base when the file was deleted.
        old_path: Path at base; equal to ``path`` unless the file was renamed or moved; empty when added.
        status: What happened to it.
        type: What stands there at head (at base when deleted).
        old: Bytes at base; empty when added.
        new: Bytes at head; empty when deleted.
        added_lines: Lines of head that ``git diff`` marks with ``+``.
        generated: ``.gitattributes`` says ``linguist-generated``.
        vendored: ``.gitattributes`` says ``linguist-vendored``.
    """

    path: str
    old_path: str
    status: FileStatus
    type: FileType
    old: bytes
    new: bytes
    added_lines: Lines
    generated: bool = False
    vendored: bool = False


class Hunk(NamedTuple):
    """Lines ``start`` to ``end`` of a file at head that ``git diff`` shows in one piece, context lines included."""

    start: int
    end: int


HunksByPath = Mapping[str, tuple[Hunk, ...]]


class MethodKind(StrEnum):
    """What a `Method` is. The body of a class, outside its methods, counts as one; so does a module's."""

    FUNCTION = "function"
    METHOD = "method"
    CLASS = "class"
    MODULE = "module"


@dataclass(frozen=True, slots=True)
class Method:
    r"""One definition at one revision that a test can address from outside.

    A function nested in another belongs to the one around it: nothing else can call it.

    Attributes:
        path: File that holds it.
        qualname: Dotted name inside the module, such as ``Class.method``; ``<module>`` for module-level code.
        kind: What it is.
        start: First line, decorators included.
        end: Last line.
        signature: The header in one line, without decorators: ``async def f(a: int = 1) -> str``;
            ``class C(Base)`` for a class; empty for a module.
        docstring: Its docstring, cleaned as by `inspect.cleandoc`; empty when there is none.
        source: Lines ``start`` to ``end`` as they stand in the file, newlines as ``\\n``.
    """

    path: str
    qualname: str
    kind: MethodKind
    start: int
    end: int
    signature: str
    docstring: str
    source: str

    @property
    def id(self) -> str:
        """``path::qualname``, the name by which people and records refer to it."""
        return f"{self.path}::{self.qualname}"

    @property
    def name(self) -> str:
        """The last part of the qualified name."""
        return self.qualname.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Mutant:
    r"""A definition with one small fault in it: a test that passes all the same does not check what stands there.

    Attributes:
        definition: What it takes the place of.
        line: Line of the file where the fault begins.
        operator: The kind of fault in a word or two, such as ``comparison`` or ``return value``.
        before: What stood there, in one line.
        after: What stands there instead, in one line.
        source: The whole definition with the fault, as ``definition.source`` is written: same indentation, decorators
            included, newlines as ``\\n``.
    """

    definition: Method
    line: int
    operator: str
    before: str
    after: str
    source: str

    @property
    def path(self) -> str:
        """File that holds it."""
        return self.definition.path


class Spot(StrEnum):
    """Where a contract stands, seen from a statement of its definition."""

    BEFORE = "before"
    AFTER = "after"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Contract:
    """An assertion that a definition can hold: what must be so there whenever it runs.

    Attributes:
        definition: What it is added to.
        spot: Where it stands. At a ``return`` it speaks of the value, which gets a name for that.
        line: Line of the file where the statement begins that it stands at, decorators included.
        statement: The ``assert``, in one line and without indentation.
        name: What it calls the value that is returned; empty where it does not stand at a ``return``.
    """

    definition: Method
    spot: Spot
    line: int
    statement: str
    name: str = ""

    @property
    def path(self) -> str:
        """File that holds it."""
        return self.definition.path


@dataclass(frozen=True, slots=True)
class Upheld:
    """A contract that held in every run, and what it proved to notice.

    Attributes:
        contract: The contract.
        killed: Mutants that break it, and that the existing tests do not notice.
        earlier: Mutants that break it and that existing tests notice too, if not in the place where the fault is.
        survived: Mutants that do not break it.
    """

    contract: Contract
    killed: tuple[Mutant, ...] = ()
    earlier: tuple[Mutant, ...] = ()
    survived: tuple[Mutant, ...] = ()


class ChangeStatus(StrEnum):
    """Whether the base revision already had the method."""

    ADDED = "added"
    MODIFIED = "modified"


@dataclass(frozen=True, slots=True)
class ChangedMethod:
    """A method that a change added or modified: what tests are generated for.

    Attributes:
        definitions: Every definition of that name at head, in file order: overloads, a property with its
            setter, both branches of an ``if``. At least one; the last is the one that usually runs.
        lines: Changed lines inside the definitions that hold code of their own.
        status: Whether base had it.
        base_source: Its source at base, all definitions joined; empty when it was added.
    """

    definitions: tuple[Method, ...]
    lines: Lines
    status: ChangeStatus
    base_source: str = ""

    @property
    def method(self) -> Method:
        """The definition that stands for all."""
        return self.definitions[-1]

    @property
    def id(self) -> str:
        """``path::qualname``."""
        return self.method.id

    @property
    def path(self) -> str:
        """File that holds it."""
        return self.method.path

    @property
    def qualname(self) -> str:
        """Dotted name inside the module."""
        return self.method.qualname


@dataclass(frozen=True, slots=True)
class Skip:
    """Something changed that no tests are generated for, and why."""

    path: str
    reason: str
    qualname: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What lies between two revisions.

    Attributes:
        base: Commit id of the merge base.
        head: Commit id of the head; for a dirty working tree the commit that it stands on.
        targets: The changed methods, in path and line order.
        skipped: What was left out, with reasons.
        changed_lines: Added or modified lines of every changed Python file, exactly as ``git diff`` counts them.
    """

    base: str
    head: str
    targets: tuple[ChangedMethod, ...]
    skipped: tuple[Skip, ...]
    changed_lines: LinesByPath


class Relation(StrEnum):
    """How a related method stands to the target."""

    CALLEE = "callee"
    CALLER = "caller"
    INIT = "init"
    CLASS = "class"
    BASE = "base"
    OVERRIDE = "override"


@dataclass(frozen=True, slots=True)
class RelatedMethod:
    """A method that helps to understand the target."""

    method: Method
    relation: Relation


class Detail(StrEnum):
    """How much of a related method a prompt shows."""

    BODY = "body"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True)
class ContextItem:
    """A related method as the prompt will show it."""

    related: RelatedMethod
    detail: Detail
    text: str


@dataclass(frozen=True, slots=True)
class Goal:
    """A block of code that some test should make run.

    Attributes:
        line: Line of its last statement that no test executes.
        statement: That statement in one line.
        conditions: What must hold on the way there, outermost first, as expressions.
    """

    line: int
    statement: str
    conditions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that a prompt about one target says, within the token budget.

    Attributes:
        target: What is to be tested.
        module: Dotted name under which tests import the target's module.
        import_line: The import statement that a test of the target needs.
        uncovered: Changed lines of the target that no existing test executes.
        test_path: The test file to which tests of the target belong; it need not exist.
        goals: What tests must make happen, in the order of the lines.
        items: Related methods, the most telling first.
        example: Source of the nearest existing test, empty when there is none.
        fixtures: Names of the project's fixtures that the example requests: others would tempt without helping.
        commented: The source of ``target.method`` with comments that a model wrote, shown instead of the plain one;
            empty for as it stands.
    """

    target: ChangedMethod
    module: str
    import_line: str
    uncovered: Lines
    test_path: str
    goals: tuple[Goal, ...] = ()
    items: tuple[ContextItem, ...] = ()
    example: str = ""
    fixtures: tuple[str, ...] = ()
    commented: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat: ``system``, ``user`` or ``assistant``."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent to a model.

    Attributes:
        context: What it was made from.
        messages: The chat, without the prefill.
        prefill: The beginning of the reply, which the model is asked to continue; may be empty.
        attempt: 1 for the first prompt about a target, 2 for the first re-prompt, and so on.
        tests: How many tests it asks for.
    """

    context: Context
    messages: tuple[Message, ...]
    prefill: str
    attempt: int
    tests: int = 1

    @property
    def target(self) -> ChangedMethod:
        """The changed method that it asks tests for."""
        return self.context.target


@dataclass(frozen=True, slots=True)
class Usage:
    """What an exchange cost: tokens read, tokens written, seconds of waiting."""

    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        """Both costs together."""
        return Usage(self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out, self.seconds + other.seconds)

    @property
    def tokens(self) -> int:
        """Tokens in and out."""
        return self.tokens_in + self.tokens_out


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered. ``text`` begins with the prompt's prefill, whether the server echoed it or not."""

    prompt: Prompt
    text: str
    model: str
    usage: Usage
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """One test function, as a module of its own that pytest can run.

    Attributes:
        reply: Where it came from.
        name: The test function's name; ``Class::name`` for a method of a test class.
        code: The whole module: imports, helpers, fixtures, the test.
        repairs: What was changed after extraction, in order, in words a reviewer understands.
        observed: Expected values that were taken from a run, as source: of them the test says what is, not what
            should be. A test with such is a characterisation test.
    """

    reply: Reply
    name: str
    code: str
    repairs: tuple[str, ...] = ()
    observed: tuple[str, ...] = ()

    @property
    def target(self) -> ChangedMethod:
        """The changed method that it is meant for."""
        return self.reply.prompt.target

    @property
    def attempt(self) -> int:
        """The attempt that it came from."""
        return self.reply.prompt.attempt

    def repaired(self, code: str, repair: str) -> Candidate:
        """The same candidate with other code, and what was done to it put on record."""
        return replace(self, code=code, repairs=(*self.repairs, repair))


class Ending(StrEnum):
    """How a run's process ended, apart from what that means."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_COLLECTED = "not_collected"
    TIMEOUT = "timeout"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run did not pass.

    Attributes:
        kind: Name of the exception's type, such as ``AssertionError``.
        message: Its text, shortened.
        line: Line of the candidate's code that raised it or led to it; 0 when unknown.
        phase: ``collect``, ``setup``, ``call`` or ``teardown``.
        trace: Where it passed through the candidate and the project, outermost first, as ``path:line in name``.
    """

    kind: str
    message: str
    line: int
    phase: str
    trace: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """What an expression of a test was worth in a run.

    Attributes:
        key: The number under which the test reported it.
        type: Name of the value's type.
        expression: Python source of an equal value that any run can evaluate; empty when there is none.
        imports: Import statements that the expression needs.
        approximate: It holds floating-point numbers, which are to be compared with a tolerance.
    """

    key: int
    type: str
    expression: str = ""
    imports: tuple[str, ...] = ()
    approximate: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a candidate.

    Attributes:
        ending: How it ended.
        failure: Why it did not pass, if it did not.
        covered: Lines of the measured files that it executed.
        seconds: Wall-clock time of the whole run.
        branches: Branches of the measured files that it took.
        cpu: Seconds of CPU that its process took; 0 when unknown.
        memory: Peak of its process's resident memory, in bytes; 0 when unknown.
        observed: What the test reported of its values, in that order.
    """

    ending: Ending
    failure: Failure | None = None
    covered: LinesByPath = field(default_factory=dict)
    seconds: float = 0.0
    branches: BranchesByPath = field(default_factory=dict)
    cpu: float = 0.0
    memory: int = 0
    observed: tuple[Observation, ...] = ()


class Outcome(StrEnum):
    """The filter that a candidate failed, or that it passed them all."""

    UNPARSABLE = "unparsable"
    UNSAFE = "unsafe"
    BROKEN = "broken"
    FAILING = "failing"
    FLAKY = "flaky"
    NO_GAIN = "no_gain"
    VACUOUS = "vacuous"
    UNCONFIRMED = "unconfirmed"
    ACCEPTED = "accepted"


class Label(StrEnum):
    """What a test that passes at head says of the change, by what it does at base."""

    HARDENS = "hardens"
    PINS = "pins"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a test proves about the lines that it covers: which faults in them make it fail.

    Attributes:
        killed: Mutants with which it does not pass.
        survived: Mutants with which it passes all the same.
        idle: Assertions, in one line each, that hold with every mutant that was killed: others kill them.
    """

    killed: tuple[Mutant, ...] = ()
    survived: tuple[Mutant, ...] = ()
    idle: tuple[str, ...] = ()

    @property
    def tried(self) -> int:
        """How many mutants it was run with."""
        return len(self.killed) + len(self.survived)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the chain of filters says of a candidate: the pipeline's single currency.

    Attributes:
        candidate: What was judged. For ``UNPARSABLE`` its code is the reply's text and its name is empty.
        outcome: The filter that stopped it, or ``ACCEPTED``.
        reason: Why it was refused, in one line; empty when accepted.
        gained: Changed lines that it executes and that no existing test does.
        runs: Its executions, in order.
        proof: What it proves; empty where it did not come so far.
        label: What it says of the change; None where that is not known.
    """

    candidate: Candidate
    outcome: Outcome
    reason: str = ""
    gained: LinesByPath = field(default_factory=dict)
    runs: tuple[Run, ...] = ()
    proof: Proof = Proof()
    label: Label | None = None

    @property
    def target(self) -> ChangedMethod:
        """The changed method that it is meant for."""
        return self.candidate.target


@dataclass(frozen=True, slots=True)
class Regression:
    """A test that passes at base and fails at head: either what it expects has changed on purpose, or it broke.

    Attributes:
        candidate: The test, as the model wrote it but for what repairs did before.
        assertion: The assertion that fails at head, in one line.
        expected: What the test expects and base gives, as source; empty where it cannot be told.
        actual: What head gives, as source; empty where it cannot be told.
        reason: How it fails at head, in one line.
    """

    candidate: Candidate
    assertion: str
    expected: str
    actual: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """The statements of one file, and which of them ran.

    Attributes:
        statements: First lines of executable statements, as coverage counts them, exclusions taken out.
        executed: Those that ran.
    """

    statements: Lines
    executed: Lines


CoverageByPath = Mapping[str, FileCoverage]


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """One pytest session over whole test files.

    Attributes:
        passed: Tests that passed.
        failed: Tests that failed, and files that could not be collected.
        skipped: Tests that were skipped or failed as expected.
        coverage: What the session executed, for every measured file that can be analysed, touched or not.
        problem: Why the session did not run to its end, in one line; empty when it did.
        seconds: Wall-clock time.
        failures: The first failures, in order.
        passed_tests: Names of the tests that passed, as ``path::name``.
        failed_tests: Names of the tests that failed.
        timed_out: Whether the problem is that it took too long.
    """

    passed: int
    failed: int
    skipped: int
    coverage: CoverageByPath
    problem: str = ""
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()
    passed_tests: frozenset[str] = frozenset()
    failed_tests: frozenset[str] = frozenset()
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class DiffCoverage:
    """Coverage of the changed lines, as diff-cover counts it: measured lines only.

    Attributes:
        changed: Changed lines that hold a statement, by path.
        covered: Those of them that ran, by path.
        percent: Share of covered lines, from 0 to 100 with two decimals; 100 when nothing was measured.
    """

    changed: LinesByPath
    covered: LinesByPath
    percent: float


@dataclass(frozen=True, slots=True)
class TestFile:
    """A test file that the proposal adds or extends.

    Attributes:
        path: Where it belongs.
        before: Its text at head; empty when the file is new.
        after: Its text with the accepted tests.
    """

    path: str
    before: str
    after: str

    __test__ = False


# What is larger is no test, and no file that tests are added to: in characters.
LONGEST_CODE = 100_000
LONGEST_FILE = 2_000_000


@dataclass(frozen=True, slots=True)
class Placement:
    r"""An accepted test as it goes into its file, complete by itself: it leans on no other placement.

    Any of a file's placements can be added to it together; what several of them bring is then written once.

    Attributes:
        candidate: What was placed.
        path: The file.
        name: Its name there, ``Class::name`` in a class; another one than the candidate's where that was taken.
        imports: Import statements that the file lacks for it, one of them each.
        pieces: Definitions that the file lacks for it, and the test itself as the last; newlines as ``\\n``, with no
            newline at the end.
        into: The class of the file at whose end the test is added as a method, written with that class's indentation;
            empty for a test at the top level.
    """

    candidate: Candidate
    path: str
    name: str
    imports: tuple[str, ...]
    pieces: tuple[str, ...]
    into: str = ""


@dataclass(frozen=True, slots=True)
class Inline:
    r"""A suggestion that a review can make at lines of a file at head: they are replaced by a text that holds them.

    Attributes:
        start: First line that is replaced; both ends lie within one hunk.
        line: Last line that is replaced.
        text: What takes their place: the same lines with the tests put between them; newlines as ``\\n``, with no
            newline at the end.
        placements: The tests that it adds, all of them of one file.
    """

    start: int
    line: int
    text: str
    placements: tuple[Placement, ...]

    @property
    def path(self) -> str:
        """The file that it is about."""
        return self.placements[0].path
