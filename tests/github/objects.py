"""The JSON objects that several endpoints answer with: people, repositories, commits, pull requests."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pygit2
from tests.github.diff import FileDiff
from tests.github.state import Pull, State

Json = dict[str, Any]

BOT = "[bot]"
_LONG_AGO = "2020-01-01T00:00:00Z"

_REPOSITORY_LINKS = {
    "archive": "/{archive_format}{/ref}",
    "assignees": "{/user}",
    "blobs": "/git/blobs{/sha}",
    "branches": "{/branch}",
    "collaborators": "{/collaborator}",
    "comments": "{/number}",
    "commits": "{/sha}",
    "compare": "/{base}...{head}",
    "contents": "/{+path}",
    "contributors": "",
    "deployments": "",
    "downloads": "",
    "events": "",
    "forks": "",
    "git_commits": "/git/commits{/sha}",
    "git_refs": "/git/refs{/sha}",
    "git_tags": "/git/tags{/sha}",
    "hooks": "",
    "issue_comment": "/issues/comments{/number}",
    "issue_events": "/issues/events{/number}",
    "issues": "{/number}",
    "keys": "{/key_id}",
    "labels": "{/name}",
    "languages": "",
    "merges": "",
    "milestones": "{/number}",
    "notifications": "{?since,all,participating}",
    "pulls": "{/number}",
    "releases": "{/id}",
    "stargazers": "",
    "statuses": "/{sha}",
    "subscribers": "",
    "subscription": "",
    "tags": "",
    "teams": "",
    "trees": "/git/trees{/sha}",
}
_COUNTS = ("forks", "forks_count", "open_issues", "open_issues_count", "size", "stargazers_count", "watchers")
_COUNTS_IN_FULL = ("watchers_count", "network_count", "subscribers_count")


def numeric_id(name: str) -> int:
    """An id that a name always gets."""
    return zlib.crc32(name.lower().encode())


def user(state: State, login: str) -> Json:
    api = f"{state.api}/users/{quote(login)}"
    lists = ("events{/privacy}", "followers", "following{/other_user}", "gists{/gist_id}", "orgs")
    urls = dict(
        zip(("events_url", "followers_url", "following_url", "gists_url", "organizations_url"), lists, strict=True)
    )
    urls |= {"received_events_url": "received_events", "repos_url": "repos"}
    urls |= {"starred_url": "starred{/owner}{/repo}", "subscriptions_url": "subscriptions"}
    is_bot = login.endswith(BOT)
    return {name: f"{api}/{rest}" for name, rest in urls.items()} | {
        "login": login,
        "id": numeric_id(login),
        "node_id": f"U_{numeric_id(login)}",
        "avatar_url": f"{state.web}/avatars/{numeric_id(login)}",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{state.web}/apps/{login.removesuffix(BOT)}" if is_bot else f"{state.web}/{login}",
        "type": "Bot" if is_bot else "User",
        "site_admin": False,
        "user_view_type": "public",
    }


def association(state: State, login: str) -> str:
    if login == state.owner:
        return "OWNER"
    return "COLLABORATOR" if state.role(login) in {"admin", "maintain", "write"} else "CONTRIBUTOR"


def integration(state: State, login: str) -> Json:
    """The app that an app's token writes as."""
    slug = login.removesuffix(BOT)
    return {
        "id": numeric_id(slug),
        "slug": slug,
        "node_id": f"A_{numeric_id(slug)}",
        "owner": user(state, "github"),
        "name": slug,
        "description": None,
        "external_url": f"{state.web}/features/actions",
        "html_url": f"{state.web}/apps/{slug}",
        "created_at": _LONG_AGO,
        "updated_at": _LONG_AGO,
        "permissions": {"metadata": "read"},
        "events": [],
    }


