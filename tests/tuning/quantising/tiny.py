"""Language models of a few thousand numbers with tokenizers of their own, and llama.cpp to answer with what is made of them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

TEXT = "def test_add():\n    assert add(1, 2) == 3\n\n\ndef test_sub():\n    assert sub(3, 2) == 1\n"
SPLITS = {
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "llama": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
TEMPLATE = "{% for message in messages %}<|im_start|>{{ message['content'] }}<|im_end|>{% endfor %}"
_SERVE = """
import json, os, sys, urllib.request, xllamacpp
asked = json.loads(sys.argv[1])
report = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel, params.port = asked["model"], 256, 1, 0
params.hostnames, params.warmup, params.cpuparams.n_threads = ["127.0.0.1"], False, 1
params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
if asked["adapter"]:
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(asked["adapter"], 1.0)]
server = xllamacpp.Server(params)
def ask(path, **body):
    request = urllib.request.Request(server.listening_address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))
tokens = ask("/tokenize", content=asked["text"])["tokens"]
found = {}
for forced in tokens[:2]:  # what is told does not depend on the token that is chosen, but for its own figure
    reply = ask("/completion", prompt=tokens, n_predict=1, n_probs=asked["tokens"], temperature=0, logit_bias=[[forced, 100.0]])
    told = {one["id"]: one["logprob"] for one in reply["completion_probabilities"][0]["top_logprobs"]}
    found |= {number: figure for number, figure in told.items() if number != forced}
prompt = ask("/apply-template", messages=[{"role": "user", "content": "hi"}])["prompt"]
report.write(json.dumps({"tokens": tokens, "logprobs": [found[n] for n in range(asked["tokens"])], "prompt": prompt}))
report.flush()
os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class Tiny:
    """A model in a folder, as transformers saved it."""

    folder: Path
    model: object
    tokenizer: object
    tokens: int


def make_tokenizer(kind: str):
    transformers = pytest.importorskip("transformers")
    library = pytest.importorskip("tokenizers")
    pre_tokenizers = library.pre_tokenizers

    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(library.Regex(SPLITS[kind]), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = library.decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = library.trainers.BpeTrainer(
        vocab_size=290, initial_alphabet=alphabet, special_tokens=special, show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",  # noqa: S106 - of text
        pad_token="<|endoftext|>",  # noqa: S106
        chat_template=TEMPLATE,
    )


def make_model(kind: str, **changes):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config, model = {
        "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    }[kind]
    settings = {
        "vocab_size": 300,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "tie_word_embeddings": kind == "qwen2",
    }
    torch.manual_seed(0)
    made = model(config(**(settings | changes))).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)  # biases and norms are not all alike either
    return made


def llama_cpp_answers(path: Path, text: str, tokens: int, adapter: Path | None = None):
    """Tokens of a text, the logarithms of the probabilities of all next tokens, and the prompt of a chat."""
    pytest.importorskip("xllamacpp")
    asked = {"model": str(path), "text": text, "tokens": tokens, "adapter": str(adapter or "")}
    done = subprocess.run(
        [sys.executable, "-c", _SERVE, json.dumps(asked)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def transformers_answers(model, tokens: list[int]):
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        return torch.log_softmax(model(torch.tensor([tokens])).logits[0, -1].double(), -1).numpy()
