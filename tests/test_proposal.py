from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from pydantic import ValidationError
from tests.samples import changed_method, prompt, reply

from llm_testgen.proposal import CoverageFigures, Proposal, funnel
from llm_testgen.records import (
    Candidate,
    ChangedMethod,
    DiffCoverage,
    Ending,
    Inline,
    Label,
    Mutant,
    Outcome,
    Placement,
    Proof,
    Regression,
    Run,
    Skip,
    TestFile,
    Usage,
    Verdict,
)
from llm_testgen.reporting import (
    coverage_figures,
    file_records,
    inline_records,
    regression_records,
    skip_records,
    suggestion_records,
    target_records,
    usage_record,
    verdict_record,
)

GAINED = {"src/pkg/mod.py": frozenset({2, 1})}
TEST = "tests/test_mod.py"
BEFORE = "import os\r\n\ud7ff = '\U0001f600'\n".replace("\ud7ff", "x")
AFTER = f"{BEFORE}def test_it():\n    pass\n"
PATH = "src/pkg/mod.py"
INLINE = "import os\nx = '\U0001f600'\n\n\ndef test_it():\n    pass"


def mutant(line: int, before: str = "<", after: str = "<=") -> Mutant:
    return Mutant(changed_method().method, line, "comparison", before, after, "def double(x): ...")


PROOF = Proof(killed=(mutant(1),), survived=(mutant(2),), idle=("assert True",))


def told(line: int) -> dict[str, object]:
    """A mutant as the proposal holds it."""
    return {"path": PATH, "line": line, "operator": "comparison", "before": "<", "after": "<="}


def verdict(outcome: Outcome, target: ChangedMethod | None = None, **fields) -> Verdict:
    gained = GAINED if outcome in {Outcome.ACCEPTED, Outcome.UNCONFIRMED} else {}
    candidate = Candidate(reply("the reply", target), "test_it", "def test_it():\n    pass\n", ("mended",), ("4",))
    return Verdict(candidate, outcome, gained=gained, **{"proof": PROOF, "label": Label.PINS} | fields)


def proposal(*verdicts: Verdict) -> Proposal:
    placements = [
        Placement(entry.candidate, TEST, entry.candidate.name, ("import os",), ("def test_it():\n    pass",))
        for entry in verdicts
        if entry.outcome is Outcome.ACCEPTED
    ]
    inlines = [Inline(1, 2, INLINE, tuple(placements))] if placements else []
    accepted = tuple(index for index, entry in enumerate(verdicts) if entry.outcome is Outcome.ACCEPTED)
    path = "src/pkg/mod.py"
    before = DiffCoverage({path: frozenset({1, 2, 3, 4})}, {path: frozenset({1})}, 25.0)
    after = replace(before, covered={path: frozenset({1, 2, 3})}, percent=75.0)
    return Proposal(
        base="a" * 40,
        head="b" * 64,
        coverage=coverage_figures(before, after),
        targets=target_records([changed_method()]),
        skipped=skip_records([Skip("src/pkg/other.py", "not valid Python"), Skip("a b/é.py", "a stub", "C.f")]),
        verdicts=tuple(map(verdict_record, verdicts)),
        accepted=accepted,
        files=file_records([TestFile(TEST, BEFORE, AFTER)]),
        suggestions=suggestion_records(verdicts, placements),
        inline=inline_records(inlines, placements),
        funnel=funnel(3, verdicts),
        usage=usage_record(Usage(10, 20, 1.23456), 7.00049),
        notes=("a note",),
        regressions=regression_records([Regression(verdict(Outcome.FAILING).candidate, "assert x", "1", "2", "y")]),
    )


def document(**changes: object) -> str:
    """A valid proposal as JSON with some of its keys replaced; a dotted name goes into what lies inside."""
    data = json.loads(proposal(verdict(Outcome.ACCEPTED)).model_dump_json())
    for dotted, value in changes.items():
        *way, last = dotted.split("__")
        place = data
        for key in way:
            place = place[int(key) if key.isdigit() else key]
        place[last] = value
    return json.dumps(data)


def refused_at(text: str) -> set[str]:
    with pytest.raises(ValidationError) as raised:
        Proposal.model_validate_json(text)
    return {".".join(map(str, error["loc"])) for error in raised.value.errors()}


def test_a_proposal_survives_being_written_and_read():
    made = proposal(*map(verdict, Outcome))
    assert Proposal.model_validate_json(made.model_dump_json(indent=2)) == made


