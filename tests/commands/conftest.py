"""What the tests of publishing and applying start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.commands.publishing_scene import Made, Scene, make_proposal, open_scene


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A real proposal, made once."""
    return make_proposal(tmp_path_factory.mktemp("proposal"))


@pytest.fixture
def scene(made: Made, tmp_path: Path) -> Iterator[Scene]:
    """An open pull request at the head that the proposal was made for."""
    with open_scene(made, tmp_path) as opened:
        yield opened
