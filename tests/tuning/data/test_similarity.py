from __future__ import annotations

import itertools
import random

from llm_testgen.tuning.data.similarity import containment, likeness, near_duplicates, runs, shingles, words


def test_names_of_tests_do_not_tell_two_answers_apart():
    one = "def test_area_small():\n    assert Box(3).area() == 9"
    assert shingles(one) == shingles(one.replace("test_area_small", "test_area_other"))
    assert shingles(one) != shingles(one.replace("9", "8"))


def test_likeness_is_the_share_in_common():
    assert likeness(shingles("a b c d e"), shingles("a b c d e")) == 1
    assert likeness(shingles("a b c d e"), shingles("f")) == 0
    assert likeness(shingles("a b c d e f"), shingles("b c d e f g")) == 1 / 3


def test_containment_is_the_share_of_the_part():
    assert containment("a b c d e", "x a b c d e y z") == 1
    assert containment("a b c d e f", "a b c d e") == 0.5


def test_words_and_their_runs():
    assert words("Say: it_is(3)!") == ["say", "it_is", "3"]
    assert list(runs(["a", "b", "c"], 2)) == [("a", "b"), ("b", "c")]


def test_the_pairs_found_are_those_that_comparing_all_finds():
    lot = random.Random(5)  # noqa: S311
    texts = []
    for _ in range(40):
        text = [lot.choice("abcdefgh") for _ in range(40)]
        texts.append(" ".join(text))
        for _ in range(lot.randrange(3)):
            changed = list(text)
            for _ in range(lot.randrange(4)):
                changed[lot.randrange(len(changed))] = lot.choice("xyz")
            texts.append(" ".join(changed))
    for threshold in (0.5, 0.8, 1.0):
        dropped: set[int] = set()
        for one, other in itertools.combinations(range(len(texts)), 2):
            if one not in dropped and likeness(shingles(texts[one]), shingles(texts[other])) >= threshold:
                dropped.add(other)
        assert near_duplicates(texts, threshold) == dropped
        assert dropped
