from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from tests.samples import changed_method, prompt, reply

from llm_testgen.errors import UsageError
from llm_testgen.lessons import Lessons
from llm_testgen.recipe import Begun, Choice, Kind, Recipe
from llm_testgen.records import (
    Candidate,
    ContextItem,
    Detail,
    Ending,
    Failure,
    Goal,
    Mutant,
    Outcome,
    Proof,
    RelatedMethod,
    Relation,
    Run,
    Verdict,
)
from llm_testgen.stages.prompt import Templates, default_templates, load_prompts, shown_source

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


VARIANTS = sorted(path.stem for path in (default_templates() / "task").iterdir())


def by(**fields):
    return Templates(default_templates(), Recipe(**fields))


def test_there_are_several_ways_to_put_the_task():
    assert VARIANTS == ["arrange", "boundaries", "examples", "single", "stepwise", "terse"]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_asks_for_the_goals_in_other_words(templates, name):
    text = user_text(by(instructions=name).first(CONTEXT))
    assert "# 1: reaches `return 2 * x`, with x\n# 2: reaches `return 0`\n" in text
    assert "2 short test functions for `double`" in text
    assert "tmp_path" in text
    assert "\n\n\n" not in text.replace("\n\n\ndef", "\ndef")
    assert text != user_text(templates.first(CONTEXT))


@pytest.mark.parametrize("name", ["task", *VARIANTS])
def test_every_variant_names_the_fixtures(name):
    assert "box" in user_text(by(instructions=name).first(replace(CONTEXT, fixtures=("box",))))


def test_step_by_step_the_reply_begins_with_the_branches():
    assert (
        by(instructions="stepwise").first(CONTEXT).prefill.endswith("import double\n\n\n# Branches of `double`:\n# -")
    )


def test_by_examples_the_projects_own_test_is_followed_if_there_is_one():
    templates = by(instructions="examples")
    assert "clamp" in user_text(templates.first(CONTEXT))
    assert "clamp" not in user_text(templates.first(replace(CONTEXT, example="def test_old(): ...")))


def test_instructions_that_are_not_there_are_refused_with_those_that_are():
    with pytest.raises(UsageError, match="has no instructions 'shouting'; there are task, arrange, boundaries"):
        by(instructions="shouting")


def test_smoke_tests_are_asked_to_run_and_to_assert_nothing():
    made = by(kind=Kind.SMOKE, instructions="single").first(CONTEXT)
    assert "passes when nothing is raised. No assert." in user_text(made)
    assert "one or two assertions" not in user_text(made)
    assert made.prefill.endswith("def test_double_runs_")


@pytest.mark.parametrize(
    ("begun", "end"),
    [(Begun.NONE, ""), (Begun.IMPORTS, "from pkg.mod import double\n\n\n"), (Begun.TEST, "def test_double_")],
)
def test_the_reply_is_begun_as_far_as_the_recipe_says(begun, end):
    prefill = by(prefill=begun).first(CONTEXT).prefill
    assert prefill.endswith(end)
    assert bool(prefill) == (begun is not Begun.NONE)


def test_without_goals_as_many_tests_are_asked_for():
    made = by(goals=False).first(CONTEXT)
    assert made.tests == 2
    assert "Write 2 short test functions for `double`, each of another branch.\n" in user_text(made)
    assert "reaches" not in user_text(made) + made.prefill


def test_no_more_tests_are_asked_for_than_the_recipe_says():
    made = by(tests=1).first(CONTEXT)
    assert made.tests == 1
    assert "return 0`" not in user_text(made)


def test_several_examples_are_announced_as_such():
    context = replace(CONTEXT, example="def test_old(): ...\n\n\ndef test_older(): ...")
    assert "Tests that the project already has:\n" in user_text(by(examples=2).first(context))


def test_a_commented_source_is_shown_instead_of_the_plain_one(templates):
    commented = SOURCE.replace("    if x:", "    # not 0\n    if x:").rstrip()
    text = user_text(templates.first(replace(CONTEXT, commented=commented)))
    assert commented in text
    assert SOURCE.rstrip() not in text


def test_a_commented_method_stands_under_the_header_of_its_class():
    target = changed_method("class Box:\n    def open(self):\n        return 1\n", "Box.open")
    commented = "    def open(self):\n        # always\n        return 1"
    assert shown_source(replace(CONTEXT, target=target, commented=commented)) == f"class Box:\n{commented}"


def test_comments_are_asked_for_with_the_reply_begun(templates):
    made = templates.comment(CONTEXT, 'def double(x):\n    """')
    assert SOURCE.rstrip() in user_text(made)
    assert made.prefill == '```python\ndef double(x):\n    """'
    assert (made.attempt, made.tests) == (1, 0)


def verdict(body, outcome=Outcome.ACCEPTED, reason="", **more):
    made = Candidate(reply("x", CONTEXT.target), "test_it", f"def test_it():\n    {body}\n")
    return Verdict(made, outcome, reason, **more)


def test_a_reprompt_says_what_was_seen_in_short_lines(templates):
    failed = Run(Ending.FAILED, Failure("AssertionError", "assert 4 == 5", 2, "call"))
    raised = Run(Ending.FAILED, Failure("TypeError", "no number", 2, "call"))
    nothing = Run(Ending.FAILED, Failure("Failed", "DID NOT RAISE ValueError", 2, "call"))
    verdicts = [
        verdict("assert double(2) == 5", Outcome.FAILING, "AssertionError: assert 4 == 5", runs=(failed,)),
        verdict("assert double(None) == 5", Outcome.FAILING, "TypeError: no number", runs=(raised,)),
        verdict("with raises(ValueError): double(0)", Outcome.FAILING, "DID NOT RAISE", runs=(nothing,)),
        verdict("assert double(3) == 6"),
        verdict("assert double(1)", Outcome.VACUOUS, "passes even when double raises instead of running"),
    ]
    text = user_text(templates.again(CONTEXT, verdicts, 2))
    assert (
        "What the code did when earlier tests ran it:\n- `double(2)` returned 4\n- `double(None)` raised TypeError: no"
        " number\n- `double(0)` raised nothing\n\n"
        "Earlier tests that do not count:\n- `double(1)`: passes even when double raises instead of running\n\n"
        "Tested already, not to be repeated:\n- `double(3)`\n\nWrite 2 short test functions"
    ) in text