def test_a_proposal_says_its_version():
    assert json.loads(proposal().model_dump_json())["version"] == 3


def test_a_verdict_is_told_whole():
    runs = (
        Run(Ending.PASSED, seconds=1.0),
        Run(Ending.TIMEOUT, seconds=20.0),
        Run(Ending.PASSED, seconds=1.00061),
        Run(Ending.PASSED, seconds=9.0),
    )
    target = changed_method()
    answer = replace(reply("the reply"), prompt=prompt(target, attempt=2), model="m")
    gained = {"b.py": frozenset({3, 1}), "a.py": frozenset({2})}
    candidate = Candidate(answer, "TestIt::test_it", "code", ("one", "two"), ("1", "2"))
    record = verdict_record(Verdict(candidate, Outcome.FLAKY, "passed, then: x", gained, runs, PROOF, Label.HARDENS))
    assert record.model_dump() == {
        "target": "src/pkg/mod.py::double",
        "name": "TestIt::test_it",
        "outcome": Outcome.FLAKY,
        "reason": "passed, then: x",
        "code": "code",
        "gained": {"a.py": (2,), "b.py": (1, 3)},
        "attempt": 2,
        "repairs": ("one", "two"),
        "runs": (Ending.PASSED, Ending.TIMEOUT, Ending.PASSED, Ending.PASSED),
        "model": "m",
        "seconds": 1.001,
        "observed": ("1", "2"),
        "killed": (told(1),),
        "survived": (told(2),),
        "idle": ("assert True",),
        "label": Label.HARDENS,
    }
    assert list(record.gained) == ["a.py", "b.py"]


def test_a_test_that_never_passed_took_no_time():
    assert verdict_record(verdict(Outcome.FAILING, runs=(Run(Ending.FAILED, seconds=3.0),))).seconds == 0


def test_a_reply_that_rambles_is_cut():
    long = replace(verdict(Outcome.UNPARSABLE), candidate=Candidate(reply("x"), "", "x" * 200_000))
    assert len(verdict_record(long).code) == 100_000


def test_a_verdict_that_did_not_come_so_far_has_no_proof():
    record = verdict_record(Verdict(Candidate(reply("x"), "test_it", "code"), Outcome.BROKEN))
    assert (record.observed, record.killed, record.survived, record.idle, record.label) == ((), (), (), (), None)


def test_a_possible_regression_is_told_with_both_values():
    candidate = Candidate(reply("x"), "test_it", "x" * 200_000)
    (record,) = regression_records([Regression(candidate, "assert f() == 1", "1", "2", "AssertionError: 2 != 1")])
    assert record.model_dump() == {
        "target": "src/pkg/mod.py::double",
        "name": "test_it",
        "code": "x" * 100_000,
        "assertion": "assert f() == 1",
        "expected": "1",
        "actual": "2",
        "reason": "AssertionError: 2 != 1",
    }


def test_targets_are_told_with_their_lines_in_order():
    (record,) = target_records([replace(changed_method(), lines=frozenset({30, 2, 1}))])
    assert (record.id, record.path, record.lines) == ("src/pkg/mod.py::double", "src/pkg/mod.py", (1, 2, 30))


def test_the_digest_of_a_target_tells_its_source_at_head_and_nothing_else():
    target = changed_method("@property\ndef p(self):\n    return 1\n\n\ndef p(self):\n    return 2\n", "p")
    moved = changed_method(
        "X = 1\n\n\n@property\ndef p(self):\n    return 1\n\n\ndef p(self):\n    return 2\n", "p", "other.py"
    )
    changed = changed_method("@property\ndef p(self):\n    return 1\n\n\ndef p(self):\n    return 3\n", "p")
    digests = [record.digest for record in target_records([target, moved, changed])]
    assert digests[0] == digests[1] != digests[2]
    source = "@property\ndef p(self):\n    return 1\ndef p(self):\n    return 2"
    assert digests[0] == hashlib.sha256(source.encode()).hexdigest()[:16]


def test_a_path_that_cannot_be_told_is_shown_otherwise_where_it_was_left_out():
    (record,) = skip_records([Skip("a\\b\n.py", "no reason")])
    assert record.path == "a\ufffdb\ufffd.py"


