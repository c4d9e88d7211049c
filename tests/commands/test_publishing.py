from __future__ import annotations

import json

import pytest
from tests.commands.publishing_scene import (
    AREA,
    BASE_TESTS,
    BOT,
    BRANCH,
    GRADE,
    MOD,
    NUMBER,
    ORIGIN,
    RULES,
    RUN,
    TESTS,
    about,
    findings,
    markers,
    open_scene,
)
from tests.delivery.samples import regression

from llm_testgen.commands.publishing import Origin, Status
from llm_testgen.delivery.markers import summary_marker
from llm_testgen.delivery.plan import Delivery, Place, Rules

HEAD_READ, REVIEW = rf"/pulls/{NUMBER}$", r"/reviews$"


def places(proposal) -> list[tuple[str, int]]:
    return [(inline.path, inline.line) for inline in proposal.inline]


def test_the_review_stands_at_the_tested_head_with_each_comment_in_its_place(scene):
    done = scene.publish()
    page = scene.page()
    (review,) = page["reviews"]
    (request,) = [request for request in scene.fake.writes if request.path.endswith("/reviews")]
    assert (review["state"], request.body["event"], request.body["commit_id"]) == ("COMMENTED", "COMMENT", scene.head)
    assert [(entry["path"], entry["line"]) for entry in scene.comments()] == places(scene.proposal)
    assert len(scene.proposal.inline) > 1
    assert all(entry["login"] == BOT and not entry["outdated"] for entry in scene.comments())
    assert scene.is_posted_once()
    assert done.status is Status.POSTED
    assert done.reason == ""
    assert done.url.endswith(f"#pullrequestreview-{review['id']}")
    assert sorted(finding for draft in done.drafts for finding in draft.findings) == sorted(scene.ids())
    assert scene.wrote() == ["POST reviews", "POST comments"]


def test_markers_come_first_and_tell_test_method_and_head(scene):
    scene.publish()
    by_id = {finding.id: finding for finding in findings(scene.proposal)}
    found = [marker for comment in scene.comments() for marker in markers(comment)]
    assert {marker.finding: marker for marker in found} == {finding: entry.marker for finding, entry in by_id.items()}
    assert {marker.head for marker in found} == {scene.head}
    for comment in scene.comments():
        count = len(markers(comment))
        lines = comment["body"].split("\n")
        assert [line.startswith("<!-- llm-testgen:test ") for line in lines[: count + 1]] == [True] * count + [False]
    said = summary_marker(scene.summary())
    assert (said.head, said.run, sorted(said.posted)) == (scene.head, str(RUN), sorted(scene.ids()))


def test_a_suggestion_holds_what_the_inline_record_says(scene):
    scene.publish()
    for inline, comment in zip(scene.proposal.inline, scene.comments(), strict=True):
        assert f"```suggestion\n{inline.text}\n```" in comment["body"]


def test_all_suggestions_taken_together_give_a_file_that_holds_every_test(scene):
    scene.publish()
    texts = scene.fake.apply_suggestions(NUMBER, [comment["id"] for comment in scene.comments()])
    (text,) = texts.values()
    for finding in findings(scene.proposal):
        assert f"def {finding.suggestion.name}(" in text
    assert "def test_small(" in text


def test_tests_with_no_place_in_the_diff_stand_at_the_method_that_they_test(scene):
    done = scene.publish(scene.by_method)
    assert done.status is Status.POSTED
    by_target = {finding.target.id: finding for finding in findings(scene.by_method)}
    for target, line in ((GRADE, 8), (AREA, 19)):
        comment = about(scene.comments(), by_target[target].id)
        assert (comment["path"], comment["line"], comment["start_line"]) == (MOD, line, None)
        assert len(markers(comment)) == 2
        assert "As a patch" in comment["body"]
    assert len(scene.comments()) == 2
    assert len(scene.page()["reviews"]) == 1


def test_the_patch_of_a_comment_applies_and_adds_its_tests_alone(scene, tmp_path):
    scene.publish(scene.by_method)
    finding = next(finding for finding in findings(scene.proposal) if finding.target.id == GRADE)
    body = about(scene.comments(), finding.id)["body"]
    (tmp_path / "patch").write_text(body.split("```diff\n")[1].split("\n```")[0] + "\n")
    scene.project.git("apply", str(tmp_path / "patch"))
    text = (scene.project.root / TESTS).read_text()
    assert "def test_large(" in text
    assert "def test_area(" not in text


