from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.delivery.hostile import IN_RECORDS
from tests.delivery.rendering import rendered
from tests.delivery.samples import (
    SOURCE,
    TEST,
    At,
    Test,
    fault,
    finding,
    findings,
    patch_of,
    proposal,
)

from llm_testgen.delivery.comments import MOST_TESTS, full_part, method_comment, patch_part, suggestion_comment
from llm_testgen.delivery.markdown import LONGEST_BODY, unseen, visible
from llm_testgen.delivery.markers import test_markers
from llm_testgen.proposal import InlineRecord
from llm_testgen.records import Ending, Label

ARTIFACT = "_The rest is too long for a comment: it is in the run's artifact._"
PROVED = "**`test_it`** executes lines 3-4 of `src/shop.py`, which no test executed before, and fails when `total` is made to raise."
FACTS = "passed 3 of 3 runs · 12 ms each · expected values by the model `scripted`"
# What a page of each kind holds, beside the code.
SUGGESTION_TAGS = ["!", "p", "strong", "code", "code", "code", "br", "small", "code", "code", "pre", "code"]


def proof(**fields: object) -> list[str]:
    """The lines of what is known of a test, as it is shown in full."""
    return full_part(finding(**fields)).split("\n")[2].split("<br>")


def suggested(text: str) -> InlineRecord:
    return InlineRecord(path=TEST, suggestions=(0,), start=4, line=4, text=text)


def test_a_suggestion_stands_below_the_proof_of_its_test():
    made = proposal([Test()], [At((0,), 4)])
    (test,) = findings(made)
    assert suggestion_comment(made.inline[0], [test]).split("\n") == [
        test.marker.line(),
        "",
        f"{PROVED}<br><small>{FACTS} · id `{test.short_id}`</small>",
        "",
        "```suggestion",
        "x4 = 4",
        "",
        "",
        "def test_it():",
        "    assert total() == 7",
        "```",
    ]


def test_a_suggestion_of_several_tests_has_the_markers_and_the_proof_of_each():
    made = proposal([Test("test_a"), Test("test_b", "Cart.add")], [At((1, 0), 4)])
    tests = [findings(made)[1], findings(made)[0]]
    body = suggestion_comment(made.inline[0], tests)
    assert test_markers(body) == tuple(test.marker for test in tests)
    assert body.index("**`test_b`**") < body.index("**`test_a`**") < body.index("```suggestion")
    assert len(rendered(body).blocks) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "x4 = 4\n",
        "x4 = 4\n\n\n",
        "\n\n\ndef test_it():\n    pass\n\n",
        "x4 = 4\n\tdef test_it():\n\t    '''\n```\n    ````\n'''",
        "x = '`````'",
        "~~~\n~~~~",
        "    indented\n\n  less",
        "x = 1  \n",
    ],
)
def test_a_suggestion_is_the_text_line_by_line(text):
    page = rendered(suggestion_comment(suggested(text), [finding()]))
    assert page.blocks == [("suggestion", f"{text}\n")]


@given(
    st.lists(
        st.one_of(
            st.text(max_size=5), st.sampled_from(["`", "```", "````", "~~~", "\n", "\n\n", "\t", "    ", "</pre>"])
        )
    )
)
@settings(derandomize=True, deadline=None, max_examples=300)
def test_any_text_is_exactly_one_suggestion_and_the_text_is_its_content(parts):
    text = "".join(parts).replace("\r", "").replace("\x00", "")
    page = rendered(suggestion_comment(suggested(text), [finding()]))
    assert page.blocks == [("suggestion", f"{text}\n")]
    assert page.tags == SUGGESTION_TAGS
    assert not page.unbalanced


def test_a_method_comment_holds_each_test_and_the_patch_of_all():
    made = proposal([Test("test_a", imports=("import os", "import re")), Test("test_b", path="tests/test_b.py")])
    one, two = findings(made)
    body = method_comment([one, two], patch_of)
    assert test_markers(body) == (one.marker, two.marker)
    assert body.split("\n")[3] == (
        "2 tests of `total` for `tests/test_shop.py`, `tests/test_b.py`, of which this pull request's diff shows no"
        f" fitting line. `/gen-tests apply {one.short_id} {two.short_id}` commits them."
    )
    page = rendered(body)
    assert page.blocks == [
        ("python", "import os\nimport re\n\n\ndef test_a():\n    assert total() == 6\n"),
        ("python", "def test_b():\n    assert total() == 6\n"),
        ("diff", "+def test_a():\n+    assert total() == 6\n+def test_b():\n+    assert total() == 6\n"),
    ]
    assert page.tags.count("details") == 3
    assert not page.unbalanced
    assert ARTIFACT not in body


