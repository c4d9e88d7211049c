"""What plan.py has to get right for these: an interrupted run goes on, a repeated one adds nothing, a revert is no no.

For tests/commands/, once /tmp/plan-fixes.patch (or something like it) is applied.
"""

from __future__ import annotations

import pytest
from tests.commands.publishing_scene import (
    AREA,
    GRADE,
    MOD,
    NUMBER,
    OF_BOX,
    OF_GRADE,
    TOP,
    moved,
)
from tests.github.faults import Fault

from llm_testgen.delivery.plan import Place, Rules

SWAPPED = f"{TOP}{OF_BOX}\n\n{OF_GRADE}"
BOX_LINES, GRADE_LINES = OF_BOX.count("\n") + 2, OF_GRADE.count("\n") + 2


def killed(_: float) -> None:
    raise KeyboardInterrupt


def test_what_a_person_hid_stays_away_when_its_lines_are_gone_too(scene):
    scene.publish(scene.by_method)
    for comment in scene.comments():
        scene.fake.minimize(comment["id"], "RESOLVED")
    head = scene.push({MOD: SWAPPED})
    done = scene.publish(moved(scene.by_method, head, {GRADE: BOX_LINES, AREA: -GRADE_LINES}))
    assert done.drafts == ()


def test_what_was_hidden_since_its_method_changed_is_posted_anew_when_the_change_is_taken_back(scene):
    scene.publish(scene.by_method)
    changed = OF_GRADE.replace("small", "tiny")
    head = scene.push({MOD: f"{TOP}{changed}\n\n{OF_BOX}"})
    scene.publish(moved(scene.by_method, head, {}, {GRADE: "0" * 16}))
    scene.fake.push(NUMBER, scene.head)
    done = scene.publish(scene.by_method)
    assert set(done.report.places.values()) == {Place.DIFF}
    assert scene.is_posted_once(scene.by_method)


@pytest.mark.parametrize("kind", [Fault.DROPPED, Fault.DROPPED_AFTER])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_run_that_was_killed_amid_comments_of_one_method_is_completed_by_the_next(scene, number, kind):
    scene.fake.fail("POST", r"/reviews$", kind=Fault.UNPROCESSABLE)
    scene.fail_at(number, "POST", r"/pulls/7/comments$", kind)
    with pytest.raises(KeyboardInterrupt):
        scene.publish(repository=scene.repository(sleep=killed))
    scene.publish()
    assert scene.is_posted_once()


@pytest.mark.parametrize("most", [0, 1, 2])
def test_the_second_run_writes_nothing_at_all_when_not_everything_was_posted_either(scene, most):
    scene.publish(rules=Rules(most=most))
    writes = len(scene.fake.writes)
    scene.publish(rules=Rules(most=most))
    assert len(scene.fake.writes) == writes
