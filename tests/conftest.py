"""Fixtures that every part of the suite shares."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import ConfigLevel

_ISOLATION = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A. Author",
    "GIT_AUTHOR_EMAIL": "author@example.org",
    "GIT_AUTHOR_DATE": "2024-01-01T00:00:00+0000",
    "GIT_COMMITTER_NAME": "A. Author",
    "GIT_COMMITTER_EMAIL": "author@example.org",
    "GIT_COMMITTER_DATE": "2024-01-01T00:00:00+0000",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


@dataclass(frozen=True, slots=True)
class GitProject:
    """A real git repository in a temporary folder, untouched by the configuration of whoever runs the tests."""

    root: Path

    def write(self, path: str, content: str | bytes) -> Path:
        """Make a file, and its folders; text is written as UTF-8 with its newlines as they are."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def delete(self, path: str) -> None:
        """Remove a file from the working directory."""
        (self.root / path).unlink()

    def move(self, old: str, new: str) -> None:
        """Rename a file of the working directory."""
        target = self.root / new
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.root / old).rename(target)

    def commit(self, message: str = "change") -> str:
        """Commit everything that is not ignored, and give the commit's id."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str) -> str:
        """Run a git command in the repository, and give what it printed."""
        foreign = {name for name in os.environ if name.startswith("GIT_")}
        environment = {name: value for name, value in os.environ.items() if name not in foreign} | _ISOLATION
        command = ["git", "-C", str(self.root), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')}"
        return done.stdout.decode(errors="surrogateescape")


@pytest.fixture(autouse=True, scope="session")
def _no_foreign_git_configuration():
    """What runs in this process reads no git configuration outside a repository either."""
    for level in (ConfigLevel.GLOBAL, ConfigLevel.XDG, ConfigLevel.SYSTEM):
        pygit2.settings.search_path[level] = os.devnull


@pytest.fixture
def git_project(tmp_path: Path) -> GitProject:
    """An empty repository on the branch main."""
    project = GitProject(tmp_path / "project")
    project.root.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    project.git("config", "core.autocrlf", "false")
    return project
