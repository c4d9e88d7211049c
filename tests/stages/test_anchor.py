from __future__ import annotations

import ast
from collections.abc import Sequence

import pytest
from tests.placing import candidate as known
from tests.placing import candidate_of as candidate

from llm_testgen.records import Candidate, Hunk, Inline, Placement
from llm_testgen.stages.anchor import anchor, applied
from llm_testgen.stages.suggest import place

PATH = "tests/test_mod.py"
HEAD = "from pkg.mod import double\n\n\n"
TEST = "def test_it():\n    assert double(1) == 2\n"
PLAIN = "def test_it():\n    assert True\n"
SIMPLE = candidate(PLAIN)
FILE = '''"""Tests."""

import os

from pkg.mod import double


def test_first():
    assert double(0) == 0


def test_second():
    assert os


def test_third():
    assert double(2) == 4
'''
LINES = 17
ALL = [Hunk(1, LINES)]


def placed(text: str, *candidates: Candidate) -> tuple[Placement, ...]:
    """The candidates, all of them in that file."""
    _, placements = place(candidates, {PATH: text})
    assert [placement.path for placement in placements] == [PATH] * len(candidates)
    return placements


def suggest(text: str, hunks: Sequence[Hunk], *candidates: Candidate) -> tuple[Inline, ...]:
    return anchor(text, placed(text, *(candidates or [candidate(HEAD + TEST)])), hunks)


def one(text: str, hunks: Sequence[Hunk], *candidates: Candidate) -> tuple[int, int, str]:
    """The only suggestion: first and last line, and text."""
    (inline,) = suggest(text, hunks, *candidates)
    return inline.start, inline.line, inline.text


def names(inlines: Sequence[Inline]) -> list[tuple[int, int, list[str]]]:
    return [(inline.start, inline.line, [one.name for one in inline.placements]) for inline in inlines]


