"""A small pull request on a fake GitHub, looked at through the edge."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.conftest import GitProject
from tests.github.fake import FakeGitHub
from tests.github.scene import ALL, NUMBER, numbered

from llm_testgen.edges.github.client import Access, GitHubRepository
from llm_testgen.edges.github.patience import Patience
from llm_testgen.edges.github.pulls import read_pull
from llm_testgen.pulls import Pull

BOT = "github-actions[bot]"
CALC = "src/calc.py"


@dataclass(slots=True)
class Pulled:
    """Pull request 7 changes lines 5 and 30 of ``src/calc.py`` and adds ``src/fresh.py``.

    Attributes:
        slept: Seconds that were waited for, each time.
    """

    project: GitProject
    fake: FakeGitHub
    base: str
    head: str
    slept: list[float] = field(default_factory=list)
    opened: list[GitHubRepository] = field(default_factory=list)

    def repository(self, token: str = "", name: str = "") -> GitHubRepository:
        patience = Patience(self.slept.append, lambda: 0.0)
        token = token or self.fake.token("job", ALL)
        self.opened.append(GitHubRepository(Access(name or self.fake.full_name, token, self.fake.url, 0, patience)))
        return self.opened[-1]

    def person(self, login: str = "reviewer") -> GitHubRepository:
        """The repository with a token of a person's own."""
        return self.repository(self.fake.token(login, ALL, login=login, kind="user"))

    def pull(self) -> Pull:
        return read_pull(self.repository(), NUMBER)

    def wrote(self) -> list[str]:
        """Method and last part of the path of each write."""
        return [f"{request.method} {request.path.rpartition('/')[2]}" for request in self.fake.writes]


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The repository, made once, and its base and head."""
    project = GitProject(tmp_path_factory.mktemp("upstream"))
    project.git("init", "--quiet", "--initial-branch=main")
    project.git("config", "core.autocrlf", "false")
    project.write(CALC, numbered(40))
    base = project.commit("base")
    project.git("checkout", "--quiet", "-b", "topic")
    project.write(CALC, numbered(40, {5: "changed 5", 30: "changed 30"}))
    project.write("src/fresh.py", "a = 1\nb = 2\nc = 3\n")
    project.write("logo.bin", b"\0\1\2")
    head = project.commit("head")
    project.git("gc", "--quiet")
    shutil.rmtree(project.root / ".git/hooks", ignore_errors=True)
    return project.root, base, head


@pytest.fixture
def pulled(upstream: tuple[Path, str, str], tmp_path: Path) -> Iterator[Pulled]:
    root, base, head = upstream
    shutil.copytree(root, tmp_path / "project")
    with FakeGitHub(tmp_path / "project") as fake:
        fake.add_pull(NUMBER, base, head, head_ref="topic")
        pulled = Pulled(GitProject(tmp_path / "project"), fake, base, head)
        yield pulled
        for repository in pulled.opened:
            repository.close()
        assert fake.violations == []
        assert fake.leaked_tokens == []
