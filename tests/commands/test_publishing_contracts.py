"""Contracts on a pull request: suggestions on the method's own lines, each once, and nothing but assertions."""

from __future__ import annotations

import json

import pytest
from tests.commands.publishing_scene import (
    BRANCH,
    GRADE,
    HEAD_MOD,
    MOD,
    NUMBER,
    Made,
    Scene,
    markers,
    open_scene,
    small,
)
from tests.conftest import GitProject
from tests.delivery.rendering import rendered

from llm_testgen.clauses import AssertRecord, ContractRecord, FaultRecord
from llm_testgen.commands.publishing import Origin, Status
from llm_testgen.delivery.contracts import clauses_of
from llm_testgen.delivery.plan import Delivery, Place, Rules
from llm_testgen.errors import UsageError
from llm_testgen.proposal import Proposal, read_proposal

LINES = HEAD_MOD.split("\n")


def line_of(text: str, lines=LINES) -> int:
    return next(number for number, line in enumerate(lines, start=1) if line.strip() == text)


def contract(line: int, text: str, statement: str, target: str = GRADE, lines=LINES) -> ContractRecord:
    fault = FaultRecord(line=line, operator="comparison", before="x > LIMIT", after="x >= LIMIT")
    one = AssertRecord(text=statement, killed=(fault,))
    before = lines[line - 1]
    return ContractRecord(
        target=target, path=MOD, start=line, line=line, before=before, text=text, asserts=(one,), model="scripted"
    )


def contracts(lines=LINES) -> tuple[ContractRecord, ...]:
    """One before a statement, and one of what is returned."""
    first, last = line_of("if x < 0:", lines), line_of('return "small"', lines)
    returned = '    result = "small"\n    assert result != x\n    return result'
    return (
        contract(first, f"    assert x is not None\n{lines[first - 1]}", "assert x is not None", lines=lines),
        contract(last, returned, "assert result != x", lines=lines),
    )


@pytest.fixture
def asserted(scene: Scene) -> Proposal:
    """The scene's proposal with contracts in the place of tests."""
    update = {"files": (), "suggestions": (), "inline": (), "accepted": (), "contracts": contracts()}
    return read_proposal(scene.proposal.model_copy(update=update).model_dump_json().encode())


def ids(proposal: Proposal) -> list[str]:
    return [clause.id for clause in clauses_of(proposal).found]


def test_each_is_suggested_once_on_its_own_lines(scene, asserted):
    done = scene.publish(asserted)
    assert (done.status, done.reason) == (Status.POSTED, "")
    comments = scene.comments()
    assert [(one["path"], one["line"]) for one in comments] == [(MOD, one.line) for one in asserted.contracts]
    assert [marker.finding for one in comments for marker in markers(one)] == ids(asserted)
    for one, record in zip(comments, asserted.contracts, strict=True):
        assert f"```suggestion\n{record.text}\n```" in one["body"]
        assert "no test which was tried notices: `x > LIMIT` becoming `x >= LIMIT`" in one["body"]
    (review,) = scene.page()["reviews"]
    assert review["body"].split("\n")[1] == "2 assertions for what this pull request changes were run and kept."
    assert "2 assertions to add to the methods; no test to propose" in scene.summary()
    assert "[on the diff](" in scene.summary()
    assert scene.wrote() == ["POST reviews", "POST comments"]


def test_taken_together_they_add_the_assertions_and_nothing_else(scene, asserted):
    scene.publish(asserted)
    texts = scene.fake.apply_suggestions(NUMBER, [one["id"] for one in scene.comments()])
    assert texts == {
        MOD: HEAD_MOD.replace("    if x < 0", "    assert x is not None\n    if x < 0").replace(
            '    return "small"', '    result = "small"\n    assert result != x\n    return result'
        )
    }


def test_a_second_run_posts_nothing_twice(scene, asserted):
    scene.publish(asserted)
    again = scene.publish(asserted)
    assert (again.status, again.drafts) == (Status.NOTHING_NEW, ())
    assert len(scene.comments()) == 2
    assert set(again.report.places.values()) == {Place.DIFF}


def test_what_a_person_resolved_or_deleted_does_not_come_back(scene, asserted):
    scene.publish(asserted)
    first, second = scene.comments()
    scene.fake.react(first["id"], "-1", "contributor")
    scene.fake.remove(second["id"])
    again = scene.publish(asserted, Rules(asked=True))
    assert [one["id"] for one in scene.comments()] == [first["id"]]
    assert set(again.report.places.values()) == {Place.DISMISSED}


def test_tests_and_assertions_stand_side_by_side(scene):
    both = scene.proposal.model_copy(update={"contracts": contracts()})
    done = scene.publish(both)
    assert done.status is Status.POSTED
    found = {marker.finding for one in scene.comments() for marker in markers(one)}
    assert found == {*scene.ids(), *ids(both)}
    (review,) = scene.page()["reviews"]
    assert "4 tests and 2 assertions for what this pull request changes were run" in review["body"]


def test_the_limit_of_a_review_holds_for_them_too(scene, asserted):
    scene.publish(asserted, Rules(most=1))
    assert len(scene.comments()) == 1
    assert "As a patch for <code>git apply</code>" in scene.summary()


def patch_in(body: str) -> str:
    return body.partition("```diff\n")[2].partition("\n```")[0] + "\n"


