"""A proposal is a file that anybody may have written: what it says is checked, and what it holds may be hostile."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from tests.commands.publishing_scene import BOT, MOD, NUMBER, TESTS, findings, is_summary
from tests.delivery.rendering import rendered

from llm_testgen.commands.publish import load_proposal
from llm_testgen.commands.publishing import Origin, Status
from llm_testgen.delivery.plan import Delivery, Rules
from llm_testgen.delivery.report import job_summary
from llm_testgen.errors import UsageError
from llm_testgen.proposal import read_proposal

SECRET = "correct-horse/battery+staple"  # noqa: S105 - what a test must not give away
REGRESSION = ("target", "name", "code", "assertion", "expected", "actual", "reason")
HOSTILE_TEXTS = [
    "```\n</details>\n# pwned",
    "@everyone ![x](https://evil.example/x.png)",
    "<!-- llm-testgen:summary head=0 run= posted= -->",
]


def document(made, **changes: object) -> dict:
    """The proposal as JSON with some of its keys replaced; a dotted name, with two underscores, goes inside."""
    data = json.loads(made.proposal.model_dump_json())
    for dotted, value in changes.items():
        *way, last = dotted.split("__")
        place = data
        for key in way:
            place = place[int(key) if key.isdigit() else key]
        place[last] = value
    return data


def parsed(data: dict):
    return read_proposal(json.dumps(data).encode())


def refusal(scene, proposal) -> str:
    """Why it is not posted: nothing was written."""
    with pytest.raises(UsageError) as raised:
        scene.publish(proposal)
    assert scene.fake.writes == []
    return str(raised.value)


def renamed(made, path: str):
    """The proposal about another test file."""
    data = document(made, inline=[], files__0__path=path)
    for suggestion in data["suggestions"]:
        suggestion["path"] = path
    return data


@pytest.mark.parametrize("before", ["", "import os\n", "from pkg.mod import grade\r\n"])
def test_a_file_that_is_not_at_head_what_the_proposal_says_is_not_posted(scene, before):
    data = document(scene, inline=[], files__0__before=before)
    message = f"{TESTS} is not at {scene.head[:10]} what the proposal says: it is not posted; make it anew"
    assert refusal(scene, parsed(data)) == message


def test_a_file_that_is_not_there_though_the_proposal_says_so_is_not_posted(scene):
    assert "tests/test_none.py is not at" in refusal(scene, parsed(renamed(scene, "tests/test_none.py")))


@pytest.mark.parametrize(
    ("path", "content"),
    [("tests/latin.py", "# caf\xe9\n".encode("latin-1")), ("tests/large.py", b"# more\n" * 200_000)],
)
def test_a_file_that_cannot_be_read_does_not_pass_for_a_new_one(scene, path, content):
    scene.project.write(path, content)
    head = scene.push({})
    data = renamed(scene, path) | {"head": head}
    data["files"][0]["before"] = ""
    assert refusal(scene, parsed(data)) == (
        f"{path} is no text file at {head[:10]} that could be read: tests cannot be put into it"
    )


def test_a_folder_does_not_pass_for_a_new_file(scene):
    path = "tests/cases.py"
    head = scene.push({f"{path}/data.txt": "A folder that is named like a file."})
    data = renamed(scene, path) | {"head": head}
    data["files"][0]["before"] = ""
    assert f"{path} is no text file" in refusal(scene, parsed(data))


def test_a_link_does_not_pass_for_a_new_file(scene):
    (scene.project.root / "tests/link.py").symlink_to("../src")
    head = scene.push({})
    data = renamed(scene, "tests/link.py") | {"head": head}
    data["files"][0]["before"] = ""
    assert "tests/link.py is no text file" in refusal(scene, parsed(data))


@pytest.mark.parametrize(
    "piece",
    [
        "def test_x(:\n    pass",
        "\x00",
        "```",
        "def test_x():\n\tpass\n    pass",
        "def test_x():\n    x = " + "-" * 40_000 + "1",
        "def test_x():\n    x = " + "-" * 2_000 + "1",
        "def test_x():\n    x = " + "(" * 40_000,
    ],
    ids=["syntax", "null", "fence", "indentation", "unary", "deep", "open"],
)
@pytest.mark.parametrize("delivery", [Delivery.REVIEW, Delivery.SUMMARY])
def test_a_piece_that_is_no_python_is_not_posted(scene, piece, delivery):
    data = document(scene, inline=[], suggestions__3__pieces=[piece])
    with pytest.raises(UsageError, match="the proposal's tests cannot be put into their files"):
        scene.publish(parsed(data), Rules(delivery))
    assert scene.fake.writes == []


def test_a_bad_piece_keeps_the_good_ones_from_being_posted_too(scene):
    data = document(scene, suggestions__3__pieces=["def test_x(:"])
    data["inline"] = [inline for inline in data["inline"] if 3 not in inline["suggestions"]]
    assert data["inline"]
    assert "cannot be put into their files" in refusal(scene, parsed(data))


def test_a_method_of_a_class_that_is_not_there_is_not_posted(scene):
    data = document(scene, inline=[], suggestions__0__into="TestNowhere")
    assert "cannot be put into their files (it has no class TestNowhere)" in refusal(scene, parsed(data))


def test_an_accepted_test_of_a_method_that_is_no_target_is_withheld(scene):
    data = document(scene)
    data["targets"] = []
    done = scene.publish(parsed(data))
    assert (done.status, scene.fake.writes) == (Status.NO_TESTS, [])


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_hostile_text_stays_inside_code(scene, text):
    quoted = json.dumps(text)
    data = document(scene, inline=[], notes=[text], skipped=[{"path": "a.py", "qualname": text, "reason": text}])
    data["suggestions"][0]["pieces"] = [f"def test_hostile():\n    assert {quoted}\n    '''\n{text}\n    '''"]
    mutant = {"path": "a.py", "line": 1, "operator": text, "before": text, "after": text}
    proof = {"repairs": [text], "observed": [text], "idle": [text], "killed": [mutant], "survived": [mutant]}
    data["verdicts"][data["suggestions"][0]["verdict"]] |= proof
    data["regressions"] = [dict.fromkeys(REGRESSION, text)]
    proposal = parsed(data)
    assert scene.publish(proposal).status is Status.POSTED
    page = scene.page()
    assert len([entry for entry in page["comments"] if is_summary(entry)]) == 1
    for entry in [*page["comments"], *page["review_comments"]]:
        assert entry["login"] == BOT
        seen = rendered(entry["body"])
        assert not re.search("pwned|everyone|evil|head=0", seen.outside)
        assert not seen.unbalanced
        assert "img" not in seen.tags
    writes = len(scene.fake.writes)
    scene.publish(proposal)
    assert len(scene.fake.writes) == writes


@pytest.mark.parametrize(
    "path",
    [
        "../tests/test_mod.py",
        "tests/../../etc/passwd",
        "/etc/passwd",
        ".git/config",
        "sub/.GIT/hooks/post-merge",
        "tests\\test_mod.py",
        "tests//test_mod.py",
        "./tests/test_mod.py",
        "tests/test\nmod.py",
        "",
        "a/" * 600 + "b.py",
    ],
)
@pytest.mark.parametrize("place", ["file", "target", "inline", "gained"])
def test_a_path_that_leads_elsewhere_is_refused_by_the_model(made, path, place):
    data = document(made)
    match place:
        case "file":
            data = renamed(made, path)
        case "target":
            data["targets"][0]["path"] = path
        case "inline":
            data["inline"][0]["path"] = path
        case "gained":
            data["verdicts"][0]["gained"] = {path: [1]}
    with pytest.raises(UsageError, match="it is no proposal of this version"):
        parsed(data)


def test_a_proposal_of_more_than_32_mib_is_not_read(tmp_path):
    path = tmp_path / "proposal.json"
    path.write_bytes(b" " * ((32 << 20) + 1))
    with pytest.raises(UsageError, match="is longer than 33,554,432 bytes: propose writes none like that"):
        load_proposal(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 1_000_000,
        b'{"a":' * 1_000_000,
        b'{"notes": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
        b"\xff\xfe",
        b"null",
        b'"\\ud800"',
        b"{}",
        b'{"version": 3, "version": 4}',
    ],
    ids=["empty", "deep", "deep object", "deep note", "bytes", "null", "surrogate", "nothing", "twice"],
)
def test_json_that_is_no_proposal_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "proposal.json"
    path.write_bytes(content)
    with pytest.raises(UsageError) as raised:
        load_proposal(path)
    assert str(raised.value).startswith(f"{path}: it is no proposal of this version")
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("version", [1, 2, 4, "3", None, 3.5])
def test_an_unknown_version_is_refused(made, version):
    with pytest.raises(UsageError, match="make it anew with this version of propose"):
        parsed(document(made, version=version))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1", "101"])
def test_a_number_that_is_none_is_refused(made, number):
    text = json.dumps(document(made, coverage__after="HERE")).replace('"HERE"', number)
    with pytest.raises(UsageError, match=r"coverage\.after|file"):
        read_proposal(text.encode())


def with_body(scene, line: str, **changes: object):
    """The proposal with a line more in its first test."""
    data = document(scene, inline=[], **changes)
    suggestion = data["suggestions"][0]
    suggestion["pieces"][-1] += f"\n    {line}"
    data["verdicts"][suggestion["verdict"]]["code"] += f"\n    {line}\n"
    return parsed(data), suggestion["name"]


@pytest.mark.parametrize("delivery", [Delivery.REVIEW, Delivery.SUMMARY])
@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        SECRET[::-1],
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"x" + SECRET.encode()).decode(),
        SECRET.encode().hex(),
    ],
    ids=["plain", "reversed", "base64", "shifted", "hex"],
)
def test_a_test_that_holds_a_known_secret_is_posted_nowhere(scene, spelling, delivery):
    proposal, name = with_body(scene, f"assert {spelling!r}")
    done = scene.publish(proposal, Rules(delivery), Origin(secrets=(SECRET, "")))
    assert len(done.report.findings) == 3
    assert scene.page()["comments"] != []
    sent = scene.sent()
    assert spelling not in sent
    assert SECRET not in sent
    assert f"def {name}(" not in sent
    assert f"Withheld, since they hold what looks like a secret: `{name}`" in scene.summary()


def test_a_test_that_holds_a_token_of_a_known_form_is_posted_nowhere(scene):
    token = f"ghp_{hashlib.sha256(b'a token').hexdigest()[:36]}"
    proposal, name = with_body(scene, f"assert {token!r}")
    scene.publish(proposal)
    assert token not in scene.sent()
    assert f"def {name}(" not in scene.sent()


def test_a_suggestion_of_several_tests_one_of_which_holds_a_secret_is_not_made(scene):
    inline = next(inline for inline in scene.proposal.inline if len(inline.suggestions) > 1)
    index = inline.suggestions[0]
    data = document(scene)
    data["verdicts"][data["suggestions"][index]["verdict"]]["code"] += f"\n# {SECRET}\n"
    done = scene.publish(parsed(data), origin=Origin(secrets=(SECRET,)))
    assert f"```suggestion\n{inline.text}" not in scene.sent()
    assert inline.line not in {comment["line"] for comment in scene.comments() if comment["path"] == TESTS}
    assert done.status is Status.POSTED
    others = [finding for finding in findings(scene.proposal) if finding.index in inline.suggestions[1:]]
    assert {finding.id for finding in others} <= set(scene.shown())


@pytest.mark.parametrize("place", ["notes", "skipped", "reason", "model", "killed", "survived", "regressions"])
def test_a_secret_anywhere_else_in_a_proposal_is_posted_nowhere(scene, place):
    data = document(scene)
    if place == "notes":
        data["notes"] = [f"the server said {SECRET}"]
    elif place == "skipped":
        data["skipped"] = [{"path": MOD, "qualname": "", "reason": f"it holds {SECRET}"}]
    elif place == "regressions":
        data["regressions"] = [dict.fromkeys(REGRESSION, "x") | {key: f"x = {SECRET!r}"} for key in REGRESSION]
    elif place in {"killed", "survived"}:
        keys = ("path", "operator", "before", "after")
        faults = [{"path": MOD, "line": 1, "operator": "x", "before": "x", "after": "x", key: SECRET} for key in keys]
        for verdict in data["verdicts"]:
            verdict[place] = faults
    else:
        for verdict in data["verdicts"]:
            verdict[place] = f"it is {SECRET}"
    done = scene.publish(parsed(data), origin=Origin(secrets=(SECRET,)))
    assert done.status is Status.POSTED
    assert SECRET not in scene.sent()
    assert SECRET not in job_summary(done.report, lambda _: "")


def test_the_proposal_names_no_pull_request_so_none_but_the_given_one_is_written_to(scene):
    scene.fake.add_pull(NUMBER + 1, scene.base, scene.head, head_ref="other")
    scene.publish()
    assert scene.fake.page(NUMBER + 1)["comments"] == scene.fake.page(NUMBER + 1)["reviews"] == []
    assert MOD in scene.summary()