def test_suggestions_name_the_verdicts_and_inline_ones_the_suggestions():
    made = proposal(*map(verdict, [Outcome.FAILING, Outcome.ACCEPTED, Outcome.FLAKY, Outcome.ACCEPTED]))
    assert [suggestion.verdict for suggestion in made.suggestions] == [1, 3]
    assert made.suggestions[0].model_dump() == {
        "verdict": 1,
        "path": TEST,
        "name": "test_it",
        "imports": ("import os",),
        "pieces": ("def test_it():\n    pass",),
        "into": "",
    }
    (inline,) = made.inline
    assert inline.model_dump() == {"path": TEST, "suggestions": (0, 1), "start": 1, "line": 2, "text": INLINE}


def test_figures_count_the_lines_of_all_files():
    before = DiffCoverage({"a.py": frozenset({1, 2}), "b.py": frozenset({1})}, {"a.py": frozenset({1})}, 33.33)
    after = replace(before, covered={"a.py": frozenset({1, 2}), "b.py": frozenset({1})}, percent=100.0)
    assert coverage_figures(before, after) == CoverageFigures(
        before=33.33, after=100.0, changed_lines=3, covered_before=1, covered_after=3
    )


def test_seconds_are_rounded_to_milliseconds():
    record = usage_record(Usage(1, 2, 0.123456), 9.87654)
    assert (record.tokens_in, record.tokens_out, record.seconds, record.total_seconds) == (1, 2, 0.123, 9.877)


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        (Outcome.UNPARSABLE, (0, 0, 0, 0, 0, 0)),
        (Outcome.UNSAFE, (1, 0, 0, 0, 0, 0)),
        (Outcome.BROKEN, (1, 0, 0, 0, 0, 0)),
        (Outcome.FAILING, (1, 1, 0, 0, 0, 0)),
        (Outcome.FLAKY, (1, 1, 1, 0, 0, 0)),
        (Outcome.NO_GAIN, (1, 1, 1, 1, 0, 0)),
        (Outcome.UNCONFIRMED, (1, 1, 1, 1, 1, 0)),
        (Outcome.ACCEPTED, (1, 1, 1, 1, 1, 1)),
    ],
)
def test_each_outcome_leaves_the_funnel_at_its_filter(outcome, counts):
    found = funnel(1, [verdict(outcome)])
    assert found.replies == 1
    assert (found.candidates, found.built, found.passed, found.stable, found.gained, found.accepted) == counts


def test_a_test_that_others_made_superfluous_did_gain():
    superfluous = replace(verdict(Outcome.NO_GAIN), gained=GAINED)
    found = funnel(1, [superfluous])
    assert (found.gained, found.accepted) == (1, 0)


def test_every_filter_of_the_funnel_lets_through_no_more_than_the_one_before():
    found = funnel(4, [*map(verdict, Outcome), *map(verdict, Outcome)])
    assert (found.replies, found.candidates) == (4, 2 * (len(Outcome) - 1))
    counts = [found.candidates, found.built, found.passed, found.stable, found.gained, found.accepted]
    assert counts == sorted(counts, reverse=True)
    assert found.accepted == 2


@pytest.mark.parametrize("version", [0, 1, 2, 4, "3", None, 2.5])
def test_another_version_is_refused(version):
    assert refused_at(document(version=version)) == {"version"}


@pytest.mark.parametrize(
    "place",
    [
        "extra",
        "coverage__extra",
        "verdicts__0__extra",
        "files__0__extra",
        "usage__extra",
        "suggestions__0__extra",
        "inline__0__extra",
        "verdicts__0__killed__0__extra",
        "verdicts__0__survived__0__extra",
        "regressions__0__extra",
    ],
)
def test_unknown_keys_are_refused_everywhere(place):
    assert refused_at(document(**{place: 1})) == {place.replace("__", ".")}


@pytest.mark.parametrize(
    "place",
    [
        "targets__0__path",
        "skipped__0__path",
        "files__0__path",
        "suggestions__0__path",
        "inline__0__path",
        "verdicts__0__killed__0__path",
        "verdicts__0__survived__0__path",
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x.py",
        "a/../../x.py",
        "a/..",
        "a//b.py",
        "./a.py",
        "a/",
        ".git/hooks/x.py",
        "a/.GIT/x.py",
        "a\\b.py",
        "a\0.py",
        "a\n.py",
        "a\x1b[0m.py",
        "a\x85.py",
        "a\u2028.py",
        "a" * 1025,
    ],
)
def test_paths_that_leave_the_repository_are_refused(place, path):
    assert refused_at(document(**{place: path})) == {place.replace("__", ".")}


