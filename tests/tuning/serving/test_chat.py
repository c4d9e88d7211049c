from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from tests.edges.fake_openai import make_prompt  # noqa: E402
from tests.tuning.mixtures.tiny import OLD_NAME, disturb  # noqa: E402
from tests.tuning.serving.spaced import make_spaced  # noqa: E402
from tests.tuning.training.tiny import TEMPLATE, save_model  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from llm_testgen.edges.embedded import EmbeddedModel, Serving  # noqa: E402
from llm_testgen.edges.models import Sampling  # noqa: E402
from llm_testgen.errors import ModelError  # noqa: E402
from llm_testgen.tuning.mixtures.building import add_adamole  # noqa: E402
from llm_testgen.tuning.mixtures.config import AdaMoLEConfig  # noqa: E402
from llm_testgen.tuning.mixtures.storage import save_pretrained  # noqa: E402
from llm_testgen.tuning.quantising.cli import ExportOptions, run_export  # noqa: E402
from llm_testgen.tuning.serving.chat import Chat, RefusedError, Served, _ends, load, other_base  # noqa: E402
from llm_testgen.tuning.serving.request import Request  # noqa: E402
from llm_testgen.tuning.training.rendering import _ids_behind  # noqa: E402
from llm_testgen.tuning.training.settings import Precision  # noqa: E402

