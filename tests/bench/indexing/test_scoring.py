"""Edges beside what was seen."""

import textwrap

import pytest

from llm_testgen.bench.indexing.catalogue import Catalogue
from llm_testgen.bench.indexing.scoring import Edge, ObservedCall, Score, score, truth

PATH = "lib/a.py"
TEXT = """
import functools


def deco(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


@deco
def decorated():
    return 1


class A:
    limit = max(1, 2)

    def f(self):
        if (
            self.g()
        ):
            return decorated()
        return self.h()

    def g(self): return 1

    def h(self):
        return [value for value in self.g()]
"""
DECO, DECORATED, F, G, H = ((PATH, name) for name in ("deco", "decorated", "A.f", "A.g", "A.h"))


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue({PATH: textwrap.dedent(TEXT).lstrip().encode(), "lib/broken.py": b"def ("})


def line_of(text):
    return textwrap.dedent(TEXT).lstrip().split("\n").index(text) + 1


def seen(catalogue, calls, *texts):
    return truth(calls, {PATH: frozenset(map(line_of, texts))}, catalogue)


def test_a_line_belongs_to_the_innermost_function_that_can_be_named(catalogue):
    assert catalogue.functions == {DECO, DECORATED, F, G, H}
    assert catalogue.at(PATH, line_of("        return function(*args)")) == DECO
    assert catalogue.at(PATH, line_of("@deco")) == DECORATED
    assert catalogue.at(PATH, line_of("    limit = max(1, 2)")) is None
    assert catalogue.at(PATH, line_of("import functools")) is None
    assert catalogue.at("lib/broken.py", 1) is None


def test_a_statement_begins_above_its_later_lines(catalogue):
    assert catalogue.statement(PATH, line_of("            self.g()")) == line_of("        if (")


def test_a_function_has_run_when_a_line_of_its_body_has(catalogue):
    assert catalogue.ran({PATH: frozenset({line_of("    def f(self):")})}) == frozenset()
    assert catalogue.ran({PATH: frozenset({line_of("        return self.h()")})}) == {F}


def test_recall_is_the_share_of_direct_calls_that_are_edges(catalogue):
    calls = [ObservedCall(F, G, direct=True), ObservedCall(F, H, direct=True), ObservedCall(H, G, direct=False)]
    found = score([Edge(F, G)], seen(catalogue, calls, "        return self.h()"), catalogue)
    assert (found.found, found.observed, found.recall) == (1, 2, 0.5)


def test_precision_is_the_share_of_edges_seen_to_be_true_of_those_whose_line_was_run(catalogue):
    truths = seen(catalogue, [ObservedCall(F, G, direct=True)], "        if (")
    edges = [
        Edge(F, G, line_of("            self.g()")),
        Edge(F, DECO, line_of("            self.g()")),
        Edge(F, H, line_of("        return self.h()")),
        Edge(H, G, line_of("        return [value for value in self.g()]")),
    ]
    found = score(edges, truths, catalogue)
    assert (found.right, found.judged, found.edges, found.precision) == (1, 2, 4, 0.5)


def test_an_edge_without_a_line_is_judged_when_its_caller_was_run(catalogue):
    truths = seen(catalogue, [ObservedCall(F, G, direct=True)], "        if (")
    found = score([Edge(F, G), Edge(F, H), Edge(H, G)], truths, catalogue)
    assert (found.right, found.judged) == (1, 2)


def test_a_call_through_others_code_makes_an_edge_right_and_is_no_call_to_be_found(catalogue):
    truths = seen(catalogue, [ObservedCall(H, G, direct=False)], "        return [value for value in self.g()]")
    found = score([Edge(H, G)], truths, catalogue)
    assert (found.observed, found.right, found.judged) == (0, 1, 1)
    assert found.recall == 0.0


def test_a_call_through_the_wrapper_of_a_decorator_is_one_of_the_wrappers_caller(catalogue):
    calls = [
        ObservedCall(F, DECO, direct=True),
        ObservedCall(DECO, DECORATED, direct=True),
        ObservedCall(F, DECORATED, direct=False, via=DECO),
    ]
    truths = seen(catalogue, calls, "            return decorated()")
    assert truths.observed == {(F, DECORATED)}
    assert score([Edge(F, DECORATED)], truths, catalogue).recall == 1.0


def test_a_wrapper_of_something_else_is_an_ordinary_caller(catalogue):
    calls = [ObservedCall(DECO, G, direct=True), ObservedCall(F, G, direct=False, via=DECO)]
    assert seen(catalogue, calls).observed == {(DECO, G)}


def test_what_a_function_calls_of_itself_is_left_out(catalogue):
    truths = seen(catalogue, [ObservedCall(F, F, direct=True)], "        if (")
    assert score([Edge(F, F)], truths, catalogue) == Score(0, 0, 0, 0, 0)


def test_scores_add_up():
    assert Score(1, 2, 3, 4, 5) + Score(1, 1, 1, 1, 1) == Score(2, 3, 4, 5, 6)
