"""A small pull request on a fake GitHub, looked at through the edge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

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


@pytest.fixture
def pulled(git_project: GitProject) -> Iterator[Pulled]:
    git_project.write(CALC, numbered(40))
    base = git_project.commit("base")
    git_project.git("checkout", "--quiet", "-b", "topic")
    git_project.write(CALC, numbered(40, {5: "changed 5", 30: "changed 30"}))
    git_project.write("src/fresh.py", "a = 1\nb = 2\nc = 3\n")
    git_project.write("logo.bin", b"\0\1\2")
    head = git_project.commit("head")
    with FakeGitHub(git_project.root) as fake:
        fake.add_pull(NUMBER, base, head, head_ref="topic")
        pulled = Pulled(git_project, fake, base, head)
        yield pulled
        for repository in pulled.opened:
            repository.close()
        assert fake.violations == []
        assert fake.leaked_tokens == []
