from __future__ import annotations

import contextlib
import errno

import pytest

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
pytest.importorskip("accelerate")

from peft.helpers import disable_input_dtype_casting  # noqa: E402
from tests.tuning.mixtures.tiny import OLD_NAME  # noqa: E402
from tests.tuning.training.tiny import QUICK, save_model  # noqa: E402
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM  # noqa: E402

from llm_testgen.errors import UsageError  # noqa: E402
from llm_testgen.tuning.memory import ModelSize, Training, estimate  # noqa: E402
from llm_testgen.tuning.mixtures.building import add_adamole, add_mole  # noqa: E402
from llm_testgen.tuning.mixtures.config import (  # noqa: E402
    AdaMoLEConfig,
    GateScope,
    MoLEConfig,
    MoLEGate,
    Selection,
)
from llm_testgen.tuning.mixtures.experts import read_experts  # noqa: E402
from llm_testgen.tuning.training import models, sizes  # noqa: E402
from llm_testgen.tuning.training.preparing import Request, prepare  # noqa: E402
from llm_testgen.tuning.training.settings import Precision  # noqa: E402

pytestmark = pytest.mark.filterwarnings(OLD_NAME)
ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
RANK, LENGTH = 4, 96


def make_config(layers, attention="eager"):
    config = Qwen2Config(
        vocab_size=50,
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    config._attn_implementation = attention
    return config


def lora(dropout=0.0, targets=ALL):
    config = peft.LoraConfig(r=RANK, target_modules=list(targets), lora_dropout=dropout, task_type="CAUSAL_LM")
    return lambda model: peft.PeftModelForCausalLM(model, config)


def kept(config, adapt, *, half, checkpointing=False):
    """Bytes that torch keeps for the gradients of a forward pass, without the model's own weights."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    base = Qwen2ForCausalLM(config).to(torch.bfloat16 if half else torch.float32)
    model = adapt(base).train()
    if checkpointing:
        base.activation_checkpointing_enable({"use_reentrant": False})
    own = {one.untyped_storage().data_ptr() for one in model.parameters()}
    found = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage
        return tensor

    ids = torch.zeros((1, LENGTH), dtype=torch.long)
    computing = torch.autocast("cpu", torch.bfloat16) if half else contextlib.nullcontext()
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one),
        computing,
        disable_input_dtype_casting(model, active=half),
    ):
        model(input_ids=ids, attention_mask=torch.ones_like(ids), logits_to_keep=1)
    return sum(storage.nbytes() for storage in found.values())


def linear_layers(config):
    with torch.device("meta"):
        model = Qwen2ForCausalLM(config)
    return {
        name: (one.in_features, one.out_features)
        for name, one in model.named_modules()
        if isinstance(one, torch.nn.Linear) and not name.endswith("lm_head")
    }


def counted(config, count, *, half, **more):
    """Bytes that are counted for the same, with the copies of weights that autocast keeps."""
    layers, bits = linear_layers(config), 16 if half else 32
    added = count(layers, bits)
    training = Training(added.trained, bits, length=LENGTH, adapted=added.kept, frozen=added.frozen, **more)
    copies = 2 * (added.trained + added.frozen) if half else 4 * added.joined
    return estimate(ModelSize.of(config), training).activations + copies


def of_a_layer(measure, attention="eager"):
    """What one more layer takes: what a model has but once falls out."""
    return measure(make_config(3, attention)) - measure(make_config(2, attention))


@pytest.mark.parametrize("half", [True, False], ids=["half", "float32"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_what_training_lora_keeps_is_what_is_counted(half, dropout, attention):
    real = of_a_layer(lambda config: kept(config, lora(dropout), half=half), attention)

    def count(layers, bits):
        return sizes.of_lora(layers, RANK, bits, dropout=dropout > 0)

    found = of_a_layer(lambda config: counted(config, count, half=half, scores=attention == "eager"), attention)
    # PyTorch's own attention does not repeat keys and values where there is no padding.
    assert real <= found * 1.01
    assert found <= real * (1.01 if attention == "eager" else 1.1)


@pytest.mark.parametrize("half", [True, False], ids=["half", "float32"])
def test_what_checkpoints_keep_is_what_is_counted(half):
    real = of_a_layer(lambda config: kept(config, lora(), half=half, checkpointing=True))

    def nothing(*_):
        return sizes.Added(0, 0, 0)

    found = of_a_layer(lambda config: counted(config, nothing, half=half, scores=True, checkpointing=True))
    assert found == real


@pytest.mark.parametrize("half", [True, False], ids=["half", "float32"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_what_training_experts_and_their_gates_keeps_is_what_is_counted(half, dropout):
    mixture = AdaMoLEConfig(experts=3, rank=RANK, dropout=dropout, target_modules=ALL)
    real = of_a_layer(lambda config: kept(config, lambda model: add_adamole(model, mixture).model, half=half))
    found = of_a_layer(
        lambda config: counted(
            config, lambda layers, bits: sizes.of_adamole(layers, mixture, bits), half=half, scores=True
        )
    )
    assert real <= found * 1.01
    assert found <= real * 1.1


@pytest.fixture(scope="module")
def experts(tmp_path_factory):
    """Folders of three adapters, for a model of two layers and one of three."""
    home = tmp_path_factory.mktemp("experts")
    for layers in (2, 3):
        for number in range(3):
            folder = home / str(layers) / str(number)
            lora()(Qwen2ForCausalLM(make_config(layers))).save_pretrained(str(folder), save_embedding_layers=False)
    return home


@pytest.mark.parametrize("half", [True, False], ids=["half", "float32"])
@pytest.mark.parametrize("gate", list(MoLEGate))
def test_what_training_gates_alone_keeps_is_what_is_counted(experts, half, gate):
    mixture = MoLEConfig(gate=gate)

    def folders(config):
        return sorted((experts / str(config.num_hidden_layers)).iterdir())

    real = of_a_layer(
        lambda config: kept(config, lambda model: add_mole(model, folders(config), mixture).model, half=half)
    )
    found = of_a_layer(
        lambda config: counted(
            config,
            lambda layers, bits: sizes.of_mole(layers, read_experts(folders(config)), mixture, bits),
            half=half,
            scores=True,
        )
    )
    assert real <= found * 1.01
    assert found <= real * 1.1


@pytest.mark.parametrize("scope", list(GateScope))
@pytest.mark.parametrize("gate", list(MoLEGate))
def test_a_mixture_of_trained_adapters_trains_its_gates_alone(experts, gate, scope):
    mixture, folders = MoLEConfig(gate=gate, scope=scope), sorted((experts / "2").iterdir())
    made = add_mole(Qwen2ForCausalLM(make_config(2)), folders, mixture)
    added = sizes.of_mole(linear_layers(make_config(2)), read_experts(folders), mixture, 32)
    assert added.trained == sum(one.numel() for one in made.trainable_parameters().values())
    assert added.frozen == sum(one.numel() for layer in made.layers.values() for one in layer.expert_parameters())


@pytest.mark.parametrize("selection", list(Selection))
def test_a_mixture_of_fresh_adapters_trains_them_and_its_gates(selection):
    mixture = AdaMoLEConfig(experts=3, rank=RANK, selection=selection, target_modules=ALL)
    made = add_adamole(Qwen2ForCausalLM(make_config(2)), mixture)
    added = sizes.of_adamole(linear_layers(make_config(2)), mixture, 32)
    assert (added.trained, added.frozen) == (sum(one.numel() for one in made.trainable_parameters().values()), 0)


def test_layers_loaded_in_few_bits_have_each_a_copy_of_their_input():
    layers = linear_layers(make_config(1))
    shared, own = (sizes.of_lora(layers, RANK, bits, dropout=False).kept for bits in (16, 4))
    assert own - shared == 2 * (2 * 64 + 64)


@pytest.fixture
def mole(model, data, tmp_path):
    """A request for a mixture of two adapters of one layer each, which say that they are for a model of that name."""
    folders = []
    for number in range(2):
        folder = tmp_path / f"expert{number}"
        lora(targets=("v_proj",))(AutoModelForCausalLM.from_pretrained(model)).save_pretrained(
            str(folder), save_embedding_layers=False
        )
        folders.append(folder)

    def request(named=model, **more):
        return Request(
            str(named), data, tmp_path / "out", None, QUICK, mixture=MoLEConfig(), experts=tuple(folders), **more
        )

    return request


def test_a_mixture_of_trained_adapters_is_on_their_layers_and_needs_little_room(mole, monkeypatch):
    room = []
    monkeypatch.setattr("llm_testgen.tuning.training.preparing._require_disk", lambda _, size: room.append(size))
    prepared = prepare(mole())
    assert prepared.card.targets == ("v_proj",)
    gates, frozen = 2 * (2 * 16 * 2 + 1), 2 * 2 * RANK * (32 + 16)
    assert prepared.card.trained == gates
    assert room == [52 * gates + 4 * frozen]


def test_adapters_for_a_model_of_another_name_are_refused_before_it_is_loaded(mole, tmp_path):
    moved = save_model(tmp_path / "renamed")
    with pytest.raises(UsageError, match=r"expert0 was trained for .*tiny, and this is .*renamed: .* pass --any-base"):
        prepare(mole(moved))
    prepared = prepare(mole(moved, any_base=True))
    assert prepared.card.kind == "mole"
    loaded = models.load_base(prepared.base, Precision.FLOAT32)
    assert add_mole(loaded, prepared.experts, prepared.mixture).layers


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=["python", "gpu", "processor", "system"],
)
def test_memory_that_does_not_suffice_to_load_a_model_is_told(model, monkeypatch, error):
    def fail(*_, **__):
        raise error

    base = models.find_base(str(model))
    monkeypatch.setattr(models.AutoModelForCausalLM, "from_pretrained", fail)
    with pytest.raises(UsageError, match="do not fit into memory: close other programs, or take a smaller model"):
        models.load_base(base, Precision.FLOAT32)


def test_weights_that_are_damaged_are_told(tmp_path):
    folder = save_model(tmp_path / "damaged")
    base = models.find_base(str(folder))
    (folder / "model.safetensors").write_bytes(b"{")
    with pytest.raises(UsageError, match=r"cannot be loaded .*: download or save the model anew"):
        models.load_base(base, Precision.FLOAT32)


def test_bfloat16_is_chosen_where_a_gpu_has_it_and_does_not_emulate_it(monkeypatch):
    monkeypatch.setattr(models, "has_gpu", lambda: True)
    for own in (True, False):
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda *, including_emulation=True, own=own: own or including_emulation
        )
        assert models.precision_of(Precision.AUTO) is (Precision.BFLOAT16 if own else Precision.FLOAT16)


def test_a_model_in_few_bits_computes_in_the_type_of_the_run(model, monkeypatch):
    asked = []

    def loading(bits, compute, *, gpu):
        asked.append((bits, compute, gpu))
        msg = "no GPU"
        raise UsageError(msg)

    monkeypatch.setattr(models, "quantised_loading", loading)
    monkeypatch.setattr(models, "has_gpu", lambda: True)
    with pytest.raises(UsageError, match="no GPU"):
        models.load_base(models.find_base(str(model)), Precision.FLOAT16, 4)
    assert asked == [(4, torch.float16, True)]