def test_the_summary_links_each_test_to_its_comment(scene):
    done = scene.publish()
    summary = scene.summary()
    for finding in scene.ids():
        number = about(scene.comments(), finding)["id"]
        assert f"[on the diff](https://github.example/octo-org/sample/pull/{NUMBER}#discussion_r{number})" in summary
        assert done.report.places[finding] is Place.DIFF
        assert done.report.links[finding].endswith(f"#discussion_r{number}")
    assert f"[run]({ORIGIN.run_url})" in summary


@pytest.mark.parametrize("delivery", [Delivery.REVIEW, Delivery.SUMMARY])
def test_the_second_run_writes_nothing_at_all(scene, delivery):
    scene.publish(rules=Rules(delivery))
    page, writes = scene.page(), len(scene.fake.writes)
    done = scene.publish(rules=Rules(delivery))
    assert len(scene.fake.writes) == writes
    assert scene.page() == page
    assert (done.status, done.drafts) == (Status.NOTHING_NEW, ())
    assert "#issuecomment-" in done.url


def test_a_later_run_of_the_same_head_edits_the_one_summary(scene):
    scene.publish()
    done = scene.publish(origin=Origin("100", "https://github.example/runs/100"))
    assert done.status is Status.NOTHING_NEW
    assert scene.wrote() == ["POST reviews", "POST comments", f"PATCH {scene.page()['comments'][0]['id']}"]
    assert summary_marker(scene.summary()).run == "100"
    assert scene.is_posted_once()


def test_a_head_that_has_moved_before_is_superseded(scene):
    scene.push({"README.md": "more\n"})
    done = scene.publish()
    assert done.status is Status.SUPERSEDED
    assert f"is at {scene.page()['head'][:10]} now, and {scene.head[:10]} was tested" in done.reason
    assert scene.fake.writes == []


@pytest.mark.parametrize("when", [2, 3])
def test_a_head_that_moves_while_the_pull_request_is_read_is_superseded(scene, when):
    reads = []
    scene.fake.before("GET", HEAD_READ, lambda: reads.append(1) or len(reads) != when or scene.push({"a.py": ""}), 9)
    done = scene.publish()
    assert done.status is Status.SUPERSEDED
    assert scene.fake.writes == []
    assert len(reads) == 3


def test_a_branch_that_is_rewritten_right_before_the_review_is_superseded(scene):
    scene.fake.before("POST", REVIEW, lambda: scene.push({TESTS: BASE_TESTS}, force=True))
    done = scene.publish()
    assert done.status is Status.SUPERSEDED
    assert set(done.report.places.values()) == {Place.SUMMARY}
    page = scene.page()
    assert (page["reviews"], page["review_comments"], page["comments"]) == ([], [], [])


def test_a_pull_request_that_is_closed_meanwhile_is_superseded(scene):
    scene.fake.before("GET", r"/files$", lambda: scene.fake.close(NUMBER))
    done = scene.publish()
    assert (done.status, done.reason) == (Status.SUPERSEDED, f"pull request {NUMBER} is closed")
    assert scene.fake.writes == []


@pytest.mark.parametrize("state", ["closed", "merged"])
def test_nothing_is_posted_to_a_closed_pull_request(made, tmp_path, state):
    with open_scene(made, tmp_path, state=state) as scene:
        done = scene.publish()
        assert (done.status, done.reason) == (Status.SUPERSEDED, f"pull request {NUMBER} is closed")
        assert scene.fake.writes == []


def test_a_draft_gets_its_review_too(made, tmp_path):
    with open_scene(made, tmp_path, draft=True) as scene:
        assert scene.publish().status is Status.POSTED
        assert scene.is_posted_once()


def test_a_pull_request_of_a_fork_gets_its_review_too(made, tmp_path):
    with open_scene(made, tmp_path, head_repo="stranger/sample", head_ref=BRANCH) as scene:
        assert scene.publish().status is Status.POSTED
        assert scene.is_posted_once()


def test_what_was_found_in_a_working_tree_is_not_posted(scene):
    done = scene.publish(scene.proposal.model_copy(update={"worktree": True}))
    assert done.status is Status.SUPERSEDED
    assert "uncommitted working tree" in done.reason
    assert scene.fake.writes == []