pytestmark = pytest.mark.filterwarnings(OLD_NAME)
ASKED = ({"role": "user", "content": "def add(a, b): ..."},)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model in a folder, and a mixture for it that changes what it says."""
    home = tmp_path_factory.mktemp("served")
    base = save_model(home / "base")
    model = AutoModelForCausalLM.from_pretrained(base)
    mixture = add_adamole(model, AdaMoLEConfig(experts=2, rank=2, target_modules=("q_proj", "v_proj")))
    disturb(mixture.trainable_parameters().values())
    save_pretrained(mixture, home / "mixture")
    return base, home / "mixture", model.eval()


@pytest.fixture(scope="module")
def chat(folders):
    base, mixture, _ = folders
    return Chat(load(base, mixture, 1, Precision.FLOAT32), 200)


def request(**more):
    return Request.model_validate({"messages": ASKED, "max_tokens": 12, "temperature": 0} | more)


def drawn_by_hand(folders, text, count):
    """The likeliest tokens after a text, one after the other."""
    base, _, model = folders
    tokenizer = AutoTokenizer.from_pretrained(base)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    found = []
    with torch.no_grad():
        for _ in range(count):
            found.append(int(model(torch.tensor([ids + found])).logits[0, -1].argmax()))
    return found, tokenizer


def test_the_likeliest_reply_is_the_mixtures_own(folders, chat):
    answer = chat.answer(request(ignore_eos=True))
    prompt = "<|im_start|>user\ndef add(a, b): ...<|im_end|>\n<|im_start|>assistant\n"
    ids, tokenizer = drawn_by_hand(folders, prompt, 12)
    plain = AutoModelForCausalLM.from_pretrained(folders[0])
    if not set(ids) & set(tokenizer.all_special_ids):  # those are put off where a reply may not end
        assert answer.text == tokenizer.decode(ids, skip_special_tokens=True)
    assert (answer.tokens_out, answer.truncated) == (12, True)
    assert answer.tokens_in == len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    assert answer.reading > 0
    assert answer.writing > 0
    told = chat.served.model(torch.tensor([[5, 6, 7]])).logits
    assert not torch.allclose(told, plain(torch.tensor([[5, 6, 7]])).logits, atol=1e-3)


@pytest.mark.parametrize("begun", ["```python\nimport", "```python\n\n    "])
@pytest.mark.parametrize("thinks", [False, True])
def test_a_message_of_the_assistant_is_continued_where_a_reply_would_begin(folders, begun, thinks):
    """Some templates trim answers that are there, and write one that is asked for otherwise."""
    tokenizer = AutoTokenizer.from_pretrained(folders[0])
    if thinks:
        tokenizer.chat_template = (
            "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n<think></think>{% endif %}"
        )
    chat = Chat(Served(None, tokenizer), 200)
    user = {"role": "user", "content": "f"}
    asked = tokenizer.decode(chat._ids(request(messages=(user,))))
    assert asked == "<|im_start|>user\nf<|im_end|>\n<|im_start|>assistant\n" + "<think></think>" * thinks
    told = chat._ids(request(messages=(user, {"role": "assistant", "content": begun})))
    assert tokenizer.decode(told) == asked + begun


def test_a_reply_ends_before_a_stop_text(chat):
    whole = chat.answer(request(ignore_eos=True)).text
    stop = whole[len(whole) // 2 :][:2]
    answer = chat.answer(request(ignore_eos=False, stop=[stop]))
    assert stop not in answer.text
    assert whole.startswith(answer.text)
    assert not answer.truncated


class Scripted:
    """Says some tokens, then one for ever; keeps how it was asked."""

    device = "cpu"

    def __init__(self, ids):
        self.ids = list(ids)

    def generate(self, inputs, *, generation_config, stopping_criteria, **more):
        self.config, self.more = generation_config, more
        said = inputs
        for number in range(generation_config.max_new_tokens):
            token = self.ids[number] if number < len(self.ids) else 7
            said = torch.cat([said, torch.tensor([[token]])], dim=1)
            if token in generation_config.eos_token_id or bool(stopping_criteria(said, None).all()):
                break
        return said


def scripted(folders, text):
    tokenizer = AutoTokenizer.from_pretrained(folders[0])
    model = Scripted(tokenizer(text, add_special_tokens=False)["input_ids"])
    return Chat(Served(model, tokenizer), 400), model


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        # It begins with what would be a stop text together with the prompt's last line break.
        ("```x\n```", "```x"),
        ("x = 1\n```\nmore", "x = 1"),
        ("a ä € \n``` b", "a ä € "),
    ],
)
def test_a_stop_text_is_looked_for_in_the_reply_alone(folders, said, kept):
    chat, model = scripted(folders, said)
    begun = "```python\n"
    messages = (*ASKED, {"role": "assistant", "content": begun})
    answer = chat.answer(request(messages=messages, stop=["\n```", ""], max_tokens=60))
    assert (answer.text, answer.truncated) == (begun + kept, False)
    assert answer.tokens_out <= len(model.ids)


def test_nothing_more_is_drawn_once_nobody_waits(folders):
    chat, _ = scripted(folders, "x")
    left = iter([True, True, False])
    assert chat.answer(request(max_tokens=60), lambda: next(left)).tokens_out == 3


def test_a_reply_is_drawn_from_what_llama_cpp_leaves_to_draw_from(folders):
    chat, model = scripted(folders, "x")
    chat.answer(request(temperature=0.5))
    assert (model.config.do_sample, model.config.top_k, model.config.top_p, model.config.temperature) == (True, 0, 1, 1)
    # Three of the small ones are among the likeliest 95 in 100, but below a twentieth of the first.
    shares = torch.tensor([[0.5, 0.2, 0.2, 0.02, 0.02, 0.02, 0.02, 0.02]])
    scores = shares.log()
    for one in model.more["logits_processor"]:
        scores = one(None, scores)
    kept = torch.tensor([0.25, 0.04, 0.04])
    assert torch.allclose(scores.softmax(-1)[0, :3], kept / kept.sum(), atol=1e-5)
    assert scores.isinf().sum() == 5
    many = torch.arange(100.0)[None] / 1e6
    for one in model.more["logits_processor"]:
        many = one(None, many)
    assert many.isfinite().sum() == 38  # of the 40 likeliest of 100 that are nearly alike, those that have 95 %
    chat.answer(request(temperature=0))
    assert not model.config.do_sample
    assert len(model.more["logits_processor"]) == 0


@pytest.mark.parametrize("scheme", ["first", "always", "normaliser", "never"])
@pytest.mark.parametrize(
    ("begun", "said"),
    [
        ("    assert", " add(1)"),
        ("    assert ", "add(1)"),
        ("x = 1\n", "    assert"),
        ("", "assert add(1)"),
        ("ä", "ä a"),
    ],
)
def test_the_space_that_a_reply_begins_with_is_kept(scheme, begun, said):
    tokenizer = make_spaced(scheme, TEMPLATE)
    messages = (*ASKED, {"role": "assistant", "content": begun}) if begun else ASKED
    learned = _ids_behind(tokenizer, begun, said)
    chat = Chat(Served(Scripted([*learned, tokenizer.eos_token_id]), tokenizer), 400)
    assert chat.answer(request(messages=messages, max_tokens=60)).text == begun + said
    stopped = chat.answer(request(messages=messages, max_tokens=60, stop=[said[:2]]))
    assert (stopped.text, stopped.truncated) == (begun, False)


def test_what_a_request_leaves_open_is_as_llama_cpp_has_it(folders):
    xllamacpp = pytest.importorskip("xllamacpp")
    chat, model = scripted(folders, "x")
    answer = chat.answer(Request.model_validate({"messages": ASKED}))
    assert answer.tokens_in + answer.tokens_out == 400
    top_k, top_p, min_p, temperature = model.more["logits_processor"]
    theirs = xllamacpp.CommonParams()
    assert (top_k.top_k, theirs.n_predict) == (theirs.sampling.top_k, -1)
    found = (top_p.top_p, min_p.min_p, temperature.temperature)
    assert found == pytest.approx((theirs.sampling.top_p, theirs.sampling.min_p, theirs.sampling.temp), rel=1e-6)
    chat.answer(request(temperature=1, top_p=0.5))
    assert model.more["logits_processor"][1].top_p == 0.5


def test_a_model_of_another_name_than_the_mixtures_is_told(folders):
    base, mixture, _ = folders
    assert not other_base(base, mixture)
    assert not other_base(base.parent / "moved" / "Base", mixture)
    assert "was trained for" in other_base(base.with_suffix(".gguf"), mixture)


def test_what_a_models_folder_says_of_drawing_is_not_heeded(folders, chat, tmp_path):
    base = shutil.copytree(folders[0], tmp_path / "base")
    said = json.loads((base / "generation_config.json").read_text())
    (base / "generation_config.json").write_text(json.dumps(said | {"repetition_penalty": 9.0}))
    other = Chat(load(base, folders[1], 1, Precision.FLOAT32), 200)
    assert other.answer(request(ignore_eos=True)).text == chat.answer(request(ignore_eos=True)).text


def test_a_reply_ends_with_any_token_that_ends_one_by_its_name():
    """One of them may be what a tokenizer has for unknown words, and so be given for all names that are not there."""
    known = {"<|endoftext|>": 0, "<|im_end|>": 2, "<|fim_pad|>": 3, "x": 4}
    names = {number: name for name, number in known.items()}
    for unknown in (0, None):
        tokenizer = SimpleNamespace(
            eos_token_id=9,
            convert_tokens_to_ids=lambda name, unknown=unknown: known.get(name, unknown),
            convert_ids_to_tokens=names.get,
        )
        assert _ends(tokenizer) == {0, 2, 3, 9}


def test_the_seed_decides_what_is_drawn(chat):
    texts = [chat.answer(request(temperature=1.5, seed=seed)).text for seed in (1, 1, 2, 3, 4)]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1


def test_a_prompt_without_room_is_refused_and_a_reply_gets_what_room_there_is(chat):
    with pytest.raises(RefusedError, match=r"the prompt has [\d,]+ tokens, more than the context of 200"):
        chat.answer(request(messages=({"role": "user", "content": "def f(): ... " * 100},)))
    answer = chat.answer(request(max_tokens=5000, ignore_eos=True))
    assert answer.tokens_in + answer.tokens_out == 200


def test_it_is_served_as_an_embedded_model(folders):
    base, mixture, _ = folders

    async def run(adapter):
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
        model = await EmbeddedModel.start(
            base, name="mixed", env=env, serving=Serving(context_tokens=400, threads=1), adapter=adapter
        )
        try:
            return [await model.reply(make_prompt(""), Sampling(0.0, 1, 8)) for _ in range(2)], model.peak_memory()
        finally:
            await model.close()

    (first, again), peak = asyncio.run(run(mixture))
    assert first.text == again.text
    assert (first.model, first.usage.tokens_out > 0) == ("mixed", True)
    assert peak is None or peak > 50_000_000
    (mixture.parent / "none").mkdir()
    with pytest.raises(ModelError, match=r"none cannot be served: .* holds no mixture\.json"):
        asyncio.run(run(mixture.parent / "none"))


def test_it_answers_as_llama_cpp_answers_with_the_same_model(folders, tmp_path):
    """Experts that add nothing: the same replies, ends and counts of tokens, with and without what they begin with."""
    pytest.importorskip("xllamacpp")
    base, _, _ = folders
    idle = add_adamole(AutoModelForCausalLM.from_pretrained(base), AdaMoLEConfig(experts=2, target_modules=("q_proj",)))
    save_pretrained(idle, tmp_path / "idle")
    run_export(ExportOptions(str(base), tmp_path / "base.gguf", "f32"), Console(quiet=True))

    async def run(weights, adapter):
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
        how = Serving(context_tokens=400, threads=1)
        model = await EmbeddedModel.start(weights, name="one", env=env, serving=how, adapter=adapter)
        try:
            prompts = [make_prompt(prefill) for prefill in ("", "```python\nimport pytest\n\n", "```python\n    ")]
            replies = [await model.reply(prompt, Sampling(0.0, 1, 6)) for prompt in prompts]
            return [(one.text, one.truncated, one.usage.tokens_in, one.usage.tokens_out) for one in replies]
        finally:
            await model.close()

    assert asyncio.run(run(base, tmp_path / "idle")) == asyncio.run(run(tmp_path / "base.gguf", None))
