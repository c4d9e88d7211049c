from __future__ import annotations

import hashlib

import pytest
from rich.console import Console

from llm_testgen.edges import weights
from llm_testgen.edges.weights import Weights
from llm_testgen.tuning.embedded import file_of

QUIET = Console(quiet=True)


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    model = Weights("tiny", "tiny-q4.gguf", 7, hashlib.sha256(b"weights").hexdigest(), "MIT", None, ())
    monkeypatch.setattr(weights, "EMBEDDED_MODELS", (model,))
    monkeypatch.setenv("LLM_TESTGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "tiny-q4.gguf").write_bytes(b"weights")
    return tmp_path / "cache" / "tiny-q4.gguf"


def test_an_embedded_models_name_means_its_file(tiny):
    assert file_of("Tiny", QUIET) == str(tiny)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", ["org/tiny", "some.gguf", "./tiny"])
def test_other_names_stay(name):
    assert file_of(name, QUIET) == name


def test_a_folder_of_that_name_is_meant_where_there_is_one(tiny):
    (tiny.parents[1] / "tiny").mkdir()
    assert file_of("tiny", QUIET) == "tiny"
