"""What the tests of training data share."""

from __future__ import annotations

import pytest

from llm_testgen.bench import environments
from llm_testgen.errors import ProjectError


@pytest.fixture(autouse=True)
def asked_of_the_index(monkeypatch) -> list[str]:
    """The projects whose releases a package index was asked for, which gives none."""
    asked = []

    def refuse(release, *_):
        asked.append(release.name)
        message = f"pip does not get the source of {release.name} {release.version}: try again"
        raise ProjectError(message)

    monkeypatch.setattr(environments, "_download", refuse)
    return asked
