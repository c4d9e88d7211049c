from __future__ import annotations

from dataclasses import replace

import pytest
from tests.evolution.synthetic import methods

from llm_testgen.errors import UsageError
from llm_testgen.evolution.split import sample, split
from llm_testgen.records import MethodKind

FILES = {f"src/pkg/m{number}.py": methods(size, f"src/pkg/m{number}.py") for number, size in enumerate([9, 4, 2, 1])}
TARGETS = [target for targets in FILES.values() for target in targets]


def missing(targets):
    found = {}
    for target in targets:
        found[target.path] = found.get(target.path, frozenset()) | target.lines
    return found


def test_the_same_seed_chooses_the_same_methods_in_whatever_order_they_come():
    chosen = sample(TARGETS, missing(TARGETS), 6, 1)
    assert chosen == sample(reversed(TARGETS), missing(TARGETS), 6, 1)
    assert len(chosen) == 6
    assert chosen != sample(TARGETS, missing(TARGETS), 6, 2)


def test_there_is_one_method_of_each_file_before_a_second_of_any():
    assert {target.path for target in sample(TARGETS, missing(TARGETS), 4, 1)} == set(FILES)


def test_another_method_in_the_project_leaves_the_others_chosen():
    before = sample(TARGETS, missing(TARGETS), 8, 1)
    more = [*methods(10, "src/pkg/m0.py"), *TARGETS[9:]]
    after = sample(more, missing(more), 9, 1)
    assert len(set(before) & set(after)) >= 7


def test_what_is_covered_and_what_is_no_method_is_not_chosen():
    first, second, third, *rest = TARGETS
    module = replace(rest[0], definitions=(replace(rest[0].method, kind=MethodKind.MODULE),))
    chosen = sample([first, second, third, module, *rest[1:]], missing([first, second, third, module]), 12, 0)
    assert set(chosen) == {first, second, third}


@pytest.mark.parametrize(("count", "words"), [(0, "no method"), (1, "1 method"), (2, "2 methods")])
def test_too_few_methods_are_an_error_that_says_how_many_there_are(count, words):
    with pytest.raises(UsageError, match=f"there is {words}"):
        sample(TARGETS, missing(TARGETS[:count]) if count else {}, 12, 0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [3, 5, 8, 12])
def test_no_file_is_on_both_sides(seed, count):
    targets = sample(TARGETS, missing(TARGETS), count, seed)
    parts = split(targets, seed)
    assert parts.apart
    assert not {target.path for target in parts.training} & {target.path for target in parts.held_out}
    assert sorted([*parts.training, *parts.held_out], key=repr) == sorted(targets, key=repr)
    assert len(parts.training) >= 2
    assert len(parts.held_out) >= 1


def test_a_third_is_kept_as_nearly_as_files_allow():
    assert len(split(sample(TARGETS, missing(TARGETS), 12, 0), 0).held_out) == 4


def test_the_methods_of_a_single_file_are_split_one_by_one():
    parts = split(methods(9), 0)
    assert not parts.apart
    assert (len(parts.training), len(parts.held_out)) == (6, 3)
    assert not set(parts.training) & set(parts.held_out)
