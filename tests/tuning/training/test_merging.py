from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

from tests.tuning.training.test_running import logits, run  # noqa: E402
from tests.tuning.training.tiny import save_model  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from llm_testgen.errors import UsageError  # noqa: E402
from llm_testgen.tuning.mixtures.config import AdaMoLEConfig  # noqa: E402
from llm_testgen.tuning.training import merging, models  # noqa: E402

# Peft asks transformers for it by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


@pytest.fixture(scope="module")
def adapter(model, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapters") / "one"
    run(model, data, out, steps=3)
    return out


def test_a_merged_model_gives_the_logits_of_the_model_with_its_adapter(model, adapter, tmp_path):
    assert merging.base_of(adapter, None) == str(model)
    merging.merge(adapter, str(model), tmp_path / "merged")
    adapted = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), str(adapter))
    found = logits(AutoModelForCausalLM.from_pretrained(tmp_path / "merged"))
    assert torch.allclose(found, logits(adapted), atol=1e-5)
    assert not torch.allclose(found, logits(AutoModelForCausalLM.from_pretrained(model)), atol=1e-2)
    tokenizer = models.find_base(str(tmp_path / "merged")).tokenizer
    assert tokenizer.chat_template == models.find_base(str(model)).tokenizer.chat_template


def test_an_adapter_for_another_model_is_refused(adapter, tmp_path):
    wider = save_model(tmp_path / "wider", hidden_size=64)
    with pytest.raises(UsageError, match=r"does not fit .*wider .*: pass --base the model that it was trained for"):
        merging.merge(adapter, str(wider), tmp_path / "merged")
    fewer = save_model(tmp_path / "fewer", num_hidden_layers=1)
    with pytest.raises(UsageError, match="does not fit"):
        merging.merge(adapter, str(fewer), tmp_path / "merged")
    more = save_model(tmp_path / "more", num_hidden_layers=3)
    with pytest.raises(UsageError, match="does not fit"):
        merging.merge(adapter, str(more), tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_merge_that_fails_leaves_nothing_and_one_that_would_not_fit_is_not_begun(
    model, adapter, tmp_path, monkeypatch
):
    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(merging, "load_tokenizer", full)
        with pytest.raises(UsageError, match=r"No space left.*pass --out on a disk with room"):
            merging.merge(adapter, str(model), tmp_path / "merged")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(models, "available_memory", lambda: 1_000_000)
    with pytest.raises(UsageError, match=r"takes about 0\.5 GB as it is loaded"):
        merging.merge(adapter, str(model), tmp_path / "merged")
    monkeypatch.undo()
    (tmp_path / "empty").mkdir()
    merging.merge(adapter, str(model), tmp_path / "empty")
    assert (tmp_path / "empty" / "tokenizer.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_mixture_and_what_is_no_adapter_are_refused(model, data, tmp_path):
    run(model, data, tmp_path / "mixture", mixture=AdaMoLEConfig(experts=2), steps=1)
    with pytest.raises(UsageError, match=r"is a mixture .* merge one of its experts alone"):
        merging.base_of(tmp_path / "mixture", None)
    assert merging.base_of(tmp_path / "mixture" / "experts" / "expert_0", None) == str(model)
    with pytest.raises(UsageError, match=r"holds no adapter_config\.json: give the folder of an adapter"):
        merging.base_of(tmp_path, None)
    (tmp_path / "adapter_config.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        merging.base_of(tmp_path, None)
    with pytest.raises(UsageError, match="is there already: pass --out"):
        merging.require_new(tmp_path)
