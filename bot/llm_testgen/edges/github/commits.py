"""A commit made through the API, and only on top of the commit that was tested."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from github.InputGitTreeElement import InputGitTreeElement

from llm_testgen.edges.github.client import GitHubRepository
from llm_testgen.pulls import Pull

_FILE = "100644"


def commit_files(repository: GitHubRepository, pull: Pull, files: Mapping[str, str], message: str) -> str:
    """Commit files to a pull request's branch; the commit's id.

    The branch moves only if its head is still the commit that ``pull`` names: the new commit's only parent is that
    one, and GitHub is asked not to force.

    Args:
        repository: The repository, which the branch must be in.
        pull: The pull request, with the head that was tested.
        files: Path → text, of new files and of those to replace.
        message: The commit's.

    Raises:
        GitHubRefusedError: The branch has moved, or is protected.
        GitHubError: It cannot be written to.
    """
    parent = repository.patience.read(lambda: repository.api.get_git_commit(pull.head))
    elements = [InputGitTreeElement(path, _FILE, "blob", content=text) for path, text in files.items()]
    # A tree or a commit that was made twice, since an answer was lost, does no harm: only the branch counts.
    tree = repository.patience.read(lambda: repository.api.create_git_tree(elements, parent.tree))
    commit = repository.patience.read(lambda: repository.api.create_git_commit(message, tree, [parent]))
    url = f"{repository.api.url}/git/refs/heads/{quote(pull.head_branch)}"
    content = {"sha": commit.sha, "force": False}

    def move() -> str:
        repository.api.requester.requestJsonAndCheck("PATCH", url, input=content)
        return commit.sha

    def moved() -> str | None:
        found = repository.patience.read(lambda: repository.api.get_git_ref(f"heads/{pull.head_branch}").object.sha)
        return commit.sha if found == commit.sha else None

    return repository.patience.write(move, moved)
