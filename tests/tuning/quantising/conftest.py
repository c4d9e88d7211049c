from __future__ import annotations

import pytest
from tests.tuning.quantising.tiny import Tiny, make_model, make_tokenizer


@pytest.fixture(scope="session", params=["qwen2", "llama"])
def tiny(request, tmp_path_factory) -> Tiny:
    pytest.importorskip("gguf")
    folder = tmp_path_factory.mktemp(request.param)
    tokenizer, model = make_tokenizer(request.param), make_model(request.param)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Tiny(folder, model, tokenizer, 300)


@pytest.fixture(scope="session")
def tiny_qwen(tmp_path_factory) -> Tiny:
    pytest.importorskip("gguf")
    folder = tmp_path_factory.mktemp("qwen")
    tokenizer, model = make_tokenizer("qwen2"), make_model("qwen2")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Tiny(folder, model, tokenizer, 300)