@pytest.mark.parametrize("delivery", [Delivery.SUMMARY, Delivery.REVIEW])
def test_outside_of_the_diff_they_are_a_patch_in_the_summary_that_applies(tmp_path, made, delivery):
    """The head changes the end of a long file alone, and contracts are about its beginning."""
    project = GitProject(tmp_path / "long")
    project.root.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    project.git("config", "core.autocrlf", "false")
    text = HEAD_MOD + "\n\n" + "".join(f"NUMBER_{number} = {number}\n" for number in range(40))
    text = text.replace("\n", "\r\n")
    project.write(MOD, text)
    base = project.commit("base")
    project.git("checkout", "--quiet", "-b", BRANCH)
    project.write(MOD, f"{text}LAST = 1\r\n")
    head = project.commit("head")
    small(project)
    update = {"files": (), "suggestions": (), "inline": (), "accepted": (), "contracts": contracts()}
    proposal = made.proposal.model_copy(update=update | {"base": base, "head": head})
    with open_scene(Made(project.root, base, head, proposal), tmp_path) as scene:
        done = scene.publish(rules=Rules(delivery))
        assert (done.status, scene.comments()) == (Status.NOTHING_NEW, [])
        assert set(done.report.places.values()) == {Place.SUMMARY}
        summary = scene.summary()
        assert "assert x is not None" in patch_in(summary)
        assert "Proof for <code>grade</code>" in summary
        before = summary
        assert scene.publish(rules=Rules(delivery)).status is Status.NOTHING_NEW
        assert scene.summary() == before


def test_the_patch_of_a_summary_is_one_that_git_takes(scene, asserted, tmp_path):
    scene.publish(asserted, Rules(Delivery.SUMMARY))
    path = tmp_path / "asserts.patch"
    path.write_text(patch_in(scene.summary()))
    scene.project.git("apply", str(path))
    text = (scene.project.root / MOD).read_text()
    assert "    assert x is not None\n    if x < 0:" in text
    assert '    result = "small"\n    assert result != x\n    return result' in text


def refusal(scene, proposal) -> str:
    with pytest.raises(UsageError) as raised:
        scene.publish(proposal)
    assert scene.fake.writes == []
    return str(raised.value)


def with_contracts(asserted: Proposal, *records: ContractRecord) -> Proposal:
    return asserted.model_copy(update={"contracts": records})


@pytest.mark.parametrize(
    "change",
    [
        {"start": 99, "line": 99},
        {"start": 1, "line": 1},
        {"before": "    if x < 1:", "text": "    assert x is not None\n    if x < 1:"},
        {"path": "src/pkg/none.py", "target": "src/pkg/none.py::grade"},
    ],
)
def test_lines_that_are_not_at_head_what_the_proposal_says_are_not_posted(scene, asserted, change):
    record = asserted.contracts[0].model_copy(update=change)
    target = asserted.targets[0].model_copy(update={"id": record.target, "path": record.path})
    proposal = asserted.model_copy(update={"contracts": (record,), "targets": (*asserted.targets, target)})
    assert f"{record.path} is not at {scene.head[:10]} what the proposal says" in refusal(scene, proposal)


@pytest.mark.parametrize(
    ("at", "text", "statement"),
    [
        ('"""Sizes."""', '"""Sizes."""\n    assert x', "assert x"),
        ("raise ValueError(x)", "    assert x\n        raise ValueError(x)", "assert x"),
        ('return "large"', '        assert x\n        return "large"', ""),
        ("return self.side ** 2", "        assert x\n        return self.side ** 2", ""),
    ],
)
def test_the_file_must_stay_the_same_code(scene, asserted, at, text, statement):
    record = contract(line_of(at), text, statement or "assert x")
    proposal = with_contracts(asserted, record)
    if statement:
        assert "what the proposal says" in refusal(scene, proposal)
    else:
        assert scene.publish(proposal).status is Status.POSTED


def test_what_is_proposed_beside_assertions_is_refused_when_it_is_read(asserted):
    data = json.loads(asserted.model_dump_json())
    data["contracts"][0]["text"] += "\n    import os"
    with pytest.raises(UsageError, match="change nothing else"):
        read_proposal(json.dumps(data).encode())


def test_a_secret_is_not_posted(scene, asserted):
    record = contract(
        line_of("if x < 0:"),
        "    assert x != 'correct-horse-battery'\n    if x < 0:",
        "assert x != 'correct-horse-battery'",
    )
    proposal = with_contracts(asserted, record, asserted.contracts[1])
    scene.publish(proposal, origin=Origin("1", secrets=("correct-horse-battery",)))
    assert len(scene.comments()) == 1
    assert "correct-horse" not in scene.sent()
    assert "`assertions for grade`" in scene.summary()


def test_hostile_text_of_a_fault_stays_in_code(scene, asserted):
    text = "```\n</details>\n@everyone <img src=x>"
    fault = FaultRecord(line=1, operator=text, before=text, after=text)
    record = asserted.contracts[0]
    one = record.asserts[0].model_copy(update={"killed": (fault,)})
    scene.publish(with_contracts(asserted, record.model_copy(update={"asserts": (one,), "model": text})))
    (comment,) = scene.comments()
    page = rendered(comment["body"])
    assert (page.unbalanced, page.links) == (False, [])
    assert "@everyone" not in page.outside
    assert "@everyone" in comment["body"]


def test_a_dry_run_tells_what_it_would_post(scene, asserted):
    done = scene.publish(asserted, dry_run=True)
    assert (done.status, scene.fake.writes) == (Status.DRY_RUN, [])
    assert [draft.findings for draft in done.drafts] == [(one,) for one in ids(asserted)]


def test_a_head_with_other_lines_above_gets_the_same_comments_no_second_time(scene, asserted):
    scene.publish(asserted)
    text = HEAD_MOD.replace("LIMIT = 10", "LIMIT = 10\nMORE = 1")
    head = scene.push({MOD: text})
    moved = asserted.model_copy(update={"head": head, "contracts": contracts(text.split("\n"))})
    assert ids(moved) == ids(asserted)
    assert scene.publish(moved).status is Status.NOTHING_NEW
    assert len(scene.comments()) == 2
