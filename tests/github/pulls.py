"""Pull requests: one, many, what they change, and how two commits compare."""

from __future__ import annotations

from tests.github import objects
from tests.github.comments import find_pull
from tests.github.diff import whole_text
from tests.github.router import Answer, Call, Refusal, invalid, not_found, route
from tests.github.state import Pull, State

_MOST_COMMITS = 250
_MOST_FILES_IN_TEXT = 300
_MOST_LINES_IN_TEXT = 20_000
_RESOURCE = "PullRequest"
_TEXT_TYPES = ("application/vnd.github.diff", "application/vnd.github.v3.diff")


@route("GET", "/pulls/{pull_number}", "pull_requests")
def get_pull(call: Call) -> Answer:
    pull = find_pull(call)
    if call.accept in _TEXT_TYPES:
        return _text(call, pull.base_sha, pull.head_sha)
    return Answer(objects.pull_full(call.state, pull))


def _text(call: Call, base: str, head: str) -> Answer:
    files = call.state.git.changes(base, head)
    lines = sum(file.patch.count("\n") + 1 for file in files)
    if len(files) > _MOST_FILES_IN_TEXT or lines > _MOST_LINES_IN_TEXT:
        error = {"resource": _RESOURCE, "field": "diff", "code": "too_large"}
        raise Refusal(406, "Sorry, the diff exceeded the maximum number of files (300) or lines (20000).", [error])
    return Answer(whole_text(files).encode(), content_type=f"{call.accept}; charset=utf-8")


@route("GET", "/pulls/{pull_number}/files", "pull_requests")
def list_files(call: Call) -> Answer:
    pull, state = find_pull(call), call.state
    files = state.git.changes(pull.base_sha, pull.head_sha)[: state.most_files]
    return call.page(files, lambda page: [objects.diff_entry(state, file, pull.head_sha) for file in page])


@route("GET", "/pulls/{pull_number}/commits", "pull_requests")
def list_commits(call: Call) -> Answer:
    pull = find_pull(call)
    commits = call.state.git.commits_between(pull.base_sha, pull.head_sha)[:_MOST_COMMITS]
    return call.page(commits, lambda page: [objects.commit(call.state, commit) for commit in page])


@route("GET", "/pulls", "pull_requests")
def list_pulls(call: Call) -> Answer:
    state, query = call.state, call.query
    wanted, head, base = query.get("state", "open"), query.get("head", ""), query.get("base")
    sort = query.get("sort", "created")
    pulls = [
        pull
        for pull in state.pulls.values()
        if wanted in {"all", pull.state}
        and base in {None, pull.base_ref}
        # GitHub looks at a head only if it names the owner, too.
        and (":" not in head or head == f"{pull.head_owner}:{pull.head_ref}")
    ]
    if call.repository != state.repository:
        pulls = []
    descending = query.get("direction", "desc" if sort == "created" else "asc") == "desc"
    pulls.sort(key=lambda pull: pull.updated if sort == "updated" else pull.created, reverse=descending)
    return call.page(pulls, lambda page: [objects.pull_simple(state, pull) for pull in page])


@route("POST", "/pulls", "pull_requests")
def create_pull(call: Call) -> Answer:
    state, body = call.state, call.body
    owner, _, branch = body["head"].rpartition(":")
    repository = _fork_of(state, owner) if owner else state.repository
    head = state.git.get_ref(repository, f"refs/heads/{branch}") if repository else None
    base = state.git.get_ref(state.repository, f"refs/heads/{body['base']}")
    for name, sha in (("head", head), ("base", base)):
        if sha is None:
            raise invalid(_RESOURCE, name)
    if not body.get("title"):
        raise invalid(_RESOURCE, "title", "missing_field")
    for pull in state.pulls.values():
        if (pull.state, pull.head_repo, pull.head_ref, pull.base_ref) == ("open", repository, branch, body["base"]):
            message = f"A pull request already exists for {pull.head_owner}:{branch}."
            raise invalid(_RESOURCE, "head", "custom", message)
    if not state.git.commits_between(base, head):
        message = f"No commits between {body['base']} and {branch}"
        raise invalid(_RESOURCE, "head", "custom", message)
    number = max([0, *state.pulls, *state.issues]) + 1
    pull = Pull(number, base, head, branch, repository, base_ref=body["base"], author=call.token.login)
    pull.title, pull.body, pull.draft = body["title"], body.get("body"), body.get("draft", False)
    return Answer(objects.pull_full(state, state.open_pull(pull)), 201)


def _fork_of(state: State, owner: str) -> str | None:
    if owner == state.owner:
        return state.repository
    forks = (pull.head_repo for pull in state.pulls.values() if pull.head_repo)
    return next((fork for fork in forks if fork.split("/")[0] == owner), None)


@route("GET", "/commits/{commit_sha}/pulls", "pull_requests", "contents")
def list_pulls_of_commit(call: Call) -> Answer:
    """A commit that is only in a fork belongs to no pull request here, as far as GitHub tells."""
    state, sha = call.state, call.parameters["commit_sha"]
    if state.git.commit(sha) is None:
        raise Refusal(422, f"No commit found for SHA: {sha}")
    pulls = [
        pull
        for pull in state.pulls.values()
        if (pull.head_repo == state.repository or state.fork_commits_have_pulls)
        and any(str(commit.id) == sha for commit in state.git.commits_between(pull.base_sha, pull.head_sha))
    ]
    return call.page(pulls, lambda page: [objects.pull_simple(state, pull) for pull in page])


@route("GET", "/compare/{basehead}", "contents")
def compare(call: Call) -> Answer:
    state = call.state
    ends = [_end(call, name) for name in call.parameters["basehead"].split("...")]
    if len(ends) != 2:
        raise not_found()
    base, head = ends
    if call.accept in _TEXT_TYPES:
        return _text(call, base, head)
    merge_base = state.git.merge_base(base, head)
    ahead, behind = state.git.commits_between(base, head), state.git.commits_between(head, base)
    words = {(False, False): "identical", (True, False): "ahead", (False, True): "behind", (True, True): "diverged"}
    api, web = (f"{url}/compare/{base}...{head}" for url in _urls(state))
    files = state.git.changes(base, head)[:_MOST_FILES_IN_TEXT]

    def comparison(page: list) -> objects.Json:
        return {
            "url": api,
            "html_url": web,
            "permalink_url": web,
            "diff_url": f"{web}.diff",
            "patch_url": f"{web}.patch",
            "base_commit": objects.commit(state, state.git.commit(base)),
            "merge_base_commit": objects.commit(state, state.git.commit(merge_base)),
            "status": words[bool(ahead), bool(behind)],
            "ahead_by": len(ahead),
            "behind_by": len(behind),
            "total_commits": len(ahead),
            "commits": [objects.commit(state, commit) for commit in page],
            "files": [objects.diff_entry(state, file, head) for file in files],
        }

    return call.page(ahead, comparison)


def _urls(state: State) -> tuple[str, str]:
    return f"{state.api}/repos/{state.repository}", f"{state.web}/{state.repository}"


def _end(call: Call, name: str) -> str:
    """The commit at one end of a comparison: ``BRANCH``, ``SHA`` or ``OWNER:BRANCH``."""
    owner, _, ref = name.rpartition(":")
    repository = _fork_of(call.state, owner) if owner else call.repository
    found = call.state.git.resolve(repository, ref) if repository and ref else None
    if found is None:
        raise not_found()
    return str(found.id)