def test_a_method_comment_about_one_test_speaks_of_one():
    body = method_comment([finding()], patch_of)
    assert "\n1 test of `total` for `tests/test_shop.py`, of which" in body
    assert body.count("commits it.") == 1


def test_a_file_is_named_once_however_many_tests_are_for_it():
    body = method_comment(findings(proposal([Test("test_a"), Test("test_b")])), patch_of)
    assert "2 tests of `total` for `tests/test_shop.py`, of which" in body


@pytest.mark.parametrize(
    ("gained", "said"),
    [
        ({SOURCE: (3,)}, "executes line 3 of `src/shop.py`, which"),
        ({SOURCE: (3, 4, 9)}, "executes lines 3-4, 9 of `src/shop.py`, which"),
        ({"b.py": (1,), "a.py": (2, 3)}, "executes lines 2-3 of `a.py`; line 1 of `b.py`, which"),
        (
            dict.fromkeys("abcd", (1,)),
            "executes line 1 of `a`; line 1 of `b`; line 1 of `c`; lines of 1 more file, which",
        ),
        (dict.fromkeys("abcde", (1,)), "line 1 of `c`; lines of 2 more files, which"),
        (dict.fromkeys("abc", (1,)), "line 1 of `b`; line 1 of `c`, which"),
        ({SOURCE: tuple(range(1, 2_000, 2))}, "21, 23 and more of `src/shop.py`, which"),
        ({}, "**`test_it`** raises diff coverage, and fails when `total`"),
        ({SOURCE: ()}, "**`test_it`** raises diff coverage, and fails when `total`"),
        ({SOURCE: (), "a.py": (1,)}, "executes line 1 of `a.py`, which"),
    ],
)
def test_what_a_test_executes_is_told(gained, said):
    assert said in proof(gained=gained)[0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "passed 3 of 3 runs · 12 ms each · expected values by the model `scripted` · id"),
        ({"seconds": 0.0}, "passed 3 of 3 runs · expected values"),
        ({"seconds": 0.001}, "· 1 ms each ·"),
        ({"seconds": 0.999}, "· 999 ms each ·"),
        ({"seconds": 1.0}, "· 1.0 s each ·"),
        ({"seconds": 12.34}, "· 12.3 s each ·"),
        ({"runs": (Ending.PASSED,)}, "passed 1 of 1 run ·"),
        ({"runs": (Ending.PASSED, Ending.FAILED)}, "passed 1 of 2 runs ·"),
        ({"runs": ()}, "passed 0 of 0 runs ·"),
        ({"model": ""}, "· expected values by the model · id"),
        ({"model": "org/model</small>@x"}, "by the model `org/model</small>@x` · id"),
        ({"repairs": ("an import",)}, "· `repaired: an import` · expected"),
        ({"repairs": ("a", "b", "c", "d")}, "· `repaired: a` · `repaired: b` · `repaired: c` · expected"),
    ],
)
def test_how_a_test_was_proved_is_told(fields, said):
    assert said in proof(**fields)[1]


A, B, C, D = fault(line=3), fault("5", "6", 4), fault("return x", "return None", 5), fault("not ", "", 6)
SHOWN_A, SHOWN_B = "`<` becoming `<=` in line 3", "`5` becoming `6` in line 4"


@pytest.mark.parametrize(
    ("killed", "survived", "proved", "told"),
    [
        ((A,), (), "notices 1 of 1 fault put into lines that it runs.", f"Notices {SHOWN_A}."),
        ((A, B), (), "notices 2 of 2 faults put into lines that it runs.", f"Notices {SHOWN_A}; {SHOWN_B}."),
        (
            (A, B, C, D),
            (),
            "notices 4 of 4 faults put into lines that it runs.",
            f"Notices for example {SHOWN_A}; {SHOWN_B}; `return x` becoming `return None` in line 5.",
        ),
        (
            (B,),
            (A,),
            "notices 1 of 2 faults put into lines that it runs.",
            f"Notices {SHOWN_B}. Does not notice {SHOWN_A}.",
        ),
        (
            (B,),
            (D, A, C, C),
            "notices 1 of 5 faults put into lines that it runs.",
            f"Notices {SHOWN_B}. Does not notice `not` left out in line 6; {SHOWN_A}, and 2 more.",
        ),
        (
            (),
            (A, B),
            "fails when `total` is made to raise, but notices no fault put into lines that it runs.",
            f"Does not notice {SHOWN_A}; {SHOWN_B}.",
        ),
    ],
)
def test_the_faults_that_a_test_notices_are_its_proof(killed, survived, proved, told):
    first, second, _ = proof(killed=killed, survived=survived)
    assert first.endswith(f", which no test executed before, and {proved}")
    assert second == told


