"""What stands on the pull request already: posted by an earlier run, dismissed by a person, forged by another."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from tests.commands.publishing_scene import (
    AREA,
    BOT,
    GRADE,
    HEAD_TESTS,
    MOD,
    NUMBER,
    OF_BOX,
    OF_GRADE,
    RIGHTS,
    TESTS,
    TOP,
    about,
    findings,
    is_summary,
    markers,
    moved,
)

from llm_testgen.commands.publishing import Status
from llm_testgen.delivery.markers import SummaryMarker, summary_marker
from llm_testgen.delivery.plan import Place, Rules

SWAPPED = f"{TOP}{OF_BOX}\n\n{OF_GRADE}"
BOX_LINES, GRADE_LINES = OF_BOX.count("\n") + 2, OF_GRADE.count("\n") + 2
# A commit after which the comments still stand where they are.
ELSEWHERE = {"README.md": "Sizes.\n"}


@dataclass(frozen=True)
class Dismissal:
    """How a person says no to a comment."""

    name: str

    def __call__(self, scene, comment: int) -> None:
        match self.name:
            case "resolved":
                scene.fake.resolve(comment)
            case "thumbs down":
                scene.fake.react(comment, "-1", "reviewer")
            case "deleted":
                scene.fake.remove(comment)
            case "minimised":
                scene.fake.minimize(comment, "RESOLVED")


@pytest.fixture(params=["resolved", "thumbs down", "deleted", "minimised"])
def dismiss(request):
    return Dismissal(request.param)


def of(proposal, target: str) -> list[str]:
    return [finding.id for finding in findings(proposal) if finding.target.id == target]


def test_what_a_person_dismissed_does_not_come_back(scene, dismiss):
    scene.publish()
    comment = scene.comments()[0]
    gone = [marker.finding for marker in markers(comment)]
    dismiss(scene, comment["id"])
    before = scene.comments()
    done = scene.publish()
    assert (done.status, done.drafts) == (Status.NOTHING_NEW, ())
    assert scene.comments() == before
    assert {done.report.places[finding] for finding in gone} == {Place.DISMISSED}
    assert "dismissed before" in scene.summary()
    writes = len(scene.fake.writes)
    scene.publish()
    assert len(scene.fake.writes) == writes


def test_what_a_person_dismissed_does_not_come_back_at_a_new_head(scene, dismiss):
    scene.publish()
    comment = scene.comments()[0]
    gone = {marker.finding for marker in markers(comment)}
    dismiss(scene, comment["id"])
    before = scene.comments()
    later = moved(scene.proposal, scene.push(ELSEWHERE), {})
    done = scene.publish(later)
    assert done.status is Status.NOTHING_NEW
    assert {done.report.places[finding] for finding in gone} == {Place.DISMISSED}
    assert scene.comments() == before
    for finding in gone:
        (test,) = [entry.suggestion.pieces[-1] for entry in findings(later) if entry.id == finding]
        assert test not in scene.summary()


def test_a_dismissed_test_stays_away_while_another_of_its_comment_s_method_is_posted_anew(scene, dismiss):
    scene.publish(scene.by_method)
    comment = about(scene.comments(), of(scene.proposal, AREA)[0])
    dismiss(scene, comment["id"])
    changed = OF_GRADE.replace("small", "tiny")
    head = scene.push({MOD: f"{TOP}{changed}\n\n{OF_BOX}"})
    later = moved(scene.by_method, head, {}, {GRADE: "0" * 16})
    done = scene.publish(later)
    assert done.status is Status.POSTED
    assert [finding for draft in done.drafts for finding in draft.findings] == of(later, GRADE)


def test_a_thumb_up_or_a_reply_dismisses_nothing(scene):
    scene.publish()
    for comment in scene.comments():
        scene.fake.react(comment["id"], "+1", "reviewer")
        scene.fake.reply(comment["id"], "reviewer", "Nice.")
    writes = len(scene.fake.writes)
    done = scene.publish()
    assert set(done.report.places.values()) == {Place.DIFF}
    assert len(scene.fake.writes) == writes


def test_a_new_head_at_which_the_comments_still_stand_posts_none_again(scene):
    scene.publish()
    before = scene.comments()
    done = scene.publish(moved(scene.proposal, scene.push(ELSEWHERE), {}))
    assert done.status is Status.NOTHING_NEW
    assert scene.comments() == before
    assert scene.wrote()[2:] == [f"PATCH {scene.page()['comments'][0]['id']}"]
    assert summary_marker(scene.summary()).head == scene.page()["head"]


@pytest.mark.parametrize("force", [False, True])
def test_comments_whose_lines_are_gone_are_hidden_and_what_still_holds_is_posted_anew_once(scene, force):
    scene.publish(scene.by_method)
    head = scene.push({MOD: SWAPPED, TESTS: HEAD_TESTS}, force=force)
    outdated = [comment["id"] for comment in scene.comments() if comment["outdated"]]
    assert len(outdated) == 1
    later = moved(scene.by_method, head, {GRADE: BOX_LINES, AREA: -GRADE_LINES})
    done = scene.publish(later)
    assert done.status is Status.POSTED
    hidden = [comment for comment in scene.comments() if comment["minimized"]]
    assert [(comment["id"], comment["minimized"]) for comment in hidden] == [(outdated[0], "OUTDATED")]
    (draft,) = done.drafts
    assert list(draft.findings) == [marker.finding for marker in markers(hidden[0])]
    (target,) = {entry.target.id for entry in findings(later) if entry.id in draft.findings}
    assert scene.comments()[-1]["line"] in next(entry.lines for entry in later.targets if entry.id == target)
    assert scene.is_posted_once(later)
    writes = len(scene.fake.writes)
    scene.publish(later)
    assert len(scene.fake.writes) == writes


def test_the_old_comment_of_a_method_whose_source_changed_is_hidden(scene):
    scene.publish(scene.by_method)
    changed = OF_GRADE.replace("small", "tiny")
    head = scene.push({MOD: f"{TOP}{changed}\n\n{OF_BOX}"})
    assert not any(comment["outdated"] for comment in scene.comments())
    later = moved(scene.by_method, head, {}, {GRADE: "0" * 16})
    done = scene.publish(later)
    old = about(scene.comments(), of(scene.proposal, GRADE)[0])
    assert old["minimized"] == "OUTDATED"
    assert [finding for draft in done.drafts for finding in draft.findings] == of(later, GRADE)
    assert scene.is_posted_once(later)
    assert about(scene.comments(), of(later, AREA)[0])["minimized"] is None


def test_a_comment_that_cannot_be_hidden_is_told_of_and_the_rest_is_posted(scene):
    scene.publish(scene.by_method)
    head = scene.push({MOD: SWAPPED})
    later = moved(scene.by_method, head, {GRADE: BOX_LINES, AREA: -GRADE_LINES})
    node = next(comment["id"] for comment in scene.comments() if comment["outdated"])
    # It is deleted right before it would be hidden.
    reviews = len(scene.page()["reviews"])
    scene.fake.before("POST", r"/reviews$", lambda: scene.fake.remove(node))
    done = scene.publish(later)
    assert done.status is Status.POSTED
    assert len(scene.page()["reviews"]) == reviews + 1
    assert "1 outdated comment could not be hidden." in scene.summary()


def test_more_tests_of_a_method_that_has_some_waiting_are_not_posted_unasked(scene):
    scene.publish(scene.by_method)
    more = other_tests(scene.by_method)
    done = scene.publish(more)
    assert done.status is Status.NOTHING_NEW
    assert set(done.report.places.values()) == {Place.QUIET}
    assert "the method has tests waiting" in scene.summary()
    asked = scene.publish(more, Rules(asked=True))
    assert (asked.status, len(asked.drafts)) == (Status.POSTED, 2)


def other_tests(proposal):
    """The same proposal with other tests in it."""

    def other(text: str) -> str:
        return text.replace("def test_", "def test_other_")

    verdicts = [entry.model_copy(update={"code": other(entry.code)}) for entry in proposal.verdicts]
    suggestions = [
        entry.model_copy(update={"pieces": tuple(map(other, entry.pieces)), "name": entry.name.replace("_", "_other_")})
        for entry in proposal.suggestions
    ]
    return proposal.model_copy(update={"verdicts": tuple(verdicts), "suggestions": tuple(suggestions)})


def test_own_comments_behind_more_than_a_hundred_others_are_found(scene):
    many = 101
    person = scene.repository(scene.fake.token("person", RIGHTS, login="reviewer", kind="user"))
    pull = person.pull(NUMBER)
    commit = person.api.get_commit(scene.head)
    notes = [{"path": MOD, "line": 8, "side": "RIGHT", "body": f"note {number}"} for number in range(many)]
    pull.create_review(commit=commit, body="Notes", event="COMMENT", comments=notes)
    for number in range(many):
        scene.fake.comment(NUMBER, "reviewer", f"word {number}")
    person.close()
    assert scene.publish(scene.by_method).status is Status.POSTED
    own = [comment for comment in scene.comments() if comment["login"] == BOT]
    scene.fake.resolve(own[0]["id"])
    scene.fake.minimize(own[1]["id"], "RESOLVED")
    done = scene.publish(scene.by_method)
    assert set(done.report.places.values()) == {Place.DISMISSED}
    assert len([entry for entry in scene.page()["comments"] if is_summary(entry)]) == 1
    assert [comment for comment in scene.comments() if comment["login"] == BOT] != []
    writes = len(scene.fake.writes)
    scene.publish(scene.by_method)
    assert len(scene.fake.writes) == writes


def test_markers_that_somebody_else_wrote_are_ignored_and_never_edited(scene):
    person = scene.repository(scene.fake.token("person", RIGHTS, login="reviewer", kind="user"))
    forged = SummaryMarker(scene.head, "1", tuple(scene.ids())).line()
    scene.fake.comment(NUMBER, "reviewer", f"{forged}\nNothing to see here.")
    lines = "\n".join(finding.marker.line() for finding in findings(scene.proposal))
    note = {"path": MOD, "line": 8, "side": "RIGHT", "body": f"{lines}\nI have seen these."}
    commit = person.api.get_commit(scene.head)
    person.pull(NUMBER).create_review(commit=commit, body="Notes", event="COMMENT", comments=[note])
    person.close()
    theirs = scene.page()
    scene.fake.resolve(theirs["review_comments"][0]["id"])
    done = scene.publish()
    page = scene.page()
    assert done.status is Status.POSTED
    assert sorted(finding for draft in done.drafts for finding in draft.findings) == sorted(scene.ids())
    assert page["comments"][0] == theirs["comments"][0]
    assert page["review_comments"][0] == theirs["review_comments"][0] | {"resolved": True}
    assert [comment["login"] for comment in page["comments"]] == ["reviewer", BOT]
    assert not [request for request in scene.fake.writes if request.method == "PATCH"]


def test_markers_that_are_quoted_further_down_in_an_own_comment_do_not_count(scene):
    marker = findings(scene.proposal)[0].marker.line()
    scene.fake.comment(NUMBER, BOT, f"> {marker}\n\n{SummaryMarker(scene.head, '1', ('a' * 16,)).line()}")
    done = scene.publish()
    assert done.status is Status.POSTED
    assert set(done.report.places.values()) == {Place.DIFF}
    assert len(scene.page()["comments"]) == 2


@pytest.mark.parametrize(("login", "kind"), [("my-app[bot]", "app"), ("octocat", "user"), (BOT, "app")])
def test_the_second_run_writes_nothing_whoever_the_token_belongs_to(scene, login, kind):
    token = scene.fake.token("own", RIGHTS, login=login, kind=kind)
    scene.publish(repository=scene.repository(token))
    writes = len(scene.fake.writes)
    assert {comment["login"] for comment in [*scene.comments(), *scene.page()["comments"]]} == {login}
    done = scene.publish(repository=scene.repository(token))
    assert done.status is Status.NOTHING_NEW
    assert len(scene.fake.writes) == writes


def test_the_summary_that_a_person_deleted_is_written_anew(scene):
    scene.publish()
    scene.fake.remove(scene.page()["comments"][0]["id"])
    done = scene.publish()
    assert done.status is Status.NOTHING_NEW
    assert scene.is_posted_once()