def test_with_delivery_summary_everything_stands_in_the_one_comment(scene):
    done = scene.publish(rules=Rules(Delivery.SUMMARY))
    assert (done.status, scene.wrote()) == (Status.NOTHING_NEW, ["POST comments"])
    for finding in findings(scene.proposal):
        assert finding.suggestion.pieces[-1] in scene.summary()
    assert summary_marker(scene.summary()).posted == ()


@pytest.mark.parametrize(("rules", "dry_run", "drafts"), [(RULES, True, True), (Rules(Delivery.NONE), False, False)])
def test_a_dry_run_and_delivery_none_write_nothing(scene, rules, dry_run, drafts):
    done = scene.publish(rules=rules, dry_run=dry_run)
    assert done.status is Status.DRY_RUN
    assert bool(done.drafts) is drafts
    assert scene.fake.writes == []


@pytest.mark.parametrize("most", [0, 1, 2])
def test_max_suggestions_bounds_the_comments_and_the_rest_stands_in_the_summary(scene, most):
    done = scene.publish(rules=Rules(most=most))
    assert len(scene.comments()) == len(done.drafts) == most
    assert len(scene.page()["reviews"]) == bool(most)
    left = [finding for finding in findings(scene.proposal) if finding.id not in scene.shown()]
    assert len(left) >= 4 - 2 * most
    for finding in left:
        assert done.report.places[finding.id] is Place.SUMMARY
        assert finding.suggestion.pieces[-1] in scene.summary()


def without_tests(proposal):
    """The same run, had it accepted nothing."""
    data = json.loads(proposal.model_dump_json())
    data |= {"accepted": [], "suggestions": [], "inline": [], "files": []}
    return type(proposal).model_validate(data)


def test_a_run_that_found_nothing_says_nothing_unasked(scene):
    done = scene.publish(without_tests(scene.proposal))
    assert (done.status, done.url) == (Status.NO_TESTS, "")
    assert scene.fake.writes == []


def with_regression(proposal):
    """The same run, had a test passed at base and failed at head."""
    return proposal.model_copy(update={"regressions": (regression(target=GRADE),)})


@pytest.mark.parametrize("delivery", [Delivery.REVIEW, Delivery.SUMMARY])
def test_a_possible_regression_is_asked_about_even_if_there_is_no_test(scene, delivery):
    proposal = with_regression(without_tests(scene.proposal))
    done = scene.publish(proposal, Rules(delivery))
    assert (done.status, scene.wrote()) == (Status.NO_TESTS, ["POST comments"])
    assert "#issuecomment-" in done.url
    assert "### llm-testgen: 1 possible regression; no test to propose" in scene.summary()
    assert "base gives `'5 B'`, head gives `'5 Bytes'`. Is this meant?" in scene.summary()
    scene.publish(proposal, Rules(delivery))
    assert scene.wrote() == ["POST comments"]


def test_a_possible_regression_is_asked_about_once_and_never_suggested(scene):
    scene.publish(with_regression(scene.proposal))
    assert scene.is_posted_once()
    assert scene.sent().count("Is this meant?") == 1
    assert "Is this meant?" in scene.summary()
    assert all("test_size" not in comment["body"] for comment in scene.comments())


def test_a_possible_regression_that_is_gone_is_not_asked_about_any_more(scene):
    scene.publish(with_regression(without_tests(scene.proposal)))
    scene.publish(without_tests(scene.proposal))
    assert "regression" not in scene.summary()


@pytest.mark.parametrize(("rules", "dry_run"), [(RULES, True), (Rules(Delivery.NONE), False)])
def test_a_dry_run_and_delivery_none_ask_nothing(scene, rules, dry_run):
    assert scene.publish(with_regression(scene.proposal), rules, dry_run=dry_run).status is Status.DRY_RUN
    assert scene.fake.writes == []


def test_a_run_that_found_nothing_answers_who_asked(scene):
    done = scene.publish(without_tests(scene.proposal), Rules(asked=True))
    assert done.status is Status.NO_TESTS
    assert "no test to propose" in scene.summary()


def test_a_run_that_found_nothing_corrects_the_summary_of_one_that_did(scene):
    scene.publish()
    scene.publish(without_tests(scene.proposal))
    assert "no test to propose" in scene.summary()
    assert sorted(summary_marker(scene.summary()).posted) == sorted(scene.ids())
