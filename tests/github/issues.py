"""Issues, the comments below them and below pull requests, and reactions."""

from __future__ import annotations

from tests.github import objects
from tests.github.comments import check_author, find_comment
from tests.github.objects import Json
from tests.github.router import Answer, Call, check_body, not_found, route
from tests.github.state import Comment, Issue, Pull, Reaction, State, Token

# Below a pull request, either right is enough.
_RIGHTS = ("issues", "pull_requests")
_RESOURCE = "IssueComment"


def issue_comment(state: State, comment: Comment) -> Json:
    api = f"{state.api}/repos/{state.repository}/issues"
    url = f"{api}/comments/{comment.id}"
    kind = "pull" if comment.number in state.pulls else "issues"
    return {
        "id": comment.id,
        "node_id": f"IC_{comment.id}",
        "url": url,
        "html_url": f"{state.web}/{state.repository}/{kind}/{comment.number}#issuecomment-{comment.id}",
        "issue_url": f"{api}/{comment.number}",
        "body": comment.body,
        "user": objects.user(state, comment.login),
        "created_at": comment.created,
        "updated_at": comment.updated,
        "author_association": objects.association(state, comment.login),
        "performed_via_github_app": objects.integration(state, comment.login) if comment.app else None,
        "reactions": objects.reactions(state, comment.id, url),
        "minimized": {"reason": comment.minimized.lower()} if comment.minimized else None,
    }


def issue_object(state: State, issue: Issue | Pull) -> Json:
    url = f"{state.api}/repos/{state.repository}/issues/{issue.number}"
    is_pull = isinstance(issue, Pull)
    shown = {
        "id": 2 * 10**6 + issue.number,
        "node_id": f"I_{issue.number}",
        "number": issue.number,
        "url": url,
        "repository_url": f"{state.api}/repos/{state.repository}",
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": f"{state.web}/{state.repository}/{'pull' if is_pull else 'issues'}/{issue.number}",
        "title": issue.title,
        "body": issue.body,
        "user": objects.user(state, issue.author),
        "labels": list(issue.labels) if is_pull else [],
        "state": issue.state,
        "locked": False,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": sum(comment.number == issue.number for comment in state.comments.values()),
        "created_at": issue.created,
        "updated_at": issue.updated,
        "closed_at": None if issue.state == "open" else issue.updated,
        "author_association": objects.association(state, issue.author),
    }
    pull = (
        {"pull_request": objects.pull_urls(state, issue.number) | {"merged_at": None}, "draft": issue.draft}
        if is_pull
        else {}
    )
    return shown | pull


def _find_issue(call: Call) -> Issue | Pull:
    number = call.number("issue_number")
    found = call.state.pulls.get(number) or call.state.issues.get(number)
    if found is None or call.repository != call.state.repository:
        raise not_found()
    return found


def _find_comment(call: Call) -> Comment:
    comment = call.state.comments.get(call.number("comment_id"))
    if comment is None:
        raise not_found()
    return comment


@route("GET", "/issues/{issue_number}", *_RIGHTS)
def get_issue(call: Call) -> Answer:
    return Answer(issue_object(call.state, _find_issue(call)))


@route("GET", "/issues/{issue_number}/comments", *_RIGHTS)
def list_comments(call: Call) -> Answer:
    number, since = _find_issue(call).number, call.query.get("since", "")
    comments = [comment for comment in call.state.comments.values() if comment.number == number]
    recent = [comment for comment in comments if comment.updated >= since]
    return call.page(recent, lambda page: [issue_comment(call.state, comment) for comment in page])


@route("POST", "/issues/{issue_number}/comments", *_RIGHTS)
def create_comment(call: Call) -> Answer:
    issue = _find_issue(call)
    check_body(call.body["body"], _RESOURCE)
    return Answer(issue_comment(call.state, add_comment(call.state, issue.number, call.token, call.body["body"])), 201)


def add_comment(state: State, number: int, token: Token, body: str) -> Comment:
    now = state.now()
    comment = Comment(state.next_id(), number, token.login, body, now, now, app=token.kind == "app")
    state.comments[comment.id] = comment
    return comment


@route("GET", "/issues/comments/{comment_id}", *_RIGHTS)
def get_comment(call: Call) -> Answer:
    return Answer(issue_comment(call.state, _find_comment(call)))


@route("PATCH", "/issues/comments/{comment_id}", *_RIGHTS)
def edit_comment(call: Call) -> Answer:
    comment = _find_comment(call)
    check_author(call, comment)
    check_body(call.body["body"], _RESOURCE)
    comment.body, comment.updated = call.body["body"], call.state.now()
    return Answer(issue_comment(call.state, comment))


@route("DELETE", "/issues/comments/{comment_id}", *_RIGHTS)
def delete_comment(call: Call) -> Answer:
    comment = _find_comment(call)
    check_author(call, comment)
    call.state.delete_comment(comment.id)
    return Answer(status=204)


def _reaction(state: State, reaction: Reaction) -> Json:
    return {
        "id": reaction.id,
        "node_id": f"REA_{reaction.id}",
        "user": objects.user(state, reaction.login),
        "content": reaction.content,
        "created_at": reaction.created,
    }


def add_reaction(state: State, comment: int, content: str, login: str) -> tuple[Reaction, bool]:
    """The reaction, and whether it is new: nobody has the same one twice."""
    for reaction in state.reactions:
        if (reaction.comment, reaction.content, reaction.login) == (comment, content, login):
            return reaction, False
    reaction = Reaction(state.next_id(), comment, content, login, state.now())
    state.reactions.append(reaction)
    return reaction, True


def _list_reactions(call: Call, comment: Comment) -> Answer:
    content = call.query.get("content")
    reactions = [reaction for reaction in call.state.reactions if reaction.comment == comment.id]
    wanted = [reaction for reaction in reactions if content in {None, reaction.content}]
    return call.page(wanted, lambda page: [_reaction(call.state, reaction) for reaction in page])


@route("GET", "/issues/comments/{comment_id}/reactions", *_RIGHTS)
def list_issue_reactions(call: Call) -> Answer:
    return _list_reactions(call, _find_comment(call))


@route("GET", "/pulls/comments/{comment_id}/reactions", "pull_requests")
def list_review_reactions(call: Call) -> Answer:
    return _list_reactions(call, find_comment(call))


@route("POST", "/issues/comments/{comment_id}/reactions", *_RIGHTS)
def create_reaction(call: Call) -> Answer:
    comment = _find_comment(call)
    reaction, is_new = add_reaction(call.state, comment.id, call.body["content"], call.token.login)
    return Answer(_reaction(call.state, reaction), 201 if is_new else 200)