@pytest.mark.parametrize(
    "path", ["a.py", "a b/é 試.py", "..a/b..py", "a/....py", "-x/test.py", ".github/x.py", "a" * 1021 + ".py"]
)
def test_paths_inside_the_repository_are_taken(path):
    text = document(files__0__path=path, suggestions__0__path=path, inline__0__path=path)
    assert Proposal.model_validate_json(text).files[0].path == path


@pytest.mark.parametrize("path", [".github/workflows/ci.yml", "setup.cfg", "tests/run.sh", "tests/test_mod.py.txt"])
def test_tests_are_added_to_python_files_alone(path):
    text = document(files__0__path=path, suggestions__0__path=path, inline__0__path=path)
    assert refused_at(text) == {"files.0.path"}


@pytest.mark.parametrize(
    "place",
    ["usage__tokens_in", "usage__total_seconds", "funnel__replies", "verdicts__0__attempt", "verdicts__0__seconds"],
)
def test_a_number_that_no_run_reaches_is_refused(place):
    assert refused_at(document(**{place: 10**4_000})) == {place.replace("__", ".")}


@pytest.mark.parametrize("path", ["/a.py", "../a.py"])
def test_paths_of_gained_lines_are_checked_too(path):
    assert len(refused_at(document(verdicts__0__gained={path: [1]}))) == 1


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("targets__0__lines", [0]),
        ("targets__0__lines", [-1]),
        ("verdicts__0__gained", {"a.py": [-5]}),
        ("targets__0__lines", [1.5]),
        ("targets__0__lines", list(range(1, 200_002))),
        ("verdicts__0__attempt", 0),
        ("verdicts__0__outcome", "splendid"),
        ("verdicts__0__runs", ["passed", "well"]),
        ("verdicts__0__code", "x" * 100_001),
        ("verdicts__0__reason", "x" * 20_001),
        ("verdicts__0__name", "x" * 20_001),
        ("verdicts__0__repairs", ["x" * 20_001]),
        ("skipped__0__reason", "x" * 20_001),
        ("notes", ["x" * 20_001]),
        ("notes", ["x"] * 100_001),
        ("verdicts__0__runs", ["passed"] * 1_001),
        ("verdicts__0__repairs", ["x"] * 1_001),
        ("verdicts__0__label", "splendid"),
        ("verdicts__0__observed", ["x"] * 1_001),
        ("verdicts__0__observed", ["x" * 20_001]),
        ("verdicts__0__idle", ["x"] * 1_001),
        ("verdicts__0__idle", ["x" * 20_001]),
        ("verdicts__0__killed", [told(1)] * 1_001),
        ("verdicts__0__survived", [told(1)] * 1_001),
        ("verdicts__0__killed__0__line", 0),
        ("verdicts__0__killed__0__line", 10**13),
        ("verdicts__0__survived__0__operator", "x" * 20_001),
        ("verdicts__0__survived__0__before", "x" * 20_001),
        ("verdicts__0__survived__0__after", "x" * 20_001),
        ("regressions__0__target", "x" * 20_001),
        ("regressions__0__name", "x" * 20_001),
        ("regressions__0__code", "x" * 100_001),
        ("regressions__0__assertion", "x" * 20_001),
        ("regressions__0__expected", "x" * 20_001),
        ("regressions__0__actual", "x" * 20_001),
        ("regressions__0__reason", "x" * 20_001),
        ("verdicts__0__gained", {f"{number}.py": [1] for number in range(100_001)}),
        ("verdicts__0__seconds", -0.1),
        ("verdicts__0__seconds", float("nan")),
        ("targets__0__digest", "a" * 15),
        ("targets__0__digest", "A" * 16),
        ("accepted", [0] * 100_001),
        ("files__0__before", "x" * 2_000_001),
        ("files__0__after", "x" * 2_000_001),
        ("suggestions__0__verdict", -1),
        ("suggestions__0__pieces", []),
        ("suggestions__0__pieces", ["x" * 100_001]),
        ("suggestions__0__pieces", ["x"] * 1_001),
        ("suggestions__0__imports", ["x" * 20_001]),
        ("suggestions__0__imports", ["x"] * 1_001),
        ("suggestions__0__name", "x" * 20_001),
        ("suggestions__0__into", "x" * 20_001),
        ("inline__0__start", 0),
        ("inline__0__line", 0),
        ("inline__0__suggestions", []),
        ("inline__0__suggestions", [-1]),
        ("inline__0__suggestions", [0] * 100_001),
        ("inline__0__text", "x" * 2_000_001),
        ("coverage__before", 100.5),
        ("coverage__after", -1),
        ("coverage__after", float("nan")),
        ("coverage__changed_lines", -1),
        ("usage__seconds", -0.1),
        ("usage__seconds", float("inf")),
        ("funnel__replies", -1),
        ("base", "HEAD"),
        ("base", "a" * 39),
        ("head", "A" * 40),
        ("head", "a" * 40 + "\n"),
        ("accepted", [-1]),
        ("files", None),
    ],
)
def test_values_out_of_bounds_are_refused(place, value):
    found = refused_at(document(**{place: value}))
    assert found
    assert all(where.startswith(place.replace("__", ".")) for where in found)


