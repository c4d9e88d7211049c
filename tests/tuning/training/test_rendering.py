from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.tuning.quantising.tiny import make_tokenizer  # noqa: E402
from tests.tuning.serving.spaced import SPACE, make_spaced  # noqa: E402
from tests.tuning.training.tiny import TEMPLATE  # noqa: E402

from llm_testgen.errors import UsageError  # noqa: E402
from llm_testgen.tuning.training.batches import IGNORED, Order, collate  # noqa: E402
from llm_testgen.tuning.training.records import Record  # noqa: E402
from llm_testgen.tuning.training.rendering import Tokens, fit, require_some, require_template, tokenise  # noqa: E402
from llm_testgen.tuning.training.settings import TooLong  # noqa: E402

RECORD = Record(({"role": "user", "content": "add(1, 2)"},), "assert add(1, 2) == 3\n", "data.jsonl, line 1")


@pytest.fixture(scope="module")
def tokenizer():
    made = make_tokenizer("qwen2")
    made.chat_template = TEMPLATE
    return made


def with_template(template):
    made = make_tokenizer("qwen2")
    made.chat_template = template
    return made


def ids(tokenizer, text):
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_only_the_answer_and_what_ends_it_is_learned(tokenizer):
    made = tokenise(tokenizer, RECORD)
    prompt = ids(tokenizer, "<|im_start|>user\nadd(1, 2)<|im_end|>\n<|im_start|>assistant\n")
    answer = ids(tokenizer, "assert add(1, 2) == 3\n<|im_end|>")
    assert made == Tokens(prompt + answer, len(prompt))
    assert made.ids[-1] == tokenizer.eos_token_id
    labels = collate([made], padding=0)["labels"]
    assert labels.tolist() == [[IGNORED] * len(prompt) + list(answer)]


def test_what_the_answer_is_begun_with_is_given_in_the_tokens_that_a_model_is_asked_with(tokenizer):
    turns, answer = RECORD.turns, "def test_add():\n    assert add(1, 2) == 3"
    made = tokenise(tokenizer, Record(turns, answer, "data.jsonl, line 1", prefill="def test_"))
    asked = ids(tokenizer, "<|im_start|>user\nadd(1, 2)<|im_end|>\n<|im_start|>assistant\ndef test_")
    assert made.ids[: made.prompt] == asked
    assert made.ids[made.prompt :] == ids(tokenizer, "add():\n    assert add(1, 2) == 3<|im_end|>")
    whole = tokenise(tokenizer, Record(turns, answer, "data.jsonl, line 1"))
    assert tokenizer.decode(made.ids) == tokenizer.decode(whole.ids)
    assert made.ids != whole.ids, "the name's tokens would be others in one piece"


@pytest.mark.parametrize("scheme", ["first", "always", "normaliser", "never"])
@pytest.mark.parametrize(
    ("prefill", "learned"),
    [
        ("", ["assert", f"{SPACE}add", "(", "1"]),
        ("as", ["s", "ert", f"{SPACE}add", "(", "1"]),
        ("assert", [f"{SPACE}add", "(", "1"]),
        ("assert ", ["add", "(", "1"]),
        # With what goes before this would be a single token.
        ("assert add(1) == _", ["add"]),
    ],
)
def test_an_answer_that_goes_on_has_no_space_before_it_that_is_not_there(scheme, prefill, learned):
    spaced = make_spaced(scheme, TEMPLATE)
    made = tokenise(spaced, Record(RECORD.turns, "assert add(1) == _add", "data.jsonl, line 1", prefill=prefill))
    assert spaced.convert_ids_to_tokens(list(made.ids[made.prompt :]))[: len(learned)] == learned
    whole = tokenise(spaced, Record(RECORD.turns, "assert add(1) == _add", "data.jsonl, line 1"))
    assert spaced.decode(made.ids) == spaced.decode(whole.ids)