class TestPlace:
    def test_a_test_goes_to_the_end_of_the_file(self):
        assert one(FILE, ALL) == (17, 17, f"    assert double(2) == 4\n\n\n{TEST}".rstrip())

    def test_where_the_end_is_not_shown_it_goes_between_the_last_tests_that_are(self):
        assert one(FILE, [Hunk(1, 10)]) == (9, 9, f"    assert double(0) == 0\n\n\n{TEST}".rstrip())

    def test_the_lines_below_a_test_are_enough_and_those_above_one_too(self):
        assert one(FILE, [Hunk(10, 10)]) == (10, 10, f"\n\n{TEST}\n".removesuffix("\n"))
        assert one(FILE, [Hunk(12, 13)]) == (13, 13, f"    assert os\n\n\n{TEST}".rstrip())
        assert one(FILE, [Hunk(12, 12)]) == (12, 12, f"{TEST}\n\ndef test_second():")

    @pytest.mark.parametrize("hunks", [[], [Hunk(1, 4)], [Hunk(2, 2), Hunk(4, 4)]])
    def test_where_no_place_is_shown_there_is_no_suggestion(self, hunks):
        assert suggest(FILE, hunks) == ()

    def test_a_hunk_in_the_middle_of_a_function_has_no_place(self):
        text = "def test_long():\n" + "".join(f"    x = {number}\n" for number in range(20))
        assert suggest(text, [Hunk(5, 12)]) == ()
        assert suggest(text, [Hunk(2, 20)]) == ()

    def test_not_amid_the_imports_or_in_the_docstring(self):
        text = '"""Tests.\n\nOf a module.\n"""\n\nimport os\n\nfrom pkg.mod import double\n\nX = 1\n'
        assert suggest(text, [Hunk(1, 7)]) == ()
        assert one(text, [Hunk(1, 8)])[:2] == (8, 8)

    @pytest.mark.parametrize(
        "late",
        ["import late\n", "try:\n    import late\nexcept ImportError:\n    late = None\n", "if X:\n    import late\n"],
    )
    def test_not_before_a_late_import(self, late):
        text = f"X = 1\n\n\ndef test_old():\n    pass\n\n\n{late}"
        assert suggest(text, [Hunk(1, 6)]) == ()
        assert one(text, [Hunk(1, text.count("\n"))])[1] == text.count("\n")

    def test_not_after_a_main_block_and_not_between_it_and_its_comment(self):
        text = f'{FILE}\n\n# How to run it.\nif __name__ == "__main__":\n    main()\n'
        assert one(text, [Hunk(17, 22)]) == (17, 17, f"    assert double(2) == 4\n\n\n{TEST}".rstrip())
        assert one(text, [Hunk(20, 22)]) == (20, 20, f"{TEST}\n\n# How to run it.")
        assert suggest(text, [Hunk(21, 22)]) == ()

    def test_not_between_a_comment_and_what_it_is_about(self):
        text = "def test_a():\n    pass\n\n\n# About b.\n# More.\ndef test_b():\n    pass\n\n\nX = 1\n"
        assert suggest(text, [Hunk(6, 7)], SIMPLE) == ()
        assert one(text, [Hunk(5, 7)], SIMPLE) == (5, 5, f"{PLAIN}\n\n# About b.")

    def test_not_between_a_heading_and_what_is_below_it(self):
        text = "def test_a():\n    pass\n\n\n# A heading.\n\n\ndef test_b():\n    pass\n"
        assert suggest(text, [Hunk(6, 8)], SIMPLE) == ()

    def test_a_comment_that_touches_only_what_is_above_it_stays_there(self):
        text = "x = 1\n# about x\n\n\ndef test_b():\n    pass\n    # the end of b\n\n\ny = 2\n"
        assert one(text, [Hunk(1, 3)], SIMPLE) == (2, 2, f"# about x\n\n\n{PLAIN}".rstrip())
        assert one(text, [Hunk(5, 8)], SIMPLE) == (7, 7, f"    # the end of b\n\n\n{PLAIN}".rstrip())
        assert suggest(text, [Hunk(6, 6)], SIMPLE) == ()

    def test_not_between_decorators_and_not_inside_a_string(self):
        text = "import a\n\n\n@a.b\n# c\n@a.d\ndef test_a():\n    x = '''\n\n\ndef test():\n\n\n'''\n\n\nX = 1\n"
        assert suggest(text, [Hunk(5, 13)]) == ()

    def test_not_between_statements_of_one_line_and_not_after_a_backslash(self):
        text = "a = 1; b = 2; \\\nc = 3\nd = 4 \\\n\nX = 1\n"
        assert one(text, [Hunk(1, 1)], SIMPLE) == (1, 1, f"{PLAIN}\n\na = 1; b = 2; \\")
        assert one(text, [Hunk(2, 2)], SIMPLE) == (2, 2, f"c = 3\n\n\n{PLAIN}\n")
        assert one(text, [Hunk(3, 3)], SIMPLE) == (3, 3, f"\n\n{PLAIN}\n\nd = 4 \\")
        assert one(text, [Hunk(3, 4)], SIMPLE) == (4, 4, f"\n\n{PLAIN}\n")

    def test_a_new_file_offers_all_of_its_places(self):
        inlines = suggest(
            FILE, ALL, *(candidate(f"{HEAD}{TEST}".replace("_it", f"_{n}"), f"test_{n}") for n in range(8))
        )
        assert names(inlines) == [
            (5, 5, ["test_5"]),
            (8, 8, ["test_6"]),
            (9, 9, ["test_3"]),
            (12, 12, ["test_4"]),
            (13, 13, ["test_1"]),
            (16, 16, ["test_2"]),
            (17, 17, ["test_0", "test_7"]),
        ]
        assert "\n\n\n\n" not in applied(FILE, inlines)


class TestNamesNeededAtImport:
    TEXT = "X = 1\n\n\ndef test_a():\n    pass\n\n\nCASES = [1]\n\n\ndef test_b():\n    pass\n"
    EARLY, LATE = Hunk(4, 6), Hunk(8, 9)

    @pytest.mark.parametrize(
        "code",
        [
            "import pytest\n\n\n@pytest.mark.parametrize('x', CASES)\ndef test_it(x):\n    assert x\n",
            "def test_it(x=CASES[0]):\n    assert x\n",
            "def test_it() -> CASES:\n    assert True\n",
            "class TestIt(CASES):\n    def test_it(self):\n        assert True\n",
            "def helper():\n    return CASES\n\n\ndef test_it():\n    assert helper()\n",
            "OTHER = CASES\n\n\ndef test_it():\n    assert OTHER\n",
        ],
    )
    def test_a_test_stands_below_what_it_needs(self, code):
        own = candidate(code, "TestIt::test_it" if "class" in code else "test_it")
        assert suggest(self.TEXT, [self.EARLY], own) == ()
        assert suggest(self.TEXT, [self.EARLY, self.LATE], own)[0].start == 8

    def test_what_only_its_body_needs_may_come_later(self):
        assert suggest(self.TEXT, [self.EARLY], candidate("def test_it():\n    assert CASES\n"))

    def test_what_is_needed_by_what_it_needs_comes_first_too(self):
        text = "def cases():\n    return LATER\n\n\ndef test_a():\n    pass\n\n\nLATER = [1]\n\n\ndef test_b():\n    pass\n"
        own = candidate("def test_it(x=cases()):\n    assert x\n")
        assert suggest(text, [Hunk(5, 7)], own) == ()
        assert suggest(text, [Hunk(9, 10)], own)

    def test_a_name_that_is_bound_twice_is_waited_for(self):
        own = candidate("def test_it(x=CASES):\n    assert x\n")
        text = self.TEXT + "\n\nCASES = [2]\n"
        assert suggest(text, [self.LATE], own) == ()


