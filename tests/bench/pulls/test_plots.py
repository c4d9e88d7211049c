from __future__ import annotations

import builtins
import xml.etree.ElementTree as ET

import pytest
from tests.bench.pulls.made import result

from llm_testgen.bench.pulls.arms import CONTEXT, TEMPERATURE
from llm_testgen.bench.pulls.plots import draw
from llm_testgen.bench.pulls.tables import series_of
from llm_testgen.errors import UsageError

MODELS = ("small-model", "large-model")


def made(arms):
    results = [result(arm, f"{project}-1.0", model=model) for arm in arms for project in "abc" for model in MODELS]
    return series_of(results, arms, MODELS)


@pytest.mark.parametrize(("arms", "label"), [(TEMPERATURE, "0.8"), (CONTEXT, "bodies, 300 tokens")])
def test_a_plot_is_a_picture_that_names_what_it_shows(arms, label, tmp_path):
    png, svg = draw("name", "What is shown", made(arms), tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    # It is what was just drawn.
    texts = [node.text for node in ET.fromstring(svg.read_bytes()).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    assert {"What is shown", label, *MODELS} <= set(texts)
    assert any("passing" in (text or "") for text in texts)


def test_the_same_results_give_the_same_file(tmp_path):
    first = [path.read_bytes() for path in draw("name", "T", made(CONTEXT), tmp_path)]
    assert [path.read_bytes() for path in draw("name", "T", made(CONTEXT), tmp_path)] == first


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"pip install 'llm-testgen\[bench\]'"):
        draw("name", "T", made(CONTEXT), tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(UsageError, match="pass another --plots"):
        draw("name", "T", made(CONTEXT), tmp_path / "nowhere")