def test_a_test_that_notices_a_fault_is_not_said_to_need_more():
    assert "made to raise" not in " ".join(proof(killed=(A,)))


def test_a_fault_in_another_file_is_told_with_that_file():
    told = proof(killed=(fault(path="src/a.py"), fault(path=f"{SOURCE}x")))[1]
    assert told == ("Notices `<` becoming `<=` in line 3 of `src/a.py`; `<` becoming `<=` in line 3 of `src/shop.pyx`.")


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (Label.HARDENS, " · passes at base too: hardens what was there · "),
        (Label.PINS, " · fails at base: pins what this change does · "),
    ],
)
def test_what_a_test_says_of_the_change_is_told(label, said):
    assert said in proof(label=label)[1]
    assert "base" not in proof()[1]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("'5 B'",), "the expected value `'5 B'` was taken from a run, not worked out: check that it is what you want"),
        (
            ("1", "2"),
            "the expected values `1`, `2` were taken from a run, not worked out: check that they are what you want",
        ),
        (tuple("12345"), "the expected values `1`, `2`, `3` and 2 more were taken from a run"),
    ],
)
def test_expected_values_from_a_run_are_pointed_out_and_not_said_to_be_the_models(values, said):
    lines = proof(observed=values, killed=(A,))
    assert lines[1].startswith(f"**Characterisation:** {said}")
    assert lines[1].endswith(". Any other value is by the model `scripted`.")
    assert lines[2].startswith("Notices")
    assert "expected values" not in lines[3]


@pytest.mark.parametrize(
    ("idle", "said"),
    [
        (("assert x",), " · assertion that noticed no fault: `assert x` · "),
        (("assert x", "assert y"), " · assertions that noticed no fault: `assert x`, `assert y` · "),
        (("assert x", "assert y", "assert z"), "no fault: `assert x`, `assert y` and 1 more · "),
    ],
)
def test_assertions_that_did_nothing_are_told_where_others_did_something(idle, said):
    assert said in proof(idle=idle, killed=(A,))[2]
    assert "assertion" not in " ".join(proof(idle=idle, survived=(A,)))


def test_a_proof_is_short_whatever_its_parts_are():
    much = fault("b" * 2_000, "a" * 2_000, path="p" * 1_000)
    lines = proof(killed=(much,) * 20, survived=(much,) * 20, observed=("v" * 2_000,) * 20, idle=("i" * 2_000,) * 20)
    assert sum(map(len, lines)) < 2_500


def test_what_cannot_be_seen_in_a_test_is_pointed_out():
    trojan = "def test_it():\n    assert total('\u202e \u2066# x') == '\u200b\u202e'"
    assert proof(code=trojan)[2:] == ["**It holds characters that cannot be seen: `\\u202e \\u2066 \\u200b`**"]
    assert proof(imports=("import x\u00ad",))[2:] == ["**It holds characters that cannot be seen: `\\u00ad`**"]
    assert proof(code="def test_it():\n\tassert total('größe 日本 😀')")[2:] == []


def test_the_class_of_a_method_is_named_without_its_file():
    assert proof(method="Cart.total")[0].endswith("and fails when `Cart.total` is made to raise.")
    assert proof(method="<module>")[0].endswith("and fails when `<module>` is made to raise.")


@pytest.mark.parametrize("text", IN_RECORDS, ids=count())
def test_hostile_text_acts_nowhere_in_a_comment(text):
    line = " ".join(text.split()) or "x"
    path = (
        "a/"
        + "".join(character for character in line if character.isprintable() and character not in "\\/")[:200]
        + ".py"
    )
    fields = {
        "name": text,
        "method": text,
        "model": text or "x",
        "repairs": (text,),
        "gained": {path: (1,)},
        "path": path,
        **proved_by(text, path),
    }
    hostile = finding(**fields, code=f"# \u200b\n{text}", imports=(text,))
    plain = finding(
        name="x",
        method="x",
        model="x",
        repairs=("x",),
        gained={"x": (1,)},
        path="x.py",
        code="# \u200b\nx",
        **proved_by("x", "x.py"),
    )
    there, here = (rendered(method_comment([test], patch_of)) for test in (hostile, plain))
    assert there.tags == here.tags
    assert there.outside.replace(hostile.short_id, "") == here.outside.replace(plain.short_id, "")
    assert there.links == []
    assert not there.unbalanced
    assert visible(text) in "\n".join(there.codes)
    assert suggestion_tags(hostile, f"x4 = 4\n{text}") == suggestion_tags(plain, "x4 = 4\nx")