class TestImports:
    CODE = "import json\n\n\ndef test_it():\n    assert json\n"
    FAR = FILE.replace("def test_first", "X = 1\n" * 20 + "\n\ndef test_first")

    def test_those_that_are_near_go_to_the_others(self):
        assert one(FILE, ALL, candidate(self.CODE)) == (
            6,
            17,
            "import json\n" + "\n".join(FILE.split("\n")[5:17]) + "\n\n\ndef test_it():\n    assert json",
        )

    def test_those_that_are_shown_elsewhere_do_not(self):
        start, line, text = one(FILE, [Hunk(3, 8), Hunk(16, 17)], candidate(self.CODE))
        assert (start, line) == (17, 17)
        assert text.endswith("def test_it():\n    import json\n    assert json")

    def test_those_that_are_far_away_do_not(self):
        count = self.FAR.count("\n")
        start, line, text = one(self.FAR, [Hunk(1, count)], candidate(self.CODE))
        assert (start, line) == (count, count)
        assert text.endswith("def test_it():\n    import json\n    assert json")

    def test_a_file_without_imports_gets_them_below_its_docstring(self):
        text = '"""Tests."""\n\nX = 1\n'
        assert one(text, [Hunk(1, 3)], candidate(self.CODE)) == (
            2,
            3,
            "\nimport json\n\n\nX = 1\n\n\ndef test_it():\n    assert json",
        )

    def test_a_file_of_imports_alone_gets_both_at_its_end(self):
        assert one("import os\n", [Hunk(1, 1)], candidate(self.CODE)) == (
            1,
            1,
            "import os\nimport json\n\n\ndef test_it():\n    assert json",
        )

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ("    assert json\n", "    import json\n    assert json"),
            ("    '''Doc.'''\n    assert json\n", "    '''Doc.'''\n    import json\n    assert json"),
            (
                "    '''Doc\n\n    more.\n    '''\n\n    assert json\n",
                "    '''Doc\n\n    more.\n    '''\n    import json\n\n    assert json",
            ),
            ("\n    # why\n    assert json\n", "    import json\n\n    # why\n    assert json"),
            ("\tassert json\n", "\timport json\n\tassert json"),
            ("    with json:\n        pass\n", "    import json\n    with json:\n        pass"),
            (
                "    @json\n    def inner():\n        pass\n",
                "    import json\n    @json\n    def inner():\n        pass",
            ),
        ],
    )
    def test_they_go_to_the_top_of_the_body_that_needs_them(self, body, expected):
        _, _, text = one(FILE, [Hunk(16, 17)], candidate(f"import json\n\n\ndef test_it():\n{body}"))
        assert text.endswith(f"\n\n\ndef test_it():\n{expected}")

    def test_a_method_has_them_in_its_own_body(self):
        code = "import json\n\n\nclass TestIt:\n    async def test_it(self):\n        assert json\n"
        _, _, text = one(FILE, [Hunk(16, 17)], candidate(code, "TestIt::test_it"))
        assert text.endswith("class TestIt:\n    async def test_it(self):\n        import json\n        assert json")

    @pytest.mark.parametrize(
        "code",
        [
            "def test_it(x=json.loads('1')):\n    assert json\n",
            "@json.x\ndef test_it():\n    assert json\n",
            "def test_it(x: json.X):\n    assert json\n",
            "def test_it():\n    global json\n    assert json\n",
            "def test_it(): assert json\n",
            "def test_it():\n    '''Doc.'''; assert json\n",
            "def helper():\n    return json\n\n\ndef test_it():\n    assert helper()\n",
            "class TestIt(json.X):\n    def test_it(self):\n        assert json\n",
            "class TestIt:\n    def setup_method(self):\n        self.x = json\n\n    def test_it(self):\n        assert json\n",
        ],
    )
    def test_they_stand_above_a_test_of_which_more_than_the_body_needs_them(self, code):
        own = candidate(f"import json\n\n\n{code}", "TestIt::test_it" if "class" in code else "test_it")
        _, _, text = one(FILE, [Hunk(16, 17)], own)
        assert text == f"    assert double(2) == 4\n\n\nimport json\n\n\n{code}".rstrip()

    def test_a_starred_import_stands_above_its_test(self):
        own = candidate("from pkg.mod import *\n\n\ndef test_it():\n    assert half(2) == 1\n")
        assert "\n\n\nfrom pkg.mod import *\n\n\ndef test_it" in one(FILE, [Hunk(16, 17)], own)[2]

    def test_a_method_of_a_class_that_is_there_can_have_none_above_it(self):
        text = "class TestBox:\n    def test_a(self):\n        pass\n"
        code = "import json\n\n\nclass TestBox:\n    def test_b(self, x=json):\n        assert x\n"
        (placement,) = placed("import os\n" * 20 + text, candidate(code, "TestBox::test_b"))
        assert placement.into == "TestBox"
        assert anchor("import os\n" * 20 + text, [placement], [Hunk(22, 23)]) == ()
        assert anchor("import os\n" * 20 + text, [placement], [Hunk(18, 23)])


