from __future__ import annotations

import json
import math
import os
import signal
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
pytest.importorskip("accelerate")

from safetensors.torch import load_file  # noqa: E402
from tests.tuning.training.tiny import QUICK, save_data, save_model  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from llm_testgen.errors import UsageError  # noqa: E402
from llm_testgen.tuning.memory import ModelSize, estimate  # noqa: E402
from llm_testgen.tuning.mixtures.config import AdaMoLEConfig, MoLEConfig  # noqa: E402
from llm_testgen.tuning.mixtures.storage import from_pretrained  # noqa: E402
from llm_testgen.tuning.training import checkpoints, models, plots, running, runs, subjects, trainer  # noqa: E402
from llm_testgen.tuning.training.preparing import Request, prepare  # noqa: E402
from llm_testgen.tuning.training.settings import Attention, settings_of  # noqa: E402
from llm_testgen.tuning.training.sizes import of_lora  # noqa: E402
from llm_testgen.tuning.training.watching import (  # noqa: E402
    DONE,
    INTERRUPTED,
    NO_BETTER,
    NO_NUMBER,
    OUT_OF_MEMORY,
    OUT_OF_TIME,
)

running.quieten()
# Peft asks transformers for it by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


class Clock:
    """A second passes whenever it is looked at."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1
        return self.now


def run(model, data, out, *, tell=lambda _: None, resume=False, **changes):
    own = {name: changes.pop(name) for name in ("mixture", "experts") if name in changes}
    request = Request(str(model), data, out, None, QUICK | changes, resume=resume, **own)
    return running.train(prepare(request), tell, lambda: None, Clock())


def weights(out):
    return load_file(out / "adapter_model.safetensors")


def lines(out, field):
    return [(line["step"], line[field]) for line in runs.metrics_of(out) if field in line]


def logits(model):
    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor([[5, 6, 7, 8, 9]])).logits


@pytest.fixture(scope="module")
def whole(model, data, tmp_path_factory):
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return run(model, data, out), out


def test_the_loss_falls_and_all_is_saved_beside_the_adapter(whole, model):
    ended, out = whole
    losses = [loss for _, loss in lines(out, "loss")]
    assert losses[-1] < losses[0] - 0.3
    validation = dict(lines(out, "validation_loss"))
    assert list(validation) == [0, 4, 8]
    assert validation[8] < validation[0] - 0.3
    outcome = ended.card.outcome
    assert (outcome.reason, outcome.steps, outcome.kept_step) == (DONE, 8, 8)
    assert (outcome.loss_before, outcome.validation_loss) == (validation[0], validation[8])
    assert outcome.peak_memory > 10**7
    card = runs.read_card(out)
    assert card == ended.card
    assert (card.kind, card.model, card.data.train, card.data.validation) == ("lora", str(model), 10, 3)
    assert card.settings == settings_of("cpu", QUICK)
    assert {"torch", "peft", "transformers"} <= set(card.libraries)
    assert (out / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert "validation" in (out / "loss.svg").read_text()
    assert sorted(path.name for path in out.iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "loss.png", "loss.svg", "metrics.jsonl", "training.json",
    ]  # fmt: skip
    assert not ended.can_go_on


def test_the_loss_is_that_of_the_answers_tokens_alone(whole, model, data):
    (_, before), *_ = lines(whole[1], "validation_loss")
    base = models.find_base(str(model))
    bare = AutoModelForCausalLM.from_pretrained(model)
    total = count = 0
    for line in (data / "validation.jsonl").read_text().splitlines():
        record = json.loads(line)
        prompt = base.tokenizer.apply_chat_template(record["prompt"], tokenize=False, add_generation_prompt=True)
        known = base.tokenizer(prompt)["input_ids"]
        answer = base.tokenizer(record["completion"][0]["content"] + "<|im_end|>")["input_ids"]
        with torch.no_grad():
            shares = torch.log_softmax(bare(torch.tensor([known + answer])).logits[0].double(), dim=-1)
        total -= sum(shares[len(known) - 1 + at, token].item() for at, token in enumerate(answer))
        count += len(answer)
    assert before == pytest.approx(total / count, rel=1e-5)


def interrupting(step):
    def tell(told):
        if told.step == step and told.validation is None:
            os.kill(os.getpid(), signal.SIGINT)

    return tell


# Within a pass, after one (three steps are a pass), before an evaluation, after it, and after the last step.
@pytest.mark.parametrize("step", [2, 3, 4, 5, 8])
def test_a_run_that_was_interrupted_and_goes_on_gives_just_the_same(whole, model, data, tmp_path, step):
    out = tmp_path / "out"
    ended = run(model, data, out, tell=interrupting(step - 1))
    assert (ended.card.outcome.reason, ended.card.outcome.steps) == (INTERRUPTED, step)
    assert not ended.saved
    assert ended.can_go_on
    assert not (out / "adapter_model.safetensors").exists()
    require_same(run(model, data, out, resume=True), out, whole)


def require_same(ended, out, whole):
    """See that a run came to what one that nothing interrupted came to."""
    kept = {"seconds": 0, "peak_memory": 0}
    assert ended.card.outcome.model_copy(update=kept) == whole[0].card.outcome.model_copy(update=kept)
    for field in ("loss", "learning_rate", "validation_loss", "tokens"):
        assert lines(out, field) == lines(whole[1], field)
    found, expected = weights(out), weights(whole[1])
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def full(*_):
    raise OSError(28, "No space left on device")


def test_a_run_that_only_could_not_be_saved_takes_no_step_more_when_it_goes_on(
    whole, model, data, tmp_path, monkeypatch
):
    monkeypatch.setattr(running.LoraSubject, "save", full)
    with pytest.raises(UsageError, match="make room, and go on with --resume"):
        run(model, data, tmp_path / "out")
    monkeypatch.undo()
    require_same(run(model, data, tmp_path / "out", resume=True), tmp_path / "out", whole)


def test_best_weights_that_could_not_be_written_whole_leave_those_before(whole, model, data, tmp_path, monkeypatch):
    out = tmp_path / "out"
    save_file = subjects.save_file

    def filling(tensors, path):
        if path.name.startswith("best-8"):
            path.write_bytes(b"cut off")
            full()
        save_file(tensors, path)

    monkeypatch.setattr(subjects, "save_file", filling)
    with pytest.raises(UsageError, match="make room, and go on with --resume"):
        run(model, data, out)
    monkeypatch.undo()
    assert checkpoints.best_of(out, 4).stat().st_size > 1000
    assert not checkpoints.best_of(out, 8).exists()
    require_same(run(model, data, out, resume=True), out, whole)


def test_the_last_step_of_an_older_checkpoint_is_evaluated(model, data, tmp_path):
    out = tmp_path / "out"
    run(model, data, out, steps=2, tell=interrupting(1))
    checkpoint = runs.last_checkpoint(out)
    told = json.loads((checkpoint / "progress.json").read_text())
    old = {name: value for name, value in told.items() if name not in {"begun", "evaluation", "pending"}}
    (checkpoint / "progress.json").write_text(json.dumps(old))
    outcome = run(model, data, out, resume=True, steps=2).card.outcome
    assert (outcome.reason, outcome.steps, outcome.kept_step) == (DONE, 2, 2)
    assert lines(out, "validation_loss")[-1] == (2, outcome.validation_loss)


def test_the_last_step_of_a_run_without_validation_is_saved_when_it_goes_on(model, tmp_path):
    data = save_data(tmp_path / "data", validation=0)
    run(model, data, tmp_path / "whole", steps=2)
    run(model, data, tmp_path / "out", steps=2, tell=interrupting(1))
    outcome = run(model, data, tmp_path / "out", resume=True, steps=2).card.outcome
    assert (outcome.reason, outcome.steps, outcome.kept_step, outcome.validation_loss) == (DONE, 2, 2, None)
    found, expected = weights(tmp_path / "out"), weights(tmp_path / "whole")
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_in_half_precision_the_loss_falls_too_and_a_run_goes_on_just_the_same(model, data, tmp_path):
    changes = {"precision": "bfloat16", "steps": 5}
    run(model, data, tmp_path / "whole", **changes)
    losses = [loss for _, loss in lines(tmp_path / "whole", "loss")]
    assert losses[-1] < losses[0] - 0.1
    run(model, data, tmp_path / "parts", tell=interrupting(3), **changes)
    run(model, data, tmp_path / "parts", resume=True, **changes)
    for field in ("loss", "validation_loss"):
        assert lines(tmp_path / "parts", field) == lines(tmp_path / "whole", field)
    found, expected = weights(tmp_path / "parts"), weights(tmp_path / "whole")
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert {one.dtype for one in found.values()} == {torch.float32}


def test_another_seed_gives_another_run(whole, model, data, tmp_path):
    run(model, data, tmp_path / "out", seed=1, steps=2)
    assert lines(tmp_path / "out", "loss")[:2] != lines(whole[1], "loss")[:2]


def test_what_is_saved_gives_the_same_logits_when_it_is_loaded(model, data, tmp_path, monkeypatch):
    kept = {}
    save = running.LoraSubject.save

    def saving(subject, folder):
        kept["logits"] = logits(subject.model)
        save(subject, folder)

    monkeypatch.setattr(running.LoraSubject, "save", saving)
    run(model, data, tmp_path / "out", steps=3)
    base = AutoModelForCausalLM.from_pretrained(model, attn_implementation="eager")
    loaded = peft.PeftModel.from_pretrained(base, str(tmp_path / "out"))
    assert torch.equal(logits(loaded), kept["logits"])
    assert not torch.allclose(logits(loaded), logits(AutoModelForCausalLM.from_pretrained(model)))


def test_it_stops_when_the_validation_loss_falls_no_more_and_keeps_the_best(model, data, tmp_path):
    out = tmp_path / "out"
    ended = run(model, data, out, learning_rate=1.0, steps=40, evaluate_every=1, patience=2, gradient_norm=1e3)
    outcome = ended.card.outcome
    assert outcome.reason == NO_BETTER
    found = dict(lines(out, "validation_loss"))
    later = {step: loss for step, loss in found.items() if step}
    best = min(later, key=later.get)
    assert (outcome.kept_step, outcome.validation_loss) == (best, later[best])
    assert outcome.steps == best + 2 == max(found)
    loaded = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), str(out))
    merged = save_merged(loaded, tmp_path / "merged", model)
    again = run(merged, data, tmp_path / "again", steps=1)
    assert again.card.outcome.loss_before == pytest.approx(later[best], rel=1e-4)


def save_merged(adapted, folder, model):
    adapted.merge_and_unload().save_pretrained(folder)
    models.load_tokenizer(str(model)).save_pretrained(folder)
    return folder


def test_time_that_is_up_ends_it_and_more_of_it_lets_it_go_on(model, data, tmp_path):
    out = tmp_path / "out"
    ended = run(model, data, out, minutes=0.5, steps=1000)
    assert ended.card.outcome.reason == OUT_OF_TIME
    assert 5 < ended.card.outcome.steps < 30
    # Looks at the clock that no time was kept for, around evaluations and what is saved, take a second each.
    assert 28 < ended.card.outcome.seconds <= 30 + 5
    assert ended.saved
    assert ended.can_go_on
    assert (out / "adapter_model.safetensors").is_file()
    rates = [rate for _, rate in lines(out, "learning_rate")]
    assert rates[-1] < 0.8 * max(rates), "the rate follows the clock"
    with pytest.raises(UsageError, match=r"has used up its 0\.5 minutes: pass --minutes with more"):
        run(model, data, out, resume=True, minutes=0.5, steps=1000)
    more = run(model, data, out, resume=True, minutes=0.8, steps=1000)
    assert more.card.outcome.steps > ended.card.outcome.steps
    assert 46 < more.card.outcome.seconds <= 48 + 5


def test_a_run_goes_on_only_as_it_began(model, data, tmp_path):
    out = tmp_path / "out"
    run(model, data, out, tell=interrupting(1))
    with pytest.raises(UsageError, match=r"holds a run already: pass --resume"):
        run(model, data, out)
    with pytest.raises(UsageError, match=r"rank was 4 and is 2: leave that as it was"):
        run(model, data, out, resume=True, rank=2)
    with pytest.raises(UsageError, match="the data are others"):
        run(model, save_data(tmp_path / "other", train=9), out, resume=True)
    other = save_model(tmp_path / "wider", hidden_size=64)
    with pytest.raises(UsageError, match=r"the run is a lora for .*tiny, and this is a lora for .*wider"):
        run(other, data, out, resume=True)
    with pytest.raises(UsageError, match="this is a adamole for"):
        run(model, data, out, resume=True, mixture=AdaMoLEConfig())


def test_a_run_that_has_ended_does_not_go_on(whole, model, data):
    with pytest.raises(UsageError, match="has ended, since all steps were taken: train anew with another --out"):
        run(model, data, whole[1], resume=True)


def test_folders_that_hold_something_else_or_nothing_to_go_on_with_are_told(model, data, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds something else: pass --out"):
        run(model, data, tmp_path)
    with pytest.raises(UsageError, match="is a file: pass --out"):
        run(model, data, tmp_path / "note.txt")
    with pytest.raises(UsageError, match="holds no run to go on with"):
        run(model, data, tmp_path / "none", resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_memory_and_disk_are_looked_at_before_the_model_is_loaded(model, data, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "available_memory", lambda *_: 10**8)
    monkeypatch.setattr(models, "load_base", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(UsageError, match=r"there are 0\.1 GB"):
        run(model, data, tmp_path / "out")
    monkeypatch.undo()
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100}))
    with pytest.raises(UsageError, match=r"checkpoints take up to 0\.00 GB .* make room"):
        run(model, data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_processor_computes_attention_eagerly_where_there_is_memory_for_the_scores(
    model, data, tmp_path, monkeypatch
):
    def prepared(out, *, resume=False):
        return prepare(Request(str(model), data, out, None, QUICK, resume=resume))

    monkeypatch.setattr(models, "has_gpu", lambda: False)
    roomy = prepared(tmp_path / "out")
    assert roomy.card.attention is Attention.EAGER
    size, precision = ModelSize.of(roomy.base.config), roomy.card.precision
    layers = models.adapted_layers(roomy.base, roomy.card.targets)
    training = models.training_of(roomy.plan.settings, precision, of_lora(layers, QUICK["rank"], 32, dropout=True))
    needed = [estimate(size, replace(training, scores=scores)).total for scores in (False, True)]
    monkeypatch.setattr(models, "available_memory", lambda *_: (needed[0] + needed[1]) / 2)
    assert prepared(tmp_path / "out").card.attention is Attention.PREFERRED
    monkeypatch.setattr(models, "has_gpu", lambda: True)
    monkeypatch.setattr(models, "available_memory", lambda *_: 10**12)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert prepared(tmp_path / "out").card.attention is Attention.PREFERRED


def test_a_run_goes_on_with_the_attention_that_it_began_with(model, data, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "attention_of", lambda *_: Attention.PREFERRED)
    run(model, data, tmp_path / "out", tell=interrupting(4))
    monkeypatch.undo()
    ended = run(model, data, tmp_path / "out", resume=True)
    assert ended.card.attention is Attention.PREFERRED


def test_both_ways_of_attention_learn_the_same(model, data, tmp_path, monkeypatch):
    found = []
    for attention in (Attention.EAGER, Attention.PREFERRED):
        monkeypatch.setattr(models, "attention_of", lambda *_, attention=attention: attention)
        run(model, data, tmp_path / attention.value, dropout=0.0, steps=4)
        found.append([loss for _, loss in lines(tmp_path / attention.value, "loss")])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_a_head_gets_a_whole_tensor_where_only_the_last_places_are_kept(model):
    loaded = AutoModelForCausalLM.from_pretrained(model)
    tokens = torch.tensor([[5, 6, 7, 8, 9]])
    with torch.no_grad():
        before = loaded(input_ids=tokens, logits_to_keep=2).logits
    models.spare_head(loaded)
    seen = []
    loaded.lm_head.register_forward_pre_hook(lambda _, given: seen.append(given[0].stride()))
    with torch.no_grad():
        assert torch.equal(loaded(input_ids=tokens, logits_to_keep=2).logits, before)
    assert seen == [(2 * 32, 32, 1)]


def test_a_disk_that_fills_up_is_told(model, data, tmp_path, monkeypatch):
    monkeypatch.setattr("llm_testgen.tuning.training.trainer.save_trainable", full)
    with pytest.raises(UsageError, match=r"No space left on device.*make room, and go on with --resume"):
        run(model, data, tmp_path / "out", steps=1)


def test_a_loss_that_is_no_number_ends_it(model, data, tmp_path):
    with pytest.raises(UsageError, match="the loss of step 2 is nan: pass a lower --learning-rate"):
        broken(model, data, tmp_path / "out")


def broken(model, data, out):
    request = Request(str(model), data, out, None, QUICK | {"evaluate_every": 100})
    prepared = prepare(request)
    adapt = running.adapt

    def adapted(*given):
        subject = adapt(*given)
        name, first = next((name, one) for name, one in subject.model.named_parameters() if "lora_B" in name)
        assert name
        first.register_hook(lambda gradient: gradient * math.nan)
        return subject

    running.adapt = adapted
    try:
        running.train(prepared, lambda _: None, lambda: None)
    finally:
        running.adapt = adapt


@pytest.mark.parametrize("room", [True, False])
def test_what_was_best_is_saved_when_the_loss_is_no_number_any_more(model, data, tmp_path, monkeypatch, room):
    held, out = adapted(monkeypatch), tmp_path / "out"

    def tell(told):
        if told.step == 5:
            with torch.no_grad():
                next(iter(subjects.trainable(held[0].model).values())).fill_(math.nan)

    if not room:
        monkeypatch.setattr(running.LoraSubject, "save", full)
    with pytest.raises(UsageError, match="the loss of step 6 is nan: pass a lower --learning-rate") as raised:
        run(model, data, out, tell=tell)
    best = checkpoints.best_of(out, 4)
    if not room:
        assert str(raised.value).endswith(f"; the best weights, those after step 4, are in {best}")
        assert best.is_file()
        return
    assert str(raised.value).endswith(f"; what was best, after step 4, is saved in {out}")
    outcome = runs.read_card(out).outcome
    assert (outcome.reason, outcome.steps, outcome.kept_step) == (NO_NUMBER, 6, 4)
    kept, saved = load_file(best), weights(out)
    assert all(torch.equal(kept[name.replace(".weight", ".default.weight")], saved[name]) for name in saved)


def adapted(monkeypatch):
    """What will be trained, once it is made."""
    held, adapt = [], running.adapt

    def kept(*given):
        held.append(adapt(*given))
        return held[-1]

    monkeypatch.setattr(running, "adapt", kept)
    return held


def test_memory_that_does_not_suffice_is_told_and_with_checkpointing_the_run_goes_on(
    whole, model, data, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    compute = running.AnswerTrainer.compute_loss

    def short(trainer, *given, **more):
        if trainer.state.global_step == 5:
            raise torch.OutOfMemoryError
        return compute(trainer, *given, **more)

    monkeypatch.setattr(running.AnswerTrainer, "compute_loss", short)
    with pytest.raises(UsageError, match=r"did not suffice: go on with --resume --checkpointing, or .* after step 4"):
        run(model, data, out)
    outcome = runs.read_card(out).outcome
    assert (outcome.reason, outcome.kept_step) == (OUT_OF_MEMORY, 4)
    assert weights(out)
    with pytest.raises(UsageError, match=r"did not suffice: train anew with another --out and a smaller --batch"):
        run(model, data, out, resume=True, checkpointing=True)
    monkeypatch.undo()
    ended = run(model, data, out, resume=True, checkpointing=True)
    assert ended.card.settings.checkpointing
    assert ended.card.outcome.reason == DONE
    assert lines(out, "loss") == [(step, pytest.approx(loss, rel=1e-5)) for step, loss in lines(whole[1], "loss")]


def test_what_is_free_goes_back_before_a_batch_takes_more_than_was_estimated(model, data, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(trainer, "give_back", asked.append)
    request = Request(str(model), data, tmp_path / "out", None, QUICK)
    prepared = prepare(request)
    running.train(prepared, lambda _: None, lambda: None, Clock())
    memory = prepared.memory
    assert set(asked) == {memory.total - memory.logits}
    # Eight steps of two batches, but for the last of each of two passes; and three evaluations of two.
    assert len(asked) == 8 * 2 - 2 + 3 * 2
    monkeypatch.setattr(running, "has_gpu", lambda: True)
    assert running._most_between(memory) == math.inf


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError(), MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")],
)
def test_memory_that_does_not_suffice_at_the_start_is_told(model, data, tmp_path, monkeypatch, error):
    def short(*_, **__):
        raise error

    monkeypatch.setattr(running, "AnswerTrainer", short)
    with pytest.raises(UsageError, match="memory did not suffice: pass --checkpointing, a smaller --batch with more"):
        run(model, data, tmp_path / "out")
    monkeypatch.undo()
    assert run(model, data, tmp_path / "out", steps=1).saved, "a run that never had a checkpoint is nothing"


def test_a_mixture_of_trained_adapters_learns_its_gates_alone(model, data, whole, tmp_path):
    run(model, data, tmp_path / "second", seed=5, steps=3)
    out = tmp_path / "mole"
    experts = (whole[1], tmp_path / "second")
    ended = run(model, data, out, mixture=MoLEConfig(balance=0.1), experts=experts, steps=6)
    assert (ended.card.kind, ended.card.outcome.steps) == ("mole", 6)
    assert len(lines(out, "auxiliary_loss")) == 6
    found = dict(lines(out, "validation_loss"))
    assert found[6] < found[0]
    expert = load_file(out / "experts" / "expert_0" / "adapter_model.safetensors")
    assert all(torch.equal(value, weights(whole[1])[name]) for name, value in expert.items())
    mixture = from_pretrained(AutoModelForCausalLM.from_pretrained(model), out)
    assert ended.card.trained == sum(one.numel() for one in mixture.gate_parameters().values())
    assert any(bool(one.abs().sum() > 0) for one in mixture.gate_parameters().values())


def test_an_adaptive_mixture_learns_all_of_it_and_goes_on_just_the_same(model, data, tmp_path):
    config = AdaMoLEConfig(experts=2)
    whole = run(model, data, tmp_path / "whole", mixture=config, steps=5)
    losses = [loss for _, loss in lines(tmp_path / "whole", "loss")]
    assert losses[-1] < losses[0]
    assert whole.card.adamole.rank == QUICK["rank"]
    run(model, data, tmp_path / "parts", mixture=config, steps=5, tell=interrupting(2))
    run(model, data, tmp_path / "parts", mixture=config, steps=5, resume=True)
    for name in ("gates.safetensors", "experts/expert_0/adapter_model.safetensors"):
        one, other = load_file(tmp_path / "whole" / name), load_file(tmp_path / "parts" / name)
        assert all(torch.equal(one[key], other[key]) for key in one)
    loaded = from_pretrained(AutoModelForCausalLM.from_pretrained(model), tmp_path / "parts")
    assert logits(loaded.model).isfinite().all()


def test_a_mixture_on_a_model_of_few_bits_is_trained(model, data, tmp_path, monkeypatch):
    loaded, load = [], models.load_base

    def quantised(*given):
        loaded.append(load(*given))
        loaded[0].is_quantized = True
        return loaded[0]

    monkeypatch.setattr(models, "load_base", quantised)
    assert run(model, data, tmp_path / "out", mixture=AdaMoLEConfig(experts=2), steps=1).saved
    assert not loaded[0]._hf_peft_config_loaded


def test_checkpointed_activations_give_the_same_losses(model, data, whole, tmp_path, monkeypatch):
    held = adapted(monkeypatch)
    run(model, data, tmp_path / "out", checkpointing=True, steps=8)
    assert [loss for _, loss in lines(tmp_path / "out", "loss")] == pytest.approx(
        [loss for _, loss in lines(whole[1], "loss")], rel=1e-5
    )
    assert held[0].model.get_base_model().is_gradient_checkpointing


def test_a_validation_loss_that_is_no_number_is_left_out_of_the_plot(tmp_path):
    metrics = [{"step": 0, "validation_loss": 2.0}, {"step": 1, "loss": 1.0}, {"step": 4, "validation_loss": None}]
    assert all(path.stat().st_size for path in plots.draw(metrics, "a run", tmp_path))


def test_layers_are_chosen_by_architecture(model):
    base = models.find_base(str(model))
    assert models.targets_of(base, settings_of("thesis", {})) == ("k_proj", "o_proj", "q_proj", "v_proj")
    assert models.targets_of(base, settings_of("cpu", {"targets": ("up_proj",)})) == ("up_proj",)
    with pytest.raises(UsageError, match=r"no linear layer named up: pass --targets some of down_proj, gate_proj"):
        models.targets_of(base, settings_of("cpu", {"targets": ("up",)}))
    phi = models.Base("phi", type("Config", (), {"model_type": "phi3"}), base.tokenizer, {
        "model.layers.0.self_attn.qkv_proj": (1, 2), "model.layers.0.self_attn.o_proj": (3, 4),
        "model.layers.0.mlp.gate_up_proj": (5, 6)}, 44)  # fmt: skip
    assert models.targets_of(phi, settings_of("thesis", {})) == ("o_proj", "qkv_proj")
    assert of_lora(models.adapted_layers(phi, ("o_proj", "qkv_proj")), 2, 16, dropout=False).trained == 20
    gpt = models.Base("gpt", type("Config", (), {"model_type": "gpt2"}), base.tokenizer, {
        "transformer.h.0.attn.c_attn": (1, 2), "transformer.h.0.attn.c_proj": (3, 4),
        "transformer.h.0.mlp.c_proj": (5, 6)}, 44)  # fmt: skip
    assert models.targets_of(gpt, settings_of("thesis", {})) == ("attn.c_proj", "c_attn")


def test_small_loading_without_a_gpu_says_what_else_to_do(model, data, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="needs an Nvidia GPU"):
        run(model, data, tmp_path / "out", load_bits=4)


def test_how_many_examples_come_at_once_changes_nothing(model, data, tmp_path):
    found = []
    for batch, accumulation in ((4, 1), (1, 4)):
        out = tmp_path / str(batch)
        run(model, data, out, batch=batch, accumulation=accumulation, dropout=0.0, grouped=False, steps=3)
        found.append([value for field in ("loss", "grad_norm", "validation_loss") for _, value in lines(out, field)])
    assert found[0] == pytest.approx(found[1], rel=1e-5)