def proved_by(text: str, path: str) -> dict[str, object]:
    """A proof that has a text in every place that can hold one."""
    mutant = fault(text, text if text.strip() else "x", path=path)
    return {"killed": (mutant,), "survived": (mutant,), "observed": (text,), "idle": (text,), "label": Label.PINS}


def suggestion_tags(test, text: str) -> tuple[list[str], str]:
    page = rendered(suggestion_comment(suggested(text), [test]))
    assert [language for language, _ in page.blocks] == ["suggestion"]
    return page.tags, page.outside.replace(test.short_id, "")


@pytest.mark.parametrize(
    ("number", "size"),
    [(1, 1_000), (1, 30_000), (1, 34_000), (1, 66_000), (2, 30_000), (3, 10_000), (3, 22_000), (MOST_TESTS, 2_000)],
)
def test_a_method_comment_is_no_longer_than_github_takes_and_says_where_the_rest_is(number, size):
    tests = [
        Test(f"test_{index}", code=f"def test_{index}():\n    '''{'é`' * (size // 2)}'''") for index in range(number)
    ]
    made = findings(proposal(tests))
    body = method_comment(made, patch_of)
    assert len(body) <= LONGEST_BODY
    assert (ARTIFACT in body) == (2 * number * size > LONGEST_BODY - 2_000)
    assert test_markers(body) == tuple(test.marker for test in made)
    assert f"/gen-tests apply {made[0].short_id}" in body
    page = rendered(body)
    assert not page.unbalanced
    assert [text for language, text in page.blocks if language == "python"] == [
        f"{test.suggestion.pieces[0]}\n" for test in made
    ][: sum(language == "python" for language, _ in page.blocks)]


def test_what_still_has_room_is_shown_although_something_before_it_had_none():
    tests = [Test("test_long", code="#" * 66_000), Test("test_short")]
    page = rendered(method_comment(findings(proposal(tests)), patch_of))
    assert page.blocks == [("python", "def test_short():\n    assert total() == 10\n")]


@pytest.mark.parametrize("length", range(64_600, 65_300, 7))
def test_a_body_just_around_the_bound_is_not_over_it(length):
    body = method_comment([finding()], lambda _: "x" * length)
    assert len(body) <= LONGEST_BODY
    assert body.endswith(("</details>", ARTIFACT))


@pytest.mark.parametrize("filling", ["`", "\u200b", "x", "|", "<", "` ", "\U0001f600"])
def test_a_comment_about_the_largest_records_is_no_longer_than_github_takes(filling):
    # Much longer than what is shown of any of them.
    text = (filling * 1_500)[:1_500]
    path = "a/" + "|" * 995 + ".py"
    gained = {f"{path}{number}": tuple(range(1, 400, 2)) for number in range(9)}
    tests = [
        Test(
            f"{number}{text}",
            f"m{text}",
            path=f"{path}{number}.py",
            gained=gained,
            model=text,
            repairs=(text,) * 4,
            code=f"{text}{number}",
            killed=(fault(text, text, path=path),) * 10,
            survived=(fault(text, text, path=path),) * 10,
            observed=(text,) * 10,
            idle=(text,) * 10,
            label=Label.PINS,
        )
        for number in range(MOST_TESTS)
    ]
    made = findings(proposal(tests))
    body = method_comment(made, patch_of)
    assert len(body) <= LONGEST_BODY
    assert len(test_markers(body)) == MOST_TESTS
    assert body.endswith(ARTIFACT)
    assert not rendered(body).unbalanced


def test_a_patch_is_folded():
    page = rendered(patch_part([finding()], lambda _: "--- a\n+++ b\n```\n"))
    assert page.blocks == [("diff", "--- a\n+++ b\n```\n")]
    assert page.outside.split() == ["As", "a", "patch", "for"]
    assert unseen("x") == ""
