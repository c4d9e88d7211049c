"""Transformers' trainer with our loss, our order of the examples, and checkpoints of what is trained alone."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainingArguments

from llm_testgen.tuning.training.allocation import give_back
from llm_testgen.tuning.training.batches import IGNORED, Examples, Order, collate
from llm_testgen.tuning.training.checkpoints import CHECKPOINTS, step_of
from llm_testgen.tuning.training.devices import has_gpu
from llm_testgen.tuning.training.rendering import Tokens
from llm_testgen.tuning.training.settings import Precision
from llm_testgen.tuning.training.subjects import Subject, load_trainable, save_trainable
from llm_testgen.tuning.training.watching import LOSS, Plan, Watch

_WEIGHTS = "trained.safetensors"


def arguments(plan: Plan, precision: Precision, *, first: bool) -> TrainingArguments:
    """What transformers' trainer is told; when to log, evaluate, save and stop is up to `Watch`.

    Args:
        plan: What the run is to do.
        precision: Of the weights that are not trained.
        first: Whether the run begins, and not goes on: it is then evaluated before the first step.
    """
    settings, gpu = plan.settings, has_gpu()
    made = TrainingArguments(
        output_dir=str(plan.out / CHECKPOINTS),
        per_device_train_batch_size=settings.batch,
        per_device_eval_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        max_steps=plan.steps,
        max_grad_norm=settings.gradient_norm,
        optim="adamw_torch",
        fp16=gpu and precision is Precision.FLOAT16,
        bf16=precision is Precision.BFLOAT16,
        use_cpu=not gpu,
        logging_strategy="no",
        logging_nan_inf_filter=False,
        eval_strategy="no",
        eval_on_start=first and plan.validated,
        save_strategy="no",
        save_total_limit=2,
        seed=settings.seed,
        dataloader_pin_memory=gpu,
        remove_unused_columns=False,
        label_names=["labels"],
        ddp_find_unused_parameters=False,
        report_to="none",
        disable_tqdm=True,
    )
    if made.n_gpu > 1:
        # Several GPUs without accelerate's launcher: torch's DataParallel would be slower than one of them.
        made._n_gpu = 1  # noqa: SLF001 - there is no other way to say so
    return made


class AnswerTrainer(Trainer):
    """Trains a subject on answers."""

    def __init__(  # noqa: PLR0913 - one parameter for each thing that it works with
        self,
        subject: Subject,
        args: TrainingArguments,
        examples: tuple[Sequence[Tokens], Sequence[Tokens]],
        *,
        order: Order,
        watch: Watch,
        padding: int,
        most_between: float = math.inf,
    ) -> None:
        """Hold what is trained, on what, and who watches.

        Args:
            subject: What is trained.
            args: What `arguments` gave.
            examples: To learn from, and to evaluate.
            order: Of the first.
            watch: Follows the run.
            padding: A token that fills rows up.
            most_between: Bytes that the process may hold between batches.
        """
        self._most_between = most_between
        self._order = order
        self._watch = watch
        self._subject = subject
        self._validation = examples[1]
        forward = inspect.signature(_base(subject.model).forward).parameters
        self._places, self._keeps = "position_ids" in forward, "logits_to_keep" in forward
        with _adapters_known(subject.model):
            super().__init__(
                model=subject.model,
                args=args,
                data_collator=partial(collate, padding=padding),
                train_dataset=Examples(examples[0]),
                eval_dataset=Examples(examples[1]) if examples[1] else None,
                callbacks=[watch],
            )
        self.remove_callback(PrinterCallback)
        # The loss is divided by the tokens of all batches of a step; see `compute_loss`.
        self.model_accepts_loss_kwargs = True
        self._loss_shifts_labels = False
        self.loss_is_scaled_for_ga = True

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor | Any],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 - transformers' signature
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:  # noqa: ANN401 - transformers' signature
        """The loss of a batch: cross-entropy of the answers' tokens, over all that the step has, and what is added."""
        total, outputs = self._cross_entropy(model, inputs)
        processes = self.accelerator.num_processes
        # Gradients are averaged over processes, and the count is over all of them.
        loss = total * processes / num_items_in_batch if num_items_in_batch is not None else total
        auxiliary = self._subject.auxiliary_loss()
        noted: float | None = None
        if auxiliary is not None:
            share = auxiliary / self.current_gradient_accumulation_steps
            loss, noted = loss + share.to(loss.device), share.item()
        self._watch.count(int(inputs["attention_mask"].sum()), noted)
        return (loss, outputs) if return_outputs else loss

    def evaluate(
        self,
        eval_dataset: object = None,  # noqa: ARG002 - transformers' signature
        ignore_keys: list[str] | None = None,  # noqa: ARG002
        metric_key_prefix: str = "eval",  # noqa: ARG002
    ) -> dict[str, float]:
        """The mean loss of a token of the validation examples' answers; draws no random number."""
        self._watch.begin_evaluation()
        own = self._validation[self.args.process_index :: self.args.world_size]
        loader = DataLoader(
            Examples(own),
            batch_size=self.args.per_device_eval_batch_size,
            collate_fn=self.data_collator,
            generator=torch.Generator(),
        )
        totals = torch.zeros(2, dtype=torch.float64, device=self.args.device)
        model = self._subject.model
        training = model.training
        model.eval()
        with torch.no_grad():
            for batch in loader:
                inputs = self._prepare_inputs(batch)
                totals[0] += self._cross_entropy(model, inputs)[0]
                totals[1] += (inputs["labels"] != IGNORED).sum()
        model.train(training)
        summed = self.accelerator.reduce(totals, "sum")
        metrics = {LOSS: float(summed[0] / summed[1])}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def catch_up(self, checkpoint: Path, *, pending: bool) -> None:
        """Take a checkpoint's weights, and do what the run was interrupted before.

        Args:
            checkpoint: Where the run goes on.
            pending: Whether its evaluation is still to be done.
        """
        self._load_from_checkpoint(str(checkpoint))
        self.state.global_step = step_of(checkpoint)
        if pending:
            self._watch.on_train_begin()
            # Training gives the model this context itself, later.
            with self.accelerator.autocast():
                self.evaluate()
        self._watch.settle()

    def create_scheduler(
        self,
        num_training_steps: int,  # noqa: ARG002 - transformers' signature
        optimizer: torch.optim.Optimizer | None = None,
    ) -> LambdaLR:
        """The learning rate as `Watch` has it."""
        if self.lr_scheduler is None:
            own = optimizer or self.optimizer
            if own is None:
                msg = "the optimiser has to be made before its schedule"
                raise RuntimeError(msg)
            self.lr_scheduler = LambdaLR(own, self._watch.rate)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def _cross_entropy(self, model: nn.Module, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Any]:
        """Summed over the answers' tokens: the head computes no others, where the model has a way to say so."""
        give_back(self._most_between)
        labels = inputs["labels"]
        learned = (labels != IGNORED).any(dim=0)
        # A token is foretold at the place before it.
        kept = int(labels.shape[1] - learned.int().argmax())
        given = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        if self._places:
            given["position_ids"] = inputs["position_ids"]
        outputs = model(**given, **({"logits_to_keep": kept + 1} if self._keeps else {}))
        logits = outputs.logits[:, -kept - 1 : -1].float()
        total = functional.cross_entropy(
            logits.flatten(0, 1), labels[:, -kept:].flatten(), ignore_index=IGNORED, reduction="sum"
        )
        return total, outputs

    def _get_train_sampler(self, train_dataset: object = None) -> Order:  # noqa: ARG002 - transformers' signature
        return self._order

    def _save(self, output_dir: str | None = None, state_dict: object = None) -> None:  # noqa: ARG002 - the same
        if self.args.should_save:
            folder = Path(output_dir or str(self.args.output_dir))
            folder.mkdir(parents=True, exist_ok=True)
            save_trainable(self._subject.model, folder / _WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        load_trainable(model or self._subject.model, Path(resume_from_checkpoint) / _WEIGHTS)


def _base(model: nn.Module) -> nn.Module:
    found = getattr(model, "get_base_model", None)
    base: nn.Module = model if found is None else found()
    return base


@contextmanager
def _adapters_known(model: nn.Module) -> Iterator[None]:
    """Have transformers take a quantised model for one with adapters, as it does if they are peft's own.

    Otherwise it refuses to train a mixture, which puts its layers into the model itself. What saves a model asks the
    same, and has no adapters of peft to save.
    """
    name = "_hf_peft_config_loaded"
    if not getattr(model, "is_quantized", False) or isinstance(model, PeftModel):
        yield
        return
    before = getattr(model, name, False)
    setattr(model, name, True)
    try:
        yield
    finally:
        setattr(model, name, before)
