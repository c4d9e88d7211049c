"""A language model made on the spot, in a folder, and a data set of short conversations."""

from __future__ import annotations

import json

from tests.tuning.quantising.tiny import make_model, make_tokenizer

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NAMES = ("add", "sub", "mul", "neg", "min", "max", "abs", "pow", "mod", "div")
# Few steps of small batches, with dropout, whose numbers have to be those of the run that was not interrupted.
QUICK = {
    "rank": 4,
    "alpha": 8.0,
    "dropout": 0.1,
    "batch": 2,
    "accumulation": 2,
    "length": 160,
    "learning_rate": 1e-2,
    "precision": "float32",
    "minutes": 0,
    "patience": 0,
    "evaluate_every": 4,
    "steps": 8,
}


def save_model(folder, *, template=TEMPLATE, kind="qwen2", **changes):
    tokenizer = make_tokenizer(kind)
    tokenizer.chat_template = template
    sizes = {"hidden_size": 32, "intermediate_size": 48} | changes
    make_model(kind, **sizes).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def conversation(name, number):
    return {
        "prompt": [
            {"role": "system", "content": "Write a test."},
            {"role": "user", "content": f"def {name}(a, b): ..." + " # more" * (number % 4)},
        ],
        "completion": [{"role": "assistant", "content": f"def test_{name}():\n    assert {name}({number}, 2)"}],
        "meta": {"origin": "mined"},
    }


def save_data(folder, train=10, validation=3):
    folder.mkdir(parents=True, exist_ok=True)
    for name, numbers in (("train", range(train)), ("validation", range(train, train + validation))):
        lines = [json.dumps(conversation(NAMES[number % len(NAMES)], number)) for number in numbers]
        if lines:
            (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder
