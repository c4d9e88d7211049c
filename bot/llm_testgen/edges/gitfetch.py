"""Commits that a checkout lacks, fetched from where it came from; its files, its branches and its settings stay."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from llm_testgen.errors import ProjectError

_SECONDS = 600
_LONGEST_REASON = 300


def fetch_pull(  # noqa: PLR0913 - what git needs
    root: Path, number: int, base_branch: str, *, token: str, server: str, environ: Mapping[str, str]
) -> None:
    """Fetch a pull request's head and its base branch, with their history, to references of our own.

    Args:
        root: The checkout, or a folder in it; ``origin`` is where it came from.
        number: The pull request.
        base_branch: The branch that it is to be merged into.
        token: Shown to the server alone, and never in a command line; empty for none.
        server: Address of the server that the token is for.
        environ: Where git, the proxy and the certificates are found.

    Raises:
        ProjectError: They cannot be fetched.
    """
    ours = f"refs/llm-testgen/{number}"
    specs = [f"+refs/pull/{number}/head:{ours}/head", f"+refs/heads/{base_branch}:{ours}/base"]
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    # No hook of the checkout runs, no submodule is entered, and nothing is asked for.
    git = ["git", "-C", str(top), "-c", f"core.hooksPath={os.devnull}", "-c", f"safe.directory={top}"]
    env = {**environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **_authorization(token, server)}
    is_shallow = _run([*git, "rev-parse", "--is-shallow-repository"], env, number).strip() == "true"
    shallow = ["--unshallow"] if is_shallow else []
    fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", *shallow, "--", "origin", *specs]
    _run([*git, *fetch], env, number)


def _run(command: Sequence[str], env: Mapping[str, str], number: int) -> str:
    """What a git command prints."""
    try:
        done = subprocess.run(command, env=env, capture_output=True, timeout=_SECONDS, check=False)
    except FileNotFoundError as error:
        msg = "git is not installed: install it, or check the pull request out with `fetch-depth: 0`"
        raise ProjectError(msg) from error
    except subprocess.TimeoutExpired as error:
        msg = f"git fetch took more than {_SECONDS} s: check the pull request out with `fetch-depth: 0`"
        raise ProjectError(msg) from error
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())[:_LONGEST_REASON]
        msg = f"pull request {number} cannot be fetched ({said}): give the job `contents: read`"
        raise ProjectError(msg)
    return done.stdout.decode(errors="replace")


def _authorization(token: str, server: str) -> dict[str, str]:
    """Settings for one run of git, in its environment: nobody else sees them and nothing is stored."""
    address = urlsplit(server)
    if not token or not address.scheme.startswith("http"):
        return {}
    key = f"http.{address.scheme}://{address.netloc}/.extraheader"
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    # An empty value first drops a header that the checkout keeps: two would be refused.
    return {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": key,
        "GIT_CONFIG_VALUE_0": "",
        "GIT_CONFIG_KEY_1": key,
        "GIT_CONFIG_VALUE_1": f"AUTHORIZATION: basic {basic}",
    }