def survivors(*pairs):
    return Proof(survived=tuple(Mutant(CONTEXT.target.method, 3, "number", *pair, "".join(pair)) for pair in pairs))


ALIVE = verdict("assert double(0) == 0", proof=survivors(("*", "+"), ("2", "3")))


def test_a_reprompt_mentions_faults_that_no_test_notices(templates):
    text = user_text(templates.again(CONTEXT, [ALIVE], 2))
    assert (
        "What no test notices so far:\n- `*` in `return 2 * x` becomes `+`\n- `2` in `return 2 * x` becomes `3`\n\nWrite 2"
    ) in text


def test_with_every_line_covered_tests_are_asked_for_that_notice_faults(templates):
    made = templates.again(replace(CONTEXT, uncovered=frozenset(), goals=()), [ALIVE], 2)
    assert (
        "Write 2 short test functions for `double`, one for each, under its comment. They pass now, and fail when\n"
        "# 1: `*` in `return 2 * x` becomes `+`\n# 2: `2` in `return 2 * x` becomes `3`\nChoose"
    ) in user_text(made)
    assert "What no test notices" not in user_text(made)
    assert made.prefill.endswith("# 1: `*` in `return 2 * x` becomes `+`\ndef test_double_")
    assert (made.tests, made.attempt) == (2, 2)


def test_no_more_faults_are_named_than_tests_are_asked_for():
    alive = verdict("assert double(0) == 0", proof=survivors(*((str(n), "x") for n in range(20))))
    made = by(tests=1).again(replace(CONTEXT, uncovered=frozenset(), goals=()), [alive], 2)
    assert "Write 1 short test function for `double`, under its comment. It passes now, and fails when" in user_text(
        made
    )
    assert user_text(made).count("becomes") == 1


def test_smoke_tests_are_not_asked_to_notice_anything():
    made = by(kind=Kind.SMOKE).again(replace(CONTEXT, uncovered=frozenset(), goals=()), [ALIVE], 2)
    assert "becomes" not in user_text(made)


def test_a_reprompt_with_nothing_to_say_asks_once_more(templates):
    text = user_text(templates.again(replace(CONTEXT, uncovered=frozenset(), goals=()), [], 2))
    assert text == user_text(templates.first(replace(CONTEXT, uncovered=frozenset(), goals=())))


LESSONS = Lessons(("def test_other():\n    assert other() == 1",), (("other(2)", "fails at times"),))


def test_lessons_are_shown_before_the_task(templates):
    for made in (templates.first(CONTEXT, LESSONS), templates.again(CONTEXT, [], 2, LESSONS)):
        assert (
            "Good tests of the same project:\n```python\ndef test_other():\n    assert other() == 1\n```\n\n"
            "Tests like these were refused:\n- `other(2)`: fails at times\n\nWrite 2"
        ) in user_text(made)


def test_accepted_tests_take_the_place_of_the_example_where_the_recipe_prefers_them():
    templates = by(choice=Choice.ACCEPTED)
    context = replace(CONTEXT, example="def test_old(): ...", fixtures=("box",))
    text = user_text(templates.first(context, Lessons((*LESSONS.accepted, "def test_third(): ..."))))
    assert "test_other" in text
    assert not any(word in text for word in ("test_old", "test_third", "box"))
    assert "test_old" in user_text(templates.first(context))


def test_prompts_come_from_nowhere_a_folder_or_a_recipe(tmp_path):
    folder = copy_of_templates(tmp_path)
    (folder / "generate.jinja").write_text("Prova {{ target.qualname }}.")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('templates = "prompts"\nprefill = "none"\n')
    assert load_prompts(None).first(CONTEXT) == Templates(default_templates()).first(CONTEXT)
    assert user_text(load_prompts(folder).first(CONTEXT)) == "Prova double."
    made = load_prompts(recipe).first(CONTEXT)
    assert (user_text(made), made.prefill) == ("Prova double.", "")


def test_a_recipe_that_names_no_folder_uses_the_templates_that_come_along(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text('{"instructions": "terse"}')
    assert load_prompts(path).first(CONTEXT) == by(instructions="terse").first(CONTEXT)
    assert load_prompts(path).recipe == Recipe(instructions="terse")


def test_the_kind_of_tests_can_be_asked_for_beside_a_recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('kind = "smoke"\ntests = 1\n')
    assert load_prompts(path, Kind.COMMENTED).recipe == Recipe(kind=Kind.COMMENTED, tests=1)
    assert load_prompts(None, Kind.SMOKE).recipe == Recipe(kind=Kind.SMOKE)


def test_prompts_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"has no template system\.jinja"):
        load_prompts(tmp_path / "nowhere")


def test_a_template_cannot_reach_behind_the_words(tmp_path):
    folder = copy_of_templates(tmp_path)
    (folder / "generate.jinja").write_text("{{ target.__class__.__mro__[-1].__subclasses__() }}")
    with pytest.raises(UsageError, match="unsafe"):
        Templates(folder).first(CONTEXT)
