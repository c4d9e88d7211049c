"""A tokenizer as SentencePiece makes them: it puts a space before a text, and leaves out the one that a text begins with."""

from __future__ import annotations

import string

import pytest

SPACE = "\u2581"
MERGES = [
    ("a", "d"),
    ("ad", "d"),
    (SPACE, "add"),
    ("_", "add"),
    (SPACE, SPACE),
    (SPACE * 2, SPACE * 2),
    ("s", "s"),
    ("a", "ss"),
    ("ass", "ert"),
    ("e", "r"),
    ("er", "t"),
    (SPACE, "assert"),
]
SPECIAL = ["<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def make_spaced(scheme: str, template: str):
    """One whose space comes before the first text, before each (also with the older normaliser), or never."""
    transformers = pytest.importorskip("transformers")
    library = pytest.importorskip("tokenizers")
    letters = [SPACE, *(one for one in string.printable[:94])]
    pieces = [
        *SPECIAL,
        *(f"<0x{byte:02X}>" for byte in range(256)),
        *letters,
        *("".join(pair) for pair in MERGES),
    ]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    made = library.Tokenizer(
        library.models.BPE(vocab=vocabulary, merges=sorted(MERGES, key=rank), unk_token="<unk>", byte_fallback=True)  # noqa: S106 - of text
    )
    if scheme == "normaliser":
        normalizers = library.normalizers
        made.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    else:
        made.pre_tokenizer = library.pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=scheme, split=False)
    decoders = library.decoders
    made.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.add_special_tokens(SPECIAL)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token="<|im_end|>",  # noqa: S106 - of text
        pad_token="<|endoftext|>",  # noqa: S106
        unk_token="<unk>",  # noqa: S106
        chat_template=template,
    )


def rank(pair):
    """Shorter pieces come first, as they do where pairs are counted."""
    return len("".join(pair))
