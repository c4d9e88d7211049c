"""What is trained in a model: a LoRA adapter, or a mixture of them; adapted, checkpointed and saved."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from peft import LoraConfig, PeftModel, PeftModelForCausalLM, prepare_model_for_kbit_training
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from llm_testgen.errors import UsageError
from llm_testgen.tuning.mixtures.building import add_adamole, add_mole
from llm_testgen.tuning.mixtures.config import AdaMoLEConfig, MoLEConfig
from llm_testgen.tuning.mixtures.mixture import Mixture
from llm_testgen.tuning.mixtures.storage import save_pretrained
from llm_testgen.tuning.training.settings import Settings

_CARD = "README.md"


class Subject(Protocol):
    """What is trained."""

    @property
    def model(self) -> nn.Module:
        """All of it, with the frozen base."""
        ...

    def auxiliary_loss(self) -> Tensor | None:
        """What is added to the loss of the last forward pass; None for nothing."""
        ...

    def save(self, folder: Path) -> None:
        """Write it as what loads it expects."""
        ...


class LoraSubject:
    """A LoRA adapter."""

    def __init__(self, model: PeftModel) -> None:
        """Hold it.

        Args:
            model: The base model with the adapter.
        """
        self.model = model

    def auxiliary_loss(self) -> Tensor | None:
        """Nothing is added."""
        return None

    def save(self, folder: Path) -> None:
        """Write it as peft does, without its card, which says nothing that ours does not."""
        self.model.save_pretrained(str(folder), save_embedding_layers=False)
        (folder / _CARD).unlink(missing_ok=True)


class MixtureSubject:
    """A mixture of LoRA experts."""

    def __init__(self, mixture: Mixture) -> None:
        """Hold it."""
        self.mixture = mixture

    @property
    def model(self) -> nn.Module:
        """The model with the experts and their gates."""
        return self.mixture.model

    def auxiliary_loss(self) -> Tensor | None:
        """The weighted balance loss."""
        return self.mixture.auxiliary_loss()

    def save(self, folder: Path) -> None:
        """Write it as `storage` does."""
        save_pretrained(self.mixture, folder)


def adapt(
    model: PreTrainedModel,
    settings: Settings,
    targets: Sequence[str],
    mixture: MoLEConfig | AdaMoLEConfig | None = None,
    experts: Sequence[Path] = (),
) -> LoraSubject | MixtureSubject:
    """Put what is to be trained into a model.

    Args:
        model: Loaded; changed in place.
        settings: How it is trained.
        targets: Last names of the layers that get LoRA.
        mixture: Settings of a mixture; None for a single adapter.
        experts: Folders of trained adapters, for a MoLE.

    Raises:
        UsageError: The layers cannot be adapted, or the experts do not fit.
    """
    if settings.load_bits != 16:  # noqa: PLR2004 - as it was asked for
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)  # type: ignore[no-untyped-call,unused-ignore]
    with warnings.catch_warnings():
        # Peft asks transformers whether activations are computed anew by a name that is going away.
        warnings.simplefilter("ignore", FutureWarning)
        if isinstance(mixture, MoLEConfig):
            subject: LoraSubject | MixtureSubject = MixtureSubject(add_mole(model, experts, mixture))
        elif isinstance(mixture, AdaMoLEConfig):
            subject = MixtureSubject(add_adamole(model, mixture))
        else:
            subject = LoraSubject(_adapted(model, settings, targets))
    if settings.checkpointing:
        # The newer name where there is one; re-entrant checkpoints would lose the gates' gradients.
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    return subject


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """What training changes, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def save_trainable(model: nn.Module, path: Path) -> None:
    """Write what training changes, or leave what was there."""
    part = path.with_name(f"{path.name}.part")
    save_file({name: one.detach().cpu().contiguous() for name, one in trainable(model).items()}, part)
    part.replace(path)


def load_trainable(model: nn.Module, path: Path) -> None:
    """Read what `save_trainable` wrote.

    Raises:
        UsageError: It cannot be read, or is of another model or other settings.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        msg = f"{path} cannot be read ({error}): train anew, with another --out"
        raise UsageError(msg) from error
    parameters: Mapping[str, nn.Parameter] = trainable(model)
    if {name: one.shape for name, one in state.items()} != {name: one.shape for name, one in parameters.items()}:
        msg = f"{path} is of another model or of other settings: train anew, with another --out"
        raise UsageError(msg)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(state[name])


def _adapted(model: PreTrainedModel, settings: Settings, targets: Sequence[str]) -> PeftModel:
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type,unused-ignore]  # peft divides it, nothing else
        lora_dropout=settings.dropout,
        bias="none",
        target_modules=list(targets),
        task_type="CAUSAL_LM",
        base_model_name_or_path=model.name_or_path,
    )
    try:
        return PeftModelForCausalLM(model, config)
    except ValueError as error:
        msg = f"peft cannot adapt the model ({' '.join(str(error).split())}): pass other --targets"
        raise UsageError(msg) from error