def repository(state: State, full_name: str) -> Json:
    owner, name = full_name.split("/")
    api = f"{state.api}/repos/{full_name}"
    web = f"{state.web}/{full_name}"
    links = {f"{key}_url": f"{api}{_link(key, rest)}" for key, rest in _REPOSITORY_LINKS.items()}
    return (
        links
        | dict.fromkeys((*_COUNTS, *_COUNTS_IN_FULL), 0)
        | {
            "id": numeric_id(full_name),
            "node_id": f"R_{numeric_id(full_name)}",
            "name": name,
            "full_name": full_name,
            "private": state.private,
            "owner": user(state, owner),
            "html_url": web,
            "description": None,
            "fork": full_name != state.repository,
            "url": api,
            "clone_url": f"{web}.git",
            "git_url": f"{web}.git",
            "ssh_url": f"git@{web.removeprefix('https://')}.git",
            "svn_url": web,
            "homepage": None,
            "mirror_url": None,
            "language": "Python",
            "license": None,
            "default_branch": state.default_branch,
            "visibility": "private" if state.private else "public",
            "topics": [],
            "archived": False,
            "disabled": False,
            **{f"has_{part}": False for part in ("discussions", "downloads", "pages", "projects", "wiki")},
            "has_issues": True,
            "created_at": _LONG_AGO,
            "updated_at": _LONG_AGO,
            "pushed_at": _LONG_AGO,
            "permissions": {"admin": False, "push": True, "pull": True},
        }
    )


def _link(key: str, rest: str) -> str:
    """The template of a list holds its own path if that is not what it is called."""
    return rest if rest.startswith(("/git/", "/issues/", "/{archive")) else f"/{key}{rest}"


def commit(state: State, found: pygit2.Commit) -> Json:
    sha = str(found.id)
    api, web = f"{state.api}/repos/{state.repository}", f"{state.web}/{state.repository}"
    return {
        "sha": sha,
        "node_id": f"C_{sha}",
        "url": f"{api}/commits/{sha}",
        "html_url": f"{web}/commit/{sha}",
        "comments_url": f"{api}/commits/{sha}/comments",
        "author": None,
        "committer": None,
        "parents": [
            {"sha": str(parent), "url": f"{api}/commits/{parent}", "html_url": f"{web}/commit/{parent}"}
            for parent in found.parent_ids
        ],
        "commit": {
            "author": signature(found.author),
            "committer": signature(found.committer),
            "message": found.message,
            "comment_count": 0,
            "tree": {"sha": str(found.tree_id), "url": f"{api}/git/trees/{found.tree_id}"},
            "url": f"{api}/git/commits/{sha}",
        },
    }


def signature(person: pygit2.Signature) -> Json:
    date = datetime.fromtimestamp(person.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"name": person.name, "email": person.email, "date": date}


def diff_entry(state: State, file: FileDiff, sha: str) -> Json:
    """A file of a diff. A patch that is too large is left out, and so is one that has no lines."""
    web, path = f"{state.web}/{state.repository}", quote(file.path)
    entry = {
        "sha": file.sha,
        "filename": file.path,
        "status": file.status,
        "additions": file.additions,
        "deletions": file.deletions,
        "changes": file.additions + file.deletions,
        "blob_url": f"{web}/blob/{sha}/{path}",
        "raw_url": f"{web}/raw/{sha}/{path}",
        "contents_url": f"{state.api}/repos/{state.repository}/contents/{path}?ref={sha}",
    }
    if file.old_path != file.path:
        entry["previous_filename"] = file.old_path
    if file.patch and file.patch.count("\n") < state.largest_patch:
        entry["patch"] = file.patch
    return entry


def pull_urls(state: State, number: int) -> Json:
    api, web = f"{state.api}/repos/{state.repository}", f"{state.web}/{state.repository}/pull/{number}"
    return {
        "url": f"{api}/pulls/{number}",
        "html_url": web,
        "diff_url": f"{web}.diff",
        "patch_url": f"{web}.patch",
    }


