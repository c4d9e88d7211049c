"""The errors that a person can act on.

A candidate's faults are verdicts, never exceptions; what is raised here is a fault of the machine or of
the request. The message is one line and says what to do about it. Nothing of it ever reaches a prompt.
"""


class LlmTestgenError(Exception):
    """Base of every expected error: the command prints its message and ends with ``exit_code``."""

    exit_code = 2


class UsageError(LlmTestgenError):
    """The request cannot be carried out as it was made: an unknown revision, an unreadable file and the like."""


class ProjectError(LlmTestgenError):
    """The project or its interpreter lacks what a run needs: pytest, a test suite, history and the like."""


class ModelError(LlmTestgenError):
    """No reply can be had from the model: no key, a dead server, a file that does not verify and the like."""


class PromptRefusedError(ModelError):
    """The server works and would not take this one prompt: too long, say. Others may still be answered."""


class GitHubError(LlmTestgenError):
    """GitHub does not give, or does not take, what a run needs from it."""


class GitHubRefusedError(GitHubError):
    """GitHub understands a request and refuses its content (422): an anchor outside the diff, a moved branch."""


class GitHubForbiddenError(GitHubError):
    """The token may not do this, or cannot see it (401, 403, 404)."""


def first_expected(group: BaseExceptionGroup[BaseException]) -> LlmTestgenError | None:
    """The first error in a group of them that a person can act on."""
    for error in group.exceptions:
        found = first_expected(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, LlmTestgenError):
            return found
    return None
