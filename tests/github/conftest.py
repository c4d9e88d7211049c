"""The pull request that the tests of the fake look at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import GitProject
from tests.github.fake import FakeGitHub
from tests.github.scene import ALL, NUMBER, Scene, numbered


@pytest.fixture
def scene(git_project: GitProject) -> Iterator[Scene]:
    project = git_project
    project.write("src/calc.py", numbered(40))
    project.write("src/gone.py", "gone = True\n")
    project.write("old.py", numbered(20))
    project.write("logo.bin", b"\0\1\2")
    base = project.commit("base")
    project.git("checkout", "--quiet", "-b", "topic")
    project.write("src/calc.py", numbered(40, {5: "changed 5", 30: "changed 30"}))
    project.write("src/fresh.py", "a = 1\nb = 2\nc = 3\n")
    project.delete("src/gone.py")
    project.move("old.py", "new.py")
    project.write("logo.bin", b"\0\1\3")
    head = project.commit("head")
    with FakeGitHub(project.root) as fake:
        fake.add_pull(NUMBER, base, head, head_ref="topic")
        yield Scene(project, fake, base, head, fake.token("writer", ALL))
