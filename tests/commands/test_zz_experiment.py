from tests.commands.publishing_scene import *
from tests.commands.test_publishing_again import SWAPPED, BOX_LINES, GRADE_LINES
from tests.github.faults import Fault
from llm_testgen.delivery.plan import Place
import pytest, json

def test_minimised_then_outdated(scene):
    scene.publish(scene.by_method)
    head = None
    for c in scene.comments(): scene.fake.minimize(c["id"], "RESOLVED")
    head = scene.push({MOD: SWAPPED})
    later = moved(scene.by_method, head, {GRADE: BOX_LINES, AREA: -GRADE_LINES})
    done = scene.publish(later)
    print(done.status, done.report.places)
    assert done.drafts == ()

def test_reverted(scene):
    scene.publish(scene.by_method)
    head = scene.push({MOD: f"{TOP}{OF_GRADE.replace('small', 'tiny')}\n\n{OF_BOX}"})
    later = moved(scene.by_method, head, {}, {GRADE: "0" * 16})
    scene.publish(later)
    scene.fake.push(NUMBER, scene.head)   # force push back
    done = scene.publish(scene.by_method)
    print(done.status, done.report.places)
    assert Place.DISMISSED not in done.report.places.values()
    assert scene.is_posted_once(scene.by_method)

def test_killed_amid_inline_singles(scene):
    scene.fake.fail("POST", r"/reviews$", kind=Fault.UNPROCESSABLE)
    scene.fail_at(2, "POST", r"/pulls/7/comments$", Fault.DROPPED)
    def kill(_): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        scene.publish(repository=scene.repository(sleep=kill))
    done = scene.publish()
    print(done.status, done.report.places)
    assert scene.is_posted_once()

def test_bounded_rerun(scene):
    scene.publish(rules=Rules(most=1))
    w=len(scene.fake.writes)
    done = scene.publish(rules=Rules(most=1))
    print(done.status, done.report.places, scene.wrote())
    assert len(scene.fake.writes)==w

def test_secret_in_repairs(scene):
    data=json.loads(scene.proposal.model_dump_json())
    data["verdicts"][data["suggestions"][0]["verdict"]]["repairs"]=["dropped the failing `assert x == 'correct-horse-battery'`"]
    data["inline"]=[]
    scene.publish(read_proposal(json.dumps(data).encode()), origin=Origin(secrets=("correct-horse-battery",)))
    assert "correct-horse-battery" not in scene.sent()

def test_secret_in_name(scene):
    s="Xk29fjQpZz71LmNw"
    data=json.loads(scene.proposal.model_dump_json())
    data["suggestions"][0]["name"]=f"test_{s}"
    data["suggestions"][0]["pieces"][-1]=f"def test_{s}():\n    pass"
    data["inline"]=[]
    scene.publish(read_proposal(json.dumps(data).encode()), origin=Origin(secrets=(s,)))
    assert s not in scene.sent()

def test_secret_in_note(scene):
    s="Xk29fjQpZz71LmNw"
    data=json.loads(scene.proposal.model_dump_json())
    data["notes"]=[f"a note {s}"]; data["skipped"]=[{"path":"a.py","qualname":"f","reason":s}]
    scene.publish(read_proposal(json.dumps(data).encode()), origin=Origin(secrets=(s,)))
    assert s not in scene.sent()
