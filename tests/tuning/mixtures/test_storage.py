from __future__ import annotations

import json
import shutil

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from peft import PeftModel  # noqa: E402
from tests.tuning.mixtures import tiny  # noqa: E402

from llm_testgen.errors import UsageError  # noqa: E402
from llm_testgen.tuning.mixtures.building import add_adamole, add_mole  # noqa: E402
from llm_testgen.tuning.mixtures.config import AdaMoLEConfig, GateScope, MoLEConfig, MoLEGate, Selection  # noqa: E402
from llm_testgen.tuning.mixtures.storage import CARD, base_of, from_pretrained, save_pretrained  # noqa: E402

pytestmark = pytest.mark.filterwarnings(tiny.OLD_NAME)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    return tiny.save_adapters(tmp_path_factory.mktemp("adapters"))


@pytest.fixture
def saved(adapters, tmp_path):
    mixture = add_mole(tiny.llama(), adapters)
    tiny.disturb(mixture.gate_parameters().values())
    save_pretrained(mixture, tmp_path / "saved")
    return tmp_path / "saved"


def made(config, adapters):
    if isinstance(config, MoLEConfig):
        return add_mole(tiny.llama(), adapters, config)
    return add_adamole(tiny.llama(), config)


@pytest.mark.parametrize(
    "config",
    [
        MoLEConfig(temperature=0.3, balance=0.2),
        MoLEConfig(gate=MoLEGate.INPUT, scope=GateScope.BLOCK),
        AdaMoLEConfig(experts=3, rank=2, target_modules=("q_proj", "down_proj")),
        AdaMoLEConfig(experts=2, rank=2, selection=Selection.FIXED, threshold=0.4),
        AdaMoLEConfig(experts=3, rank=2, selection=Selection.TOP_K),
    ],
    ids=["outputs", "input", "adaptive", "fixed", "top-k"],
)
def test_what_is_saved_and_loaded_gives_the_same_logits_and_trains_the_same(config, adapters, tmp_path):
    mixture = made(config, adapters)
    tiny.disturb(mixture.trainable_parameters().values())
    expected = tiny.logits(mixture.model, tiny.tokens())
    save_pretrained(mixture, tmp_path / "saved")
    loaded = from_pretrained(tiny.llama(), tmp_path / "saved")
    assert torch.equal(tiny.logits(loaded.model, tiny.tokens()), expected)
    assert loaded.config == config
    assert list(loaded.trainable_parameters()) == list(mixture.trainable_parameters())
    assert not loaded.model.training
    loaded.model.train()
    loaded.model(input_ids=tiny.tokens(), labels=tiny.tokens()).loss.backward()
    assert all(one.grad is not None for one in loaded.trainable_parameters().values())


def test_the_experts_of_a_saved_mixture_are_adapters_that_peft_loads(adapters, saved):
    plain = PeftModel.from_pretrained(tiny.llama(), str(adapters[2]))
    expert = PeftModel.from_pretrained(tiny.llama(), str(saved / "experts" / "expert_2"))
    assert torch.equal(tiny.logits(expert, tiny.tokens()), tiny.logits(plain, tiny.tokens()))


def test_the_card_says_what_the_mixture_is(saved):
    card = json.loads((saved / CARD).read_text())
    assert card["version"] == 1
    assert card["kind"] == "mole"
    assert card["base_model"] == base_of(saved) == tiny.NAME
    assert card["experts"] == ["expert_0", "expert_1", "expert_2"]
    assert card["mole"]["scope"] == "layer"
    assert card["libraries"]["torch"] == torch.__version__
    assert "adamole" not in card


def test_a_mixture_can_be_saved_over_another(saved):
    mixture = from_pretrained(tiny.llama(), saved)
    tiny.disturb(mixture.gate_parameters().values(), seed=9)
    expected = tiny.logits(mixture.model, tiny.tokens())
    save_pretrained(mixture, saved)
    assert torch.equal(tiny.logits(from_pretrained(tiny.llama(), saved).model, tiny.tokens()), expected)


def test_a_folder_that_cannot_be_written_is_named(adapters, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written to"):
        save_pretrained(add_mole(tiny.llama(), adapters), tmp_path / "file")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / CARD).unlink(), "holds no mixture.json"),
        (lambda folder: (folder / CARD).write_text("{}"), "is no card of version 1: kind"),
        (lambda folder: (folder / "gates.safetensors").unlink(), "gates of the mixture .* cannot be read"),
        (lambda folder: (folder / "gates.safetensors").write_bytes(b"no"), "gates of the mixture .* cannot be read"),
        (lambda folder: shutil.rmtree(folder / "experts" / "expert_1"), "expert_1 holds no adapter_config.json"),
        (
            lambda folder: (folder / CARD).write_text((folder / CARD).read_text().replace('"mole": {', '"adamole": {')),
            "no settings of its kind, mole|is no card of version 1",
        ),
        (
            lambda folder: (folder / CARD).write_text((folder / CARD).read_text().replace("expert_1", "../expert_1")),
            "is no card of version 1: experts.1",
        ),
        (
            lambda folder: (folder / CARD).write_text((folder / CARD).read_text().replace('"outputs"', '"input"')),
            "do not fit its experts",
        ),
        (
            lambda folder: (folder / CARD).write_text(
                (folder / CARD).read_text().replace('"balance": 0.01', '"balance": -1')
            ),
            "the weight of the balance loss is -1",
        ),
    ],
)
def test_a_spoilt_folder_is_refused_with_what_is_wrong(saved, spoil, message):
    spoil(saved)
    with pytest.raises(UsageError, match=message):
        from_pretrained(tiny.llama(), saved)


def test_a_mixture_for_another_base_is_refused(saved):
    with pytest.raises(UsageError, match=r"was trained for made/tiny-llama, and this is made/other: load that model"):
        from_pretrained(tiny.llama("made/other"), saved)
    assert from_pretrained(tiny.llama("made/other"), saved, any_base=True).experts
    assert from_pretrained(tiny.llama("/moved/Tiny-Llama"), saved).experts
