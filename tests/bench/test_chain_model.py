from __future__ import annotations

import pytest

from llm_testgen.bench.chain_model import inside
from llm_testgen.errors import UsageError


def test_a_model_that_is_not_here_is_refused_with_what_else_there_is(tmp_path):
    with pytest.raises(UsageError, match=r"nobody is no embedded model: name one of .* or pass --endpoint"):
        inside("nobody")
    (tmp_path / "mixture.json").write_text("{}")
    with pytest.raises(UsageError, match="or a GGUF file, or for a mixture a folder with a model of transformers"):
        inside("nobody", tmp_path)


def test_a_mixture_may_be_put_on_a_folder(tmp_path):
    for folder, card in (("base", "config.json"), ("mole", "mixture.json")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / card).write_text("{}")
    assert inside(str(tmp_path / "base"), tmp_path / "mole").base == tmp_path / "base"