class TestSeveral:
    def test_each_has_lines_of_its_own(self):
        own = [candidate(f"{HEAD}def test_{name}():\n    assert double(1) == 2\n", f"test_{name}") for name in "abc"]
        assert names(suggest(FILE, ALL, *own)) == [(13, 13, ["test_b"]), (16, 16, ["test_c"]), (17, 17, ["test_a"])]

    def test_those_without_a_place_join_another(self):
        own = [candidate(f"{HEAD}def test_{name}():\n    assert double(1) == 2\n", f"test_{name}") for name in "abc"]
        (inline,) = suggest(FILE, [Hunk(17, 17)], *own)
        assert [one.name for one in inline.placements] == ["test_a", "test_b", "test_c"]
        assert inline.text.count("\n\n\ndef test_") == 3

    def test_those_that_bring_the_same_helper_share_a_suggestion(self):
        helper = "def help():\n    return 1\n\n\n"
        own = [candidate(f"{helper}def test_{name}():\n    assert help()\n", f"test_{name}") for name in "abc"]
        other = candidate(HEAD + TEST)
        inlines = suggest(FILE, ALL, own[0], other, own[1], own[2])
        assert sorted(placements for _, _, placements in names(inlines)) == [
            ["test_a", "test_b", "test_c"],
            ["test_it"],
        ]
        (shared,) = (inline for inline in inlines if len(inline.placements) == 3)
        assert shared.text.count("def help") == 1

    def test_imports_of_those_that_join_are_written_once(self):
        own = [
            candidate(f"import json\n\n\ndef test_{name}(x=json):\n    assert x\n", f"test_{name}") for name in "abc"
        ]
        (inline,) = suggest(FILE, [Hunk(17, 17)], *own)
        assert inline.text.count("import json") == 1

    def test_only_one_of_them_reaches_for_the_imports(self):
        own = [candidate(f"import json\n\n\ndef test_{name}():\n    assert json\n", f"test_{name}") for name in "ab"]
        first, second = suggest(FILE, [Hunk(1, 13)], *own)
        assert names([first, second]) == [(6, 9, ["test_b"]), (13, 13, ["test_a"])]
        assert [inline.text.count("    import json") for inline in (first, second)] == [0, 1]

    def test_two_methods_of_a_class_have_a_line_each_if_there_is_one(self):
        text = "class TestBox:\n    def test_a(self):\n        pass\n\n\nX = 1\n"
        own = [
            candidate(f"class TestBox:\n    def test_{name}(self):\n        assert True\n", f"TestBox::test_{name}")
            for name in "bcd"
        ]
        inlines = suggest(text, [Hunk(1, 6)], *own)
        assert names(inlines) == [(3, 3, ["TestBox::test_b", "TestBox::test_d"]), (4, 4, ["TestBox::test_c"])]
        assert applied(text, inlines) == (
            "class TestBox:\n    def test_a(self):\n        pass\n\n"
            "    def test_b(self):\n        assert True\n\n    def test_d(self):\n        assert True\n\n"
            "    def test_c(self):\n        assert True\n\n\nX = 1\n"
        )

    def test_a_test_that_follows_a_class_does_not_end_up_in_it(self):
        text = "class TestBox:\n    def test_a(self):\n        pass\n"
        own = [
            candidate("class TestBox:\n    def test_b(self):\n        assert True\n", "TestBox::test_b"),
            candidate(HEAD + TEST),
        ]
        assert names(suggest(text, [Hunk(1, 3)], *own)) == [(1, 1, ["test_it"]), (3, 3, ["TestBox::test_b"])]
        inlines = suggest(f"{text}\n\n", [Hunk(1, 5)], *own)
        assert names(inlines) == [(3, 3, ["TestBox::test_b"]), (4, 4, ["test_it"])]
        both, method, test = (
            ast.parse(applied(f"{text}\n\n", taken)).body for taken in (inlines, inlines[:1], inlines[1:])
        )
        assert [len(body) for body in (both, method, test)] == [2, 1, 2]


