"""A LoRA adapter put into its model's weights, which then needs no adapter any more."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model_state_dict
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from peft.utils.constants import CONFIG_NAME
from safetensors import SafetensorError, safe_open

from llm_testgen.errors import UsageError
from llm_testgen.tuning.data.lengths import load_tokenizer
from llm_testgen.tuning.mixtures.storage import CARD as MIXTURE
from llm_testgen.tuning.training import models
from llm_testgen.tuning.training.settings import Precision

_PART = ".lora_"


def base_of(adapter: Path, base: str | None) -> str:
    """The model that an adapter is to be put into.

    Args:
        adapter: The folder of one.
        base: Its model; None for what the adapter itself says.

    Raises:
        UsageError: The folder holds no LoRA adapter, or does not say which model it is for.
    """
    if (adapter / MIXTURE).is_file():
        msg = (
            f"{adapter} is a mixture of LoRA experts, which is no single change of the weights: serve it with "
            f"--adapter, or merge one of its experts alone, a folder in {adapter / 'experts'}"
        )
        raise UsageError(msg)
    if not (adapter / CONFIG_NAME).is_file():
        msg = f"{adapter} holds no {CONFIG_NAME}: give the folder of an adapter, as `llm-testgen tune lora` saves it"
        raise UsageError(msg)
    try:
        config = PeftConfig.from_pretrained(str(adapter))
    except (OSError, ValueError, TypeError, KeyError) as error:
        msg = f"{adapter / CONFIG_NAME} cannot be read ({' '.join(str(error).split())[:200]}): save the adapter anew"
        raise UsageError(msg) from error
    if not isinstance(config, LoraConfig):
        msg = f"the adapter in {adapter} is of type {config.peft_type}: only LoRA adapters are merged"
        raise UsageError(msg)
    found = base or config.base_model_name_or_path
    if not found:
        msg = f"the adapter in {adapter} does not say which model it is for: pass --base"
        raise UsageError(msg)
    return found


def require_new(out: Path) -> None:
    """See that a folder is new or empty.

    Raises:
        UsageError: It is not.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        msg = f"{out} is there already: pass --out a folder that is new or empty"
        raise UsageError(msg)


def merge(adapter: Path, base: str, out: Path) -> None:
    """Put an adapter into its model, in float32, and save that with its tokenizer.

    Args:
        adapter: The folder of a LoRA adapter.
        base: A name on the hub, a folder, or a GGUF file.
        out: The folder of the new model.

    Raises:
        UsageError: The adapter is for another model, there is not enough memory, or the folder cannot be written.
    """
    found = models.find_base(base)
    models.require_memory_to_load(found, Precision.FLOAT32)
    model = models.load_base(found, Precision.FLOAT32)
    try:
        with warnings.catch_warnings():
            # Layers of the adapter that the model does not have are only warned about; see `subjects` for the other.
            warnings.simplefilter("ignore", FutureWarning)
            warnings.filterwarnings("error", message="Found missing adapter keys")
            adapted = PeftModel.from_pretrained(model, str(adapter))
            _require_all(adapter, adapted)
            merged = adapted.merge_and_unload(safe_merge=True)
    except (ValueError, RuntimeError, KeyError, UserWarning, SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        msg = f"the adapter in {adapter} does not fit {base} ({reason}): pass --base the model that it was trained for"
        raise UsageError(msg) from error
    # A new folder is whole or not there, and what is not there is no hindrance to the next try.
    part = out if out.exists() else out.with_name(f"{out.name}.part")
    try:
        merged.save_pretrained(str(part))
        load_tokenizer(found.name).save_pretrained(str(part))
        part.replace(out)
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        msg = f"{out} cannot be written to ({reason}): pass --out on a disk with room"
        raise UsageError(msg) from error
    finally:
        if part != out:
            shutil.rmtree(part, ignore_errors=True)


def _require_all(adapter: Path, adapted: PeftModel) -> None:
    """See that all layers of an adapter are in the model: peft leaves out those that are not.

    Raises:
        ValueError: One is not.
    """
    with safe_open(adapter / SAFETENSORS_WEIGHTS_NAME, framework="pt") as file:
        saved = {name for name in file.keys() if _PART in name}  # noqa: SIM118 - no mapping
    lacking = sorted(saved - set(get_peft_model_state_dict(adapted, save_embedding_layers=False)))
    if lacking:
        msg = f"the model has no layer for {lacking[0]}"
        raise ValueError(msg)
