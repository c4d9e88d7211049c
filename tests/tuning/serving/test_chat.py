from __future__ import annotations

import asyncio
import os
import sys

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from tests.edges.fake_openai import make_prompt  # noqa: E402
from tests.tuning.mixtures.tiny import OLD_NAME, disturb  # noqa: E402
from tests.tuning.training.tiny import save_model  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from llm_testgen.edges.embedded import EmbeddedModel, Serving  # noqa: E402
from llm_testgen.edges.models import Sampling  # noqa: E402
from llm_testgen.errors import ModelError  # noqa: E402
from llm_testgen.tuning.mixtures.building import add_adamole  # noqa: E402
from llm_testgen.tuning.mixtures.config import AdaMoLEConfig  # noqa: E402
from llm_testgen.tuning.mixtures.storage import save_pretrained  # noqa: E402
from llm_testgen.tuning.serving.chat import Chat, RefusedError, Request, load  # noqa: E402
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
    return Request.model_validate({"messages": ASKED, "max_tokens": 12} | more)


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


def test_a_message_of_the_assistant_is_continued(chat):
    begun = ({"role": "user", "content": "f"}, {"role": "assistant", "content": "```python\nimport"})
    ids = chat._ids(request(messages=begun))
    text = chat.served.tokenizer.decode(ids)
    assert text.endswith("assistant\n```python\nimport")
    assert "<|im_start|>assistant" in chat.served.tokenizer.decode(chat._ids(request()))


def test_a_reply_ends_before_a_stop_text(chat):
    whole = chat.answer(request(ignore_eos=True)).text
    stop = whole[len(whole) // 2 :][:2]
    answer = chat.answer(request(ignore_eos=False, stop=[stop]))
    assert stop not in answer.text
    assert whole.startswith(answer.text)
    assert not answer.truncated


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