def pull_simple(state: State, pull: Pull) -> Json:
    """A pull request as lists show it."""
    urls = pull_urls(state, pull.number)
    issue = f"{state.api}/repos/{state.repository}/issues/{pull.number}"
    urls |= {
        "issue_url": issue,
        "commits_url": f"{urls['url']}/commits",
        "review_comments_url": f"{urls['url']}/comments",
        "review_comment_url": f"{state.api}/repos/{state.repository}/pulls/comments{{/number}}",
        "comments_url": f"{issue}/comments",
        "statuses_url": f"{state.api}/repos/{state.repository}/statuses/{pull.head_sha}",
    }
    names = ("html", "issue", "comments", "review_comments", "review_comment", "commits", "statuses")
    links = {"self": urls["url"]} | {name: urls[f"{name}_url"] for name in names}
    closed = None if pull.state == "open" else pull.updated
    return urls | {
        "_links": {name: {"href": url} for name, url in links.items()},
        "id": 10**6 + pull.number,
        "node_id": f"PR_{pull.number}",
        "number": pull.number,
        "state": pull.state,
        "locked": False,
        "title": pull.title,
        "user": user(state, pull.author),
        "body": pull.body,
        "labels": [_label(state, name) for name in pull.labels],
        "milestone": None,
        "created_at": pull.created,
        "updated_at": pull.updated,
        "closed_at": closed,
        "merged_at": closed if pull.merged else None,
        "merge_commit_sha": None,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "draft": pull.draft,
        "author_association": association(state, pull.author),
        "auto_merge": None,
        "head": _end(state, pull.head_repo, (pull.head_owner, pull.head_ref, pull.head_sha)),
        "base": _end(state, state.repository, (state.owner, pull.base_ref, pull.base_sha)),
    }


def pull_full(state: State, pull: Pull) -> Json:
    files = state.git.changes(pull.base_sha, pull.head_sha)
    numbers: dict[str, Any] = {
        "comments": sum(comment.number == pull.number for comment in state.comments.values()),
        "review_comments": len(state.visible_comments(pull.number)),
        "commits": len(state.git.commits_between(pull.base_sha, pull.head_sha)),
        "additions": sum(file.additions for file in files),
        "deletions": sum(file.deletions for file in files),
        "changed_files": len(files),
    }
    mergeable = pull.state == "open"
    return (
        pull_simple(state, pull)
        | numbers
        | {
            "merged": pull.merged,
            "mergeable": mergeable or None,
            "rebaseable": mergeable or None,
            "mergeable_state": "clean" if mergeable else "unknown",
            "merged_by": user(state, state.owner) if pull.merged else None,
            "maintainer_can_modify": pull.head_repo not in {None, state.repository},
        }
    )


def pull_minimal(state: State, pull: Pull) -> Json:
    """A pull request as a workflow's run names it."""

    def end(full_name: str, ref: str, sha: str) -> Json:
        url = f"{state.api}/repos/{full_name}"
        return {
            "ref": ref,
            "sha": sha,
            "repo": {"id": numeric_id(full_name), "url": url, "name": url.rsplit("/", maxsplit=1)[-1]},
        }

    return {
        "id": 10**6 + pull.number,
        "number": pull.number,
        "url": pull_urls(state, pull.number)["url"],
        "head": end(pull.head_repo or state.repository, pull.head_ref, pull.head_sha),
        "base": end(state.repository, pull.base_ref, pull.base_sha),
    }


def _end(state: State, full_name: str | None, head: tuple[str, str, str]) -> Json:
    owner, ref, sha = head
    return {
        "label": f"{owner}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": user(state, owner),
        "repo": repository(state, full_name) if full_name else None,
    }


def _label(state: State, name: str) -> Json:
    return {
        "id": numeric_id(name),
        "node_id": f"LA_{numeric_id(name)}",
        "url": f"{state.api}/repos/{state.repository}/labels/{quote(name)}",
        "name": name,
        "description": None,
        "color": "ededed",
        "default": False,
    }


def reactions(state: State, comment: int, url: str) -> Json:
    """How many reactions of each kind a comment got."""
    kinds = ("+1", "-1", "laugh", "confused", "heart", "hooray", "eyes", "rocket")
    given = [reaction.content for reaction in state.reactions if reaction.comment == comment]
    return {kind: given.count(kind) for kind in kinds} | {"url": f"{url}/reactions", "total_count": len(given)}
