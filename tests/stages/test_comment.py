from __future__ import annotations

import pytest
from tests.samples import SIZES_HEAD, changed_method

from llm_testgen.records import MODULE_QUALNAME
from llm_testgen.stages.comment import commented, opening, room

GRADE = changed_method(SIZES_HEAD, "grade")
AREA = changed_method(SIZES_HEAD, "Box.area")
DOCUMENTED = changed_method('def grade(x):\n    """Grade it."""\n    if x:\n        return 1\n    return 2\n', "grade")


def test_the_reply_is_begun_up_to_the_docstring():
    assert opening(GRADE) == 'def grade(x):\n    """'


def test_a_method_is_begun_under_the_header_of_its_class():
    assert opening(AREA) == 'class Box:\n    def area(self):\n        """'


def test_a_docstring_that_is_there_is_kept():
    assert opening(DOCUMENTED) == 'def grade(x):\n    """Grade it."""'


def test_decorators_and_a_header_of_many_lines_are_begun_too():
    source = "@cache\ndef grade(\n    x,\n    y=1,\n):\n    return x\n"
    assert opening(changed_method(source, "grade")) == '@cache\ndef grade(\n    x,\n    y=1,\n):\n    """'


@pytest.mark.parametrize(
    ("source", "qualname"),
    [
        ("def grade(x): return x\n", "grade"),
        ("def grade(\n    x): return x\n", "grade"),
        ("x = 1\n", MODULE_QUALNAME),
        ("def grade(x):\n" + "    step()\n" * 200, "grade"),
    ],
)
def test_what_is_not_worth_it_is_not_asked_for(source, qualname):
    assert opening(changed_method(source, qualname)) == ""


def test_there_is_room_for_the_code_and_as_much_again():
    assert room(GRADE) > 2 * len(GRADE.method.source) // 3


COMMENTED = '''def grade(x):
    """Give the size class of x.

    Raises ValueError below 0.
    """
    # below 0: refused, as grade(-1)
    if x < 0:
        raise ValueError(x)
    if x > LIMIT:  # as 11
        return "large"
    return "small"'''


def test_the_same_code_with_comments_is_taken_as_it_is():
    assert commented(GRADE, f"Here it is:\n```python\n{COMMENTED}\n```\nDone.") == COMMENTED


def test_comments_are_taken_over_from_code_that_was_changed():
    changed = COMMENTED.replace("x < 0", "x <= 0").replace('return "small"', "return None")
    assert commented(GRADE, f"```python\n{changed}\n```") == COMMENTED.replace(
        "    # below 0: refused, as grade(-1)\n", ""
    )


def test_comments_are_taken_over_from_a_reply_that_was_cut_off():
    made = commented(GRADE, "```python\n" + COMMENTED[: COMMENTED.index('        return "large"') + 12])
    assert made == COMMENTED


def test_comments_of_a_method_get_its_indentation_whatever_the_reply_has():
    text = '```python\ndef area(self):\n    """Area."""\n    # unit box\n    if self.side == 1:\n        return 1\n    return 2\n```'
    assert commented(AREA, text) == (
        '    def area(self):\n        """Area."""\n        # unit box\n        if self.side == 1:\n            return 1\n'
        "        return self.side ** 2"
    )


def test_quotes_and_spaces_do_not_hide_a_line():
    text = "```python\ndef grade( x ):\n    if x<0:\n        raise ValueError(x)\n    # ten at most\n    return 'small'\n    oops(\n```"
    assert commented(GRADE, text).endswith('    # ten at most\n    return "small"')


def test_comments_that_are_there_are_not_repeated():
    source = "def f(x):\n    # twice\n    return 2 * x  # as 4\n"
    reply = "def f(x):\n    # twice\n    # for any number\n    return 2 * x  # as 4\n    oops("
    assert commented(changed_method(source, "f"), reply) == (
        "def f(x):\n    # twice\n    # for any number\n    return 2 * x  # as 4"
    )


def test_no_comment_gets_into_a_string_or_between_the_parts_of_a_statement():
    source = 'def f(x):\n    text = """\n    a = 1\n    """\n    return call(\n        x,\n        text,\n    )\n'
    reply = "def f(x):\n    # in the text\n    a = 1\n    # an argument\n    x,\n    # the end\n    return call(\n"
    assert commented(changed_method(source, "f"), reply) == source.rstrip().replace(
        "    return call(", "    # the end\n    return call("
    )


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I cannot do that.",
        "```python\ndef other(x):\n    # what\n    return x\n```",
        f"```python\n{GRADE.method.source}\n```",
        "def grade(x:\n",
    ],
)
def test_a_reply_without_comments_on_the_code_gives_none(reply):
    assert commented(GRADE, reply) is None


@pytest.mark.parametrize("text", ["long " * 500, "a \\ b", "```", "bell \x07"])
def test_a_docstring_that_could_do_harm_is_left_out(text):
    reply = f'def grade(x):\n    r"""{text}"""\n    # minus\n    if x < 0:\n        return 1\n'
    assert commented(GRADE, reply) == GRADE.method.source.replace("    if x < 0", "    # minus\n    if x < 0")


def test_a_docstring_that_ends_in_a_quote_is_closed_on_a_line_of_its_own():
    reply = "def grade(x):\n    'Gives \"small\"'\n    return 1\n"
    assert '    """Gives "small"\n    """\n' in commented(GRADE, reply)


def test_a_code_fence_or_a_line_without_end_is_no_comment():
    reply = f"def grade(x):\n    # ```\n    # {'long ' * 50}\n    if x < 0:\n        return 1\n"
    assert commented(GRADE, reply) is None