@pytest.mark.parametrize("accepted", [[1], [0, 0], [10**9]])
def test_what_is_accepted_must_be_among_the_verdicts_and_once(accepted):
    assert refused_at(document(accepted=accepted))


def test_what_is_accepted_must_have_been_accepted():
    assert refused_at(document(verdicts__0__outcome="failing"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"suggestions": []}, "each accepted verdict once"),
        ({"suggestions__0__verdict": 1}, "each accepted verdict once"),
        ({"accepted": []}, "each accepted verdict once"),
        ({"suggestions__0__path": "other.py", "inline__0__path": "other.py"}, "one of the files"),
        ({"inline__0__suggestions": [1]}, "each at most once"),
        ({"inline__0__suggestions": [0, 0]}, "each at most once"),
        ({"inline__0__suggestions": [10**9]}, "each at most once"),
        ({"inline__0__path": "other.py"}, "about the file of its suggestions"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(changes, told):
    with pytest.raises(ValidationError, match=told):
        Proposal.model_validate_json(document(**changes))


def test_a_file_must_not_stand_there_twice():
    data = json.loads(document())
    data["files"] *= 2
    with pytest.raises(ValidationError, match="a path of their own"):
        Proposal.model_validate(data)


def test_a_suggestion_stands_in_one_inline_suggestion_at_most():
    data = json.loads(document())
    data["inline"] *= 2
    with pytest.raises(ValidationError, match="each at most once"):
        Proposal.model_validate(data)


@pytest.mark.parametrize(
    ("start", "line", "text"),
    [
        (2, 1, INLINE),
        (1, 4, INLINE),
        (2, 3, INLINE),
        (1, 2, "import os\ndef test_it(): pass"),
        (1, 2, "x = '\U0001f600'\nimport os\ndef test_it(): pass"),
        (1, 2, "import os\nx = '\U0001f600'"),
        (1, 1, "import os"),
        (1, 1, "import  os\ndef test_it(): pass"),
        (1, 1, ""),
    ],
)
def test_an_inline_suggestion_that_would_lose_a_line_or_add_none_is_refused(start, line, text):
    with pytest.raises(ValidationError, match="must keep the lines"):
        Proposal.model_validate_json(document(inline__0__start=start, inline__0__line=line, inline__0__text=text))


def test_an_inline_suggestion_is_about_a_file_that_is_there():
    with pytest.raises(ValidationError, match="must keep the lines"):
        Proposal.model_validate_json(
            document(files__0__before="", inline__0__line=1, inline__0__text="\ndef test_it(): pass")
        )


@pytest.mark.parametrize(("start", "refused"), [(1, True), (2, True), (3, False)])
def test_no_line_is_replaced_by_two_inline_suggestions(start, refused):
    data = json.loads(proposal(verdict(Outcome.ACCEPTED), verdict(Outcome.ACCEPTED)).model_dump_json())
    data["files"][0]["before"] = "a\nb\nc\nd\n"
    data["inline"] = [
        {"path": TEST, "suggestions": [1], "start": start, "line": 3, "text": "a\nb\nc\nx"},
        {"path": TEST, "suggestions": [0], "start": 1, "line": 2, "text": "a\nb\nx"},
    ]
    if refused:
        with pytest.raises(ValidationError, match="must keep the lines"):
            Proposal.model_validate(data)
    else:
        assert len(Proposal.model_validate(data).inline) == 2


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"version": 3}', "{" * 5000])
def test_what_is_no_proposal_is_refused(text):
    assert refused_at(text)


def test_a_proposal_cannot_be_changed():
    made = proposal()
    with pytest.raises(ValidationError, match="frozen"):
        made.base = "c" * 40
