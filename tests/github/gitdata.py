"""Files at a commit, and git's own objects: references, blobs, trees and commits, read and written for real."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pygit2
from pygit2.enums import FileMode
from tests.github import objects
from tests.github.objects import Json
from tests.github.router import Answer, Call, Refusal, invalid, not_found, route
from tests.github.state import State

_LARGEST_IN_JSON = 1024 * 1024
_SHA = re.compile(r"[0-9a-f]{40}")
_RAW_TYPES = ("application/vnd.github.raw", "application/vnd.github.raw+json", "application/vnd.github.v3.raw")
_KINDS = {FileMode.LINK: "symlink", FileMode.COMMIT: "submodule", FileMode.TREE: "dir"}
_BLOB = "Blob"
_COMMITTER = ("GitHub", "noreply@github.com")


@route("GET", "/contents/{path}", "contents")
def get_contents(call: Call) -> Answer:
    state, path = call.state, call.parameters["path"].strip("/")
    commit = state.git.resolve(call.repository, call.query.get("ref") or state.default_branch)
    if commit is None:
        raise Refusal(404, f"No commit found for the ref {call.query.get('ref')}")
    sha = str(commit.id)
    # A link to a regular file is answered with that file, under the name of the link.
    entry = state.git.entry(sha, state.git.follow_link(sha, path) or path)
    if entry is None:
        raise not_found()
    if isinstance(entry, pygit2.Tree):
        children = [(child, f"{path}/{child.name}".lstrip("/")) for child in entry]
        return Answer([_item(call, child, child_path, sha) for child, child_path in children])
    if isinstance(entry, pygit2.Blob) and call.accept in _RAW_TYPES:
        return Answer(entry.data, content_type=f"{call.accept}; charset=utf-8")
    return Answer(_item(call, entry, path, sha) | _content(entry))


def _item(call: Call, entry: pygit2.Object, path: str, sha: str) -> Json:
    api, web = f"{call.state.api}/repos/{call.repository}", f"{call.state.web}/{call.repository}"
    kind = _KINDS.get(entry.filemode, "file")
    urls = {
        "url": f"{api}/contents/{quote(path)}?ref={sha}",
        "html_url": f"{web}/blob/{sha}/{quote(path)}",
        "git_url": f"{api}/git/{'trees' if kind == 'dir' else 'blobs'}/{entry.id}",
    }
    return urls | {
        "name": path.rsplit("/", 1)[-1],
        "path": path,
        "sha": str(entry.id),
        "size": entry.size if isinstance(entry, pygit2.Blob) else 0,
        "type": kind,
        "download_url": f"{web}/raw/{sha}/{quote(path)}" if kind == "file" else None,
        "_links": {"self": urls["url"], "git": urls["git_url"], "html": urls["html_url"]},
    }


def _content(entry: pygit2.Object) -> Json:
    if entry.filemode == FileMode.COMMIT:
        return {"submodule_git_url": "https://github.example/other/module.git"}
    if entry.filemode == FileMode.LINK:
        return {"target": entry.data.decode(errors="replace")}
    if entry.size > _LARGEST_IN_JSON:
        return {"content": "", "encoding": "none"}
    return {"content": base64.encodebytes(entry.data).decode(), "encoding": "base64"}


# References


def _ref_object(call: Call, ref: str, sha: str) -> Json:
    api = f"{call.state.api}/repos/{call.repository}/git"
    target = {"type": call.state.git.kind(sha), "sha": sha, "url": f"{api}/commits/{sha}"}
    return {"ref": ref, "node_id": f"REF_{ref}", "url": f"{api}/{ref}", "object": target}


def _check_target(state: State, sha: str) -> None:
    if not _SHA.fullmatch(sha):
        raise Refusal(422, "The sha parameter must be exactly 40 characters and contain only [0-9a-f].")
    if state.git.kind(sha) is None:
        raise Refusal(422, "Object does not exist")


@route("GET", "/git/ref/{ref}", "contents")
def get_ref(call: Call) -> Answer:
    ref = f"refs/{call.parameters['ref']}"
    sha = call.state.git.get_ref(call.repository, ref)
    if sha is None:
        raise not_found()
    return Answer(_ref_object(call, ref, sha))


@route("POST", "/git/refs", "contents")
def create_ref(call: Call) -> Answer:
    ref, sha, repository = call.body["ref"], call.body["sha"], call.repository
    if not ref.startswith("refs/") or ref.count("/") < 2 or not pygit2.reference_is_valid_name(ref):
        raise Refusal(422, "Reference name must start with 'refs/' and contain at least two slashes.")
    _check_target(call.state, sha)
    if call.state.git.get_ref(repository, ref):
        raise Refusal(422, "Reference already exists")
    call.state.git.set_ref(repository, ref, sha)
    return Answer(_ref_object(call, ref, sha), 201)


@route("PATCH", "/git/refs/{ref}", "contents")
def update_ref(call: Call) -> Answer:
    ref, sha, state = f"refs/{call.parameters['ref']}", call.body["sha"], call.state
    old = state.git.get_ref(call.repository, ref)
    if old is None:
        raise Refusal(422, "Reference does not exist")
    _check_target(state, sha)
    if not call.body.get("force") and not state.git.is_ancestor(old, sha):
        raise Refusal(422, "Update is not a fast forward")
    if ref.startswith("refs/heads/"):
        state.move_branch(call.repository, ref.removeprefix("refs/heads/"), sha)
    else:
        state.git.set_ref(call.repository, ref, sha)
    return Answer(_ref_object(call, ref, sha))


# Objects


@route("POST", "/git/blobs", "contents")
def create_blob(call: Call) -> Answer:
    content, encoding = call.body["content"], call.body.get("encoding", "utf-8")
    try:
        data = base64.b64decode(content) if encoding == "base64" else content.encode()
    except binascii.Error:
        raise invalid(_BLOB, "content") from None
    sha = call.state.git.write_blob(data)
    return Answer({"sha": sha, "url": f"{call.state.api}/repos/{call.repository}/git/blobs/{sha}"}, 201)


@route("POST", "/git/trees", "contents")
def create_tree(call: Call) -> Answer:
    git, base, entries = call.state.git, call.body.get("base_tree"), call.body["tree"]
    if base and git.kind(base) not in {"tree", "commit"}:
        raise not_found()
    for entry in entries:
        _check_entry(call, entry)
    try:
        sha = git.write_tree(base, entries)
    except OSError:  # to remove what is not there
        raise Refusal(422, "GitRPC::BadObjectState") from None
    api = f"{call.state.api}/repos/{call.repository}/git"
    return Answer({"sha": sha, "url": f"{api}/trees/{sha}", "tree": _tree(call.state, sha), "truncated": False}, 201)


def _check_entry(call: Call, entry: dict[str, Any]) -> None:
    path = entry.get("path", "")
    if not path or path.startswith("/") or not entry.get("mode") or {"", ".", "..", ".git"} & set(path.split("/")):
        raise Refusal(422, "tree.path contains a malformed path component")
    if entry.get("sha") and call.state.git.kind(entry["sha"]) is None:
        raise Refusal(422, f"tree.sha {entry['sha']} is not a valid blob")


def _tree(state: State, sha: str) -> list[Json]:
    kinds = {FileMode.TREE: "tree", FileMode.COMMIT: "commit"}
    return [
        {
            "path": entry.name,
            "mode": f"{entry.filemode:06o}",
            "type": kinds.get(entry.filemode, "blob"),
            "sha": str(entry.id),
        }
        for entry in state.git.repository[sha]
    ]


@route("POST", "/git/commits", "contents")
def create_commit(call: Call) -> Answer:
    git, body = call.state.git, call.body
    if git.kind(body["tree"]) != "tree":
        raise Refusal(422, "Tree SHA does not exist")
    parents = body.get("parents", [])
    if any(git.kind(parent) != "commit" for parent in parents):
        raise Refusal(422, "Parent SHA does not exist or is not a commit object")
    author = _signature(body.get("author"), call.token.login)
    people = (author, _signature(body.get("committer"), "") if body.get("committer") else author)
    sha = git.write_commit(body["message"], body["tree"], parents, people)
    return Answer(_commit(call, git.commit(sha)), 201)


def _signature(person: dict[str, str] | None, login: str) -> pygit2.Signature:
    """Who is named; else whoever the token belongs to."""
    name, email = (person["name"], person["email"]) if person else (login, f"{login}@users.noreply.github.example")
    date = person.get("date") if person else None
    moment = datetime.fromisoformat(date) if date else datetime.now(UTC)
    return pygit2.Signature(name or _COMMITTER[0], email or _COMMITTER[1], int(moment.timestamp()), 0)


@route("GET", "/git/commits/{commit_sha}", "contents")
def get_commit(call: Call) -> Answer:
    found = call.state.git.commit(call.parameters["commit_sha"])
    if found is None:
        raise not_found()
    return Answer(_commit(call, found))


def _commit(call: Call, found: pygit2.Commit) -> Json:
    shown = objects.commit(call.state, found)
    proof = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}
    return {
        "sha": shown["sha"],
        "node_id": shown["node_id"],
        "url": shown["commit"]["url"],
        "html_url": shown["html_url"],
        "author": shown["commit"]["author"],
        "committer": shown["commit"]["committer"],
        "message": shown["commit"]["message"],
        "tree": shown["commit"]["tree"],
        "parents": shown["parents"],
        "verification": proof,
    }