class TestClass:
    TEXT = "import os\n\n\nclass TestBox:\n    def test_a(self):\n        assert os\n\n\nclass TestLast:\n    x = 1\n"
    OWN = candidate("class TestBox:\n    def test_b(self):\n        assert True\n", "TestBox::test_b")

    def test_a_method_goes_to_the_end_of_its_class(self):
        assert one(self.TEXT, [Hunk(5, 6)], self.OWN) == (
            6,
            6,
            "        assert os\n\n    def test_b(self):\n        assert True",
        )

    def test_the_lines_below_the_class_are_enough(self):
        assert one(self.TEXT, [Hunk(7, 8)], self.OWN) == (7, 7, "\n    def test_b(self):\n        assert True\n")
        assert one(self.TEXT, [Hunk(9, 9)], self.OWN) == (
            9,
            9,
            "    def test_b(self):\n        assert True\n\n\nclass TestLast:",
        )

    @pytest.mark.parametrize("hunk", [Hunk(1, 5), Hunk(10, 10)])
    def test_nowhere_else(self, hunk):
        assert suggest(self.TEXT, [hunk], self.OWN) == ()

    def test_its_helpers_stand_below_the_class(self):
        own = candidate(
            "def help():\n    return 1\n\n\nclass TestBox:\n    def test_b(self):\n        assert help()\n",
            "TestBox::test_b",
        )
        assert one(self.TEXT, [Hunk(5, 6)], own) == (
            6,
            6,
            "        assert os\n\n    def test_b(self):\n        assert help()\n\n\ndef help():\n    return 1",
        )


class TestLines:
    def test_windows_line_ends_are_not_part_of_a_suggestion(self):
        text = FILE.replace("\n", "\r\n")
        assert suggest(text, ALL)[0].text == suggest(FILE, ALL)[0].text
        assert applied(text, suggest(text, ALL)) == applied(FILE, suggest(FILE, ALL)).replace("\n", "\r\n")

    def test_a_file_without_a_last_newline_has_none_afterwards(self):
        text = FILE.removesuffix("\n")
        assert applied(text, suggest(text, ALL)) == f"{FILE}\n\n{TEST}".removesuffix("\n")

    def test_a_byte_order_mark_stays_where_it_is(self):
        assert suggest("\ufeffx = 1\n", [Hunk(1, 1)]) == ()
        text = "\ufeffx = 1\ny = 2\n"
        (inline,) = suggest(text, [Hunk(1, 2)], SIMPLE)
        assert (inline.start, inline.line) == (2, 2)
        assert applied(text, [inline]).startswith("\ufeffx = 1\ny = 2\n\n\ndef")

    def test_hunks_that_reach_beyond_the_file_are_cut(self):
        assert one(FILE, [Hunk(16, 400)])[:2] == (17, 17)

    def test_blank_lines_can_be_replaced(self):
        text = "X = 1\n\n\n\nY = 2\n"
        (inline,) = suggest(text, [Hunk(3, 3)], SIMPLE)
        assert (inline.start, inline.line) == (3, 3)
        assert applied(text, [inline]) == f"X = 1\n\n\n{PLAIN}\n\nY = 2\n"

    def test_a_file_that_is_not_valid_has_no_suggestions(self):
        assert anchor("def broken(:\n", placed(FILE, known("test_it")), ALL) == ()

    def test_no_placement_makes_no_suggestion(self):
        assert anchor(FILE, [], ALL) == ()