@pytest.mark.parametrize("answer", [" assert", "\n\n    assert", "_add()", "\u0308x"])
def test_the_tokens_of_an_answer_are_its_own_where_nothing_is_put_before_a_text(tokenizer, answer):
    made = tokenise(tokenizer, Record(RECORD.turns, f"def test_{answer}.", "data.jsonl, line 1", prefill="def test_"))
    assert made.ids[made.prompt :] == ids(tokenizer, f"{answer}.<|im_end|>")


def test_a_batch_is_padded_on_the_left_with_nothing_to_learn_there():
    batch = collate([Tokens((5, 6, 7), 1), Tokens((8, 9), 1)], padding=4)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [4, 8, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [0, 1, 1]]
    assert batch["position_ids"].tolist() == [[0, 1, 2], [0, 0, 1]]
    assert batch["labels"].tolist() == [[IGNORED, 6, 7], [IGNORED, IGNORED, 9]]


def test_a_template_without_an_end_gets_the_tokenizers():
    plain = with_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    made = tokenise(plain, RECORD)
    assert made.ids[made.prompt :] == ids(plain, "assert add(1, 2) == 3\n<|im_end|>")


def test_a_template_that_asks_otherwise_than_it_shows_is_followed_where_it_asks():
    thinking = with_template(TEMPLATE.replace("assistant\n{% endif", "assistant\n<think>\n{% endif"))
    made = tokenise(thinking, RECORD)
    assert thinking.decode(made.ids[: made.prompt]).endswith("<|im_start|>assistant\n<think>\n")
    assert made.ids[made.prompt :] == ids(thinking, "assert add(1, 2) == 3\n<|im_end|>")


def test_a_refused_conversation_is_told_with_its_line():
    strict = with_template("{{ raise_exception('no system message') }}")
    with pytest.raises(UsageError, match=r"data\.jsonl, line 1: .*no system message.*: leave out what it refuses"):
        tokenise(strict, RECORD)


def test_a_tokenizer_without_a_template_is_an_error_that_says_what_to_do():
    with pytest.raises(UsageError, match=r"some-model has no chat template.*made to follow instructions"):
        require_template(with_template(None), "some-model")


def test_longer_examples_are_left_out_or_cut():
    examples = [Tokens((1, 2, 3), 1), Tokens((1, 2, 3, 4, 5), 2), Tokens((1, 2, 3, 4, 5), 4)]
    kept, counts = fit(examples, 4, TooLong.LEAVE_OUT)
    assert (kept, dict(counts)) == ((examples[0],), {"left out: longer than 4 tokens": 2})
    kept, counts = fit(examples, 4, TooLong.CUT)
    assert kept == (examples[0], Tokens((1, 2, 3, 4), 2))
    assert dict(counts) == {"cut to 4 tokens": 1, "left out: its conversation alone has 4 tokens": 1}
    with pytest.raises(UsageError, match="none of the 3 examples fits into 2 tokens; half of them have 5 or fewer"):
        require_some((), examples, 2)


def test_the_order_depends_on_the_seed_and_the_pass_alone():
    lengths = [7, 1, 5, 3, 9, 2, 8, 4, 6]
    order = Order(lengths, 2, grouped=True, seed=3)
    first = list(order)
    assert sorted(first) == list(range(9))
    order.begin(1)
    assert list(order) != first
    order.begin(0)
    assert list(order) == first
    assert list(Order(lengths, 2, grouped=True, seed=4)) != first


def test_examples_of_like_length_come_together_and_the_part_batch_last():
    order = list(Order(list(range(101)), 4, grouped=True, seed=0))
    batches = [order[at : at + 4] for at in range(0, 101, 4)]
    assert [len(one) for one in batches] == [4] * 25 + [1]
    mixed = list(Order(list(range(101)), 4, grouped=False, seed=0))
    assert spread(order) < spread(mixed) / 2


def spread(order):
    """How far apart the numbers of a batch of four are, on average."""
    batches = [order[at : at + 4] for at in range(0, 100, 4)]
    return sum(max(one) - min(one) for one in batches) / len(batches)
