from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from tests.samples import changed_method, prompt, reply

from llm_testgen.errors import UsageError
from llm_testgen.records import Candidate, ContextItem, Detail, Goal, Outcome, RelatedMethod, Relation, Verdict
from llm_testgen.stages.prompt import Templates, default_templates, shown_source

SOURCE = "def double(x):\n    if x:\n        return 2 * x\n    return 0\n"
CONTEXT = replace(
    prompt(changed_method(SOURCE)).context,
    uncovered=frozenset({3, 4}),
    goals=(Goal(3, "return 2 * x", ("x",)), Goal(4, "return 0", ())),
)


@pytest.fixture(scope="module")
def templates():
    return Templates(default_templates())


def user_text(made) -> str:
    return made.messages[-1].content


def test_each_goal_is_asked_for_with_its_conditions(templates):
    text = user_text(templates.first(CONTEXT))
    assert "# 1: reaches `return 2 * x`, with x\n# 2: reaches `return 0`\n" in text
    assert "Write 2 short test functions for `double`" in text


def test_a_method_is_shown_under_the_header_of_its_class():
    target = changed_method("class Box:\n    def open(self):\n        return 1\n", "Box.open")
    context = replace(CONTEXT, target=target, uncovered=frozenset())
    assert shown_source(context) == "class Box:\n    def open(self):\n        return 1"


def test_a_long_target_is_shown_around_its_uncovered_lines():
    body = "".join(f"    step_{number}()\n" for number in range(300))
    context = replace(CONTEXT, target=changed_method(f"def double(x):\n{body}"), uncovered=frozenset({200}))
    shown = shown_source(context)
    assert "def double(x):" in shown
    assert "step_198()" in shown
    assert "step_150()" not in shown
    assert shown.count("...") == 2


def test_the_reply_is_begun_with_the_import_the_first_goal_and_a_test_of_that_name(templates):
    made = templates.first(CONTEXT)
    assert made.prefill == (
        "```python\nimport pytest\n\nfrom pkg.mod import double\n\n\n"
        "# 1: reaches `return 2 * x`, with x\ndef test_double_"
    )
    assert (made.attempt, made.tests) == (1, 2)


def test_no_more_tests_are_asked_for_than_fit_into_one_reply(templates):
    goals = tuple(Goal(number, f"step_{number}()", ()) for number in range(1, 20))
    made = templates.first(replace(CONTEXT, goals=goals))
    assert made.tests == 6
    assert "step_7()" not in user_text(made)


def test_a_target_without_goals_is_asked_for_one_test(templates):
    made = templates.first(replace(CONTEXT, goals=()))
    assert "Write 1 short test function for `double`.\n" in user_text(made)
    assert made.prefill.endswith("import double\n\n\ndef test_double_")


def test_related_code_the_example_and_fixtures_are_shown(templates):
    item = ContextItem(RelatedMethod(CONTEXT.target.method, Relation.CALLEE), Detail.BODY, "def helper(): ...")
    text = user_text(templates.first(replace(CONTEXT, items=(item,), example="def test_old(): ...", fixtures=("box",))))
    for part in ("def helper(): ...", "def test_old(): ...", "box"):
        assert part in text


def test_a_reprompt_says_what_failing_tests_showed_and_does_not_repeat_their_code(templates):
    candidate = Candidate(reply("x"), "test_it", "def test_it():\n    assert double(1) == 3\n")
    failing = Verdict(candidate, Outcome.FAILING, "AssertionError: assert 2 == 3")
    made = templates.again(CONTEXT, [failing], 2)
    assert "- AssertionError: assert 2 == 3\n" in user_text(made)
    assert "assert double(1) == 3" not in user_text(made)
    assert made.attempt == 2


def test_accepted_tests_are_not_shown_as_refused(templates):
    accepted = Verdict(Candidate(reply("x"), "test_it", "def test_fine(): ...\n"), Outcome.ACCEPTED)
    assert "test_fine" not in user_text(templates.again(CONTEXT, [accepted], 2))


def test_a_source_that_looks_like_a_template_is_shown_as_it_is(templates):
    context = replace(CONTEXT, target=changed_method("def double(x):\n    return '{{ context }}' + '{% if %}'\n"))
    assert "'{{ context }}' + '{% if %}'" in user_text(templates.first(context))


def copy_of_templates(folder):
    return shutil.copytree(default_templates(), folder / "prompts")


def test_templates_of_ones_own_are_used(tmp_path):
    folder = copy_of_templates(tmp_path)
    (folder / "generate.jinja").write_text("Prova {{ target.qualname }}, per favore.")
    assert user_text(Templates(folder).first(CONTEXT)) == "Prova double, per favore."


def test_a_folder_that_lacks_a_template_is_refused(tmp_path):
    folder = copy_of_templates(tmp_path)
    (folder / "system.jinja").unlink()
    with pytest.raises(UsageError, match=r"has no template system\.jinja"):
        Templates(folder)


def test_a_template_that_is_not_valid_is_refused(tmp_path):
    folder = copy_of_templates(tmp_path)
    (folder / "prefill.jinja").write_text("{% if %}")
    with pytest.raises(UsageError, match=r"prefill\.jinja is no valid template"):
        Templates(folder)


def test_a_template_that_names_something_unknown_is_refused(tmp_path):
    folder = copy_of_templates(tmp_path)
    (folder / "generate.jinja").write_text("{{ targt.qualname }}")
    with pytest.raises(UsageError, match="'targt' is undefined"):
        Templates(folder).first(CONTEXT)
