from __future__ import annotations

import pytest

from llm_testgen.errors import UsageError
from llm_testgen.tuning.data.examples import Origin
from llm_testgen.tuning.data.pool import PartReport, Pool, part_name


def report(name):
    return PartReport(name=name, key="k", origin=Origin.MINED, project="box", licence="MIT")


@pytest.mark.parametrize("words", [("mined", "some-box", "1.0"), ("sampled", "x", "checkout", "Q_2.5"), ("1",)])
def test_plain_words_are_a_name_as_they_are(words):
    assert part_name(*words) == "-".join(words)


@pytest.mark.parametrize(
    ("words", "beginning"),
    [
        (("mined", "a/b c", "1.0"), "mined-a-b-c-1.0-"),
        (("mined", "größe", "1.0"), "mined-gr--e-1.0-"),
        (("mined", "中"), "mined---"),
        (("mined", "x\n"), "mined-x--"),
        (("mined", "\udcff"), "mined---"),
        ((".box", "1.0"), "x.box-1.0-"),
        (("é",), "x--"),
        ((), "x-"),
    ],
)
def test_words_of_other_letters_get_a_name_that_any_file_may_have(words, beginning):
    name = part_name(*words)
    assert name.startswith(beginning)
    assert len(name) == len(beginning) + 8
    assert report(name).name == name


def test_no_two_words_of_other_letters_have_one_name():
    words = ["é", "ü", "中", "/", " ", "-"]
    assert len({part_name("mined", word) for word in words}) == len(words)
    assert part_name("a/b", "c") != part_name("a", "b/c")
    assert part_name("é-a", "b") != part_name("é", "a-b")


def test_a_report_that_cannot_be_read_is_made_anew_and_not_passed_over(tmp_path):
    pool = Pool(tmp_path)
    pool.add(report("mined-a"), [])
    pool.add(report("mined-b"), [])
    pool.write("parts/mined-b.json", '{"name": "mined-b"}')
    assert pool.known("mined-b", "k") is None
    with pytest.raises(UsageError, match=r"mined-b\.json is no report of this version: delete it, and make its part"):
        pool.parts()
    pool.add(report("mined-b"), [])
    assert [part.name for part, _ in pool.parts()] == ["mined-a", "mined-b"]


def test_a_report_that_is_no_file_is_not_passed_over(tmp_path):
    pool = Pool(tmp_path)
    (tmp_path / "parts" / "mined-a.json").mkdir()
    assert pool.known("mined-a", "k") is None
    with pytest.raises(UsageError, match=r"mined-a\.json cannot be read \(Is a directory\): "):
        pool.parts()
