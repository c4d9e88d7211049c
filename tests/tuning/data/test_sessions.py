from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.samples import ModuleNames, changed_method

from llm_testgen.edges.models import Sampling
from llm_testgen.edges.session import Session
from llm_testgen.errors import UsageError
from llm_testgen.recipe import DEFAULT_RECIPE
from llm_testgen.records import Context, Outcome, Prompt, Reply, Usage, Verdict
from llm_testgen.stages.extract import extract
from llm_testgen.stages.goals import goals
from llm_testgen.stages.prompt import Templates, default_templates
from llm_testgen.tuning.cli import tune
from llm_testgen.tuning.data.examples import About, Origin
from llm_testgen.tuning.data.pool import Pool
from llm_testgen.tuning.data.sessions import read_session, session_examples

SOURCE = """\
def grade(x):
    if x < 0:
        raise ValueError(x)
    if x > 10:
        return "large"
    return "small"
"""
TESTS = {
    "test_grade_negative": "    with pytest.raises(ValueError):\n        grade(-1)",
    "test_grade_large": '    assert grade(11) == "large"',
    "test_grade_small": '    import math\n    assert grade(math.floor(1.5)) == "small"',
}
GOALS = {name: number for number, name in enumerate(TESTS)}
ABOUT = About(origin=Origin.SESSION, project="pkg", licence="MIT")


def asked(recipe=DEFAULT_RECIPE) -> Prompt:
    target = changed_method(SOURCE, "grade")
    context = Context(
        target,
        "pkg.mod",
        "from pkg.mod import grade",
        target.lines,
        "tests/test_mod.py",
        goals(target, target.lines),
    )
    return Templates(default_templates(), recipe).first(context)


def answered(prompt: Prompt) -> str:
    headings = [line for line in prompt.messages[-1].content.split("\n") if line.startswith("# ")]
    head = "```python\nimport pytest\n\nfrom pkg.mod import grade\n\n\n"
    if not headings:
        return head + "\n\n\n".join(f"def {name}():\n{body}" for name, body in TESTS.items()) + "\n```"
    tests = [f"{line}\ndef {name}():\n{body}" for line, (name, body) in zip(headings, TESTS.items(), strict=True)]
    return head + "\n\n\n".join(tests) + "\n```"


@pytest.fixture
def session(tmp_path) -> Session:
    return Session(tmp_path / "session.sqlite")


def keep(  # noqa: PLR0913 - what tests set
    session: Session,
    prompt: Prompt,
    text: str,
    accepted: set[str],
    goal_of: Mapping[str, int | None] = GOALS,
    *,
    names: ModuleNames = ModuleNames("grade"),  # noqa: B008 - never changed
) -> None:
    """What a run keeps of a reply whose tests reach the goals of these numbers, from 0 on."""
    reply = Reply(prompt, text, "scripted", Usage())
    session.remember("key", reply, Sampling(0.0, 0, 100))
    found = extract(reply, names)
    assert {candidate.name for candidate in found} == set(TESTS)
    verdicts = []
    for candidate in found:
        number = goal_of[candidate.name]
        lines = frozenset[int]() if number is None else frozenset({prompt.context.goals[number].line})
        outcome = Outcome.ACCEPTED if candidate.name in accepted else Outcome.FAILING
        verdicts.append(Verdict(candidate, outcome, gained={prompt.target.path: lines}))
    session.record("head", verdicts)


def test_a_reply_of_which_all_was_accepted_is_the_answer_to_the_prompt_as_it_was_asked(session):
    prompt = asked()
    keep(session, prompt, answered(prompt), set(TESTS))
    (example,), counts = session_examples(session, ABOUT)
    assert [turn.content for turn in example.prompt] == [message.content for message in prompt.messages]
    assert example.prefill == prompt.prefill
    assert example.answer.startswith(prompt.prefill)
    assert example.answer == answered(prompt)
    assert (example.meta.target, example.meta.test) == ("src/pkg/mod.py::grade", " ".join(TESTS))
    assert counts == {"accepted tests": 3, "exchanges": 1}


def test_where_some_were_accepted_the_prompt_asks_for_these_alone(session):
    prompt = asked()
    keep(session, prompt, answered(prompt), {"test_grade_negative", "test_grade_small"})
    (example,), _ = session_examples(session, ABOUT)
    said = example.prompt[-1].content
    assert "Write 2 short test functions for `grade`, one for each of these" in said
    assert "# 1: reaches `raise ValueError(x)`, with x < 0\n# 2: reaches `return 'small'`, with" in said
    assert "# 3" not in said
    assert "large" not in said.partition("Write 2")[2]
    assert "# 2: reaches `return 'small'`" in example.answer
    assert "test_grade_large" not in example.answer
    assert "    import math\n    assert" in example.answer
    assert said.partition("Write 2")[0] == prompt.messages[-1].content.partition("Write 3")[0]


def test_a_test_stands_below_the_goal_that_it_reaches_or_is_left_out(session):
    prompt = asked()
    goal_of = {"test_grade_negative": None, "test_grade_large": 2, "test_grade_small": 1}
    keep(session, prompt, answered(prompt), set(TESTS), goal_of)
    (example,), _ = session_examples(session, ABOUT)
    assert "test_grade_negative" not in example.answer
    large, small = example.answer.partition("# 1: ")[2].split("\n# 2: ")
    assert large.startswith("reaches `return 'large'`, ")
    assert "def test_grade_small" in large
    assert small.startswith("reaches `return 'small'`, ")
    assert "def test_grade_large" in small


def test_two_tests_that_reach_one_goal_are_one(session):
    prompt = asked()
    keep(session, prompt, answered(prompt), set(TESTS), dict.fromkeys(TESTS, 1))
    (example,), _ = session_examples(session, ABOUT)
    assert example.meta.test == "test_grade_large"


def test_a_session_that_does_not_know_its_goals_gives_nothing(session, tmp_path):
    prompt = asked()
    keep(session, prompt, answered(prompt), set(TESTS))
    with sqlite3.connect(tmp_path / "session.sqlite") as connection:
        connection.execute("UPDATE exchange SET goals = ''")
    assert session_examples(session, ABOUT)[0] == []


def test_one_test_is_asked_for_in_the_singular(session):
    prompt = asked()
    keep(session, prompt, answered(prompt), {"test_grade_large"})
    (example,), _ = session_examples(session, ABOUT)
    assert "Write 1 short test function for `grade`" in example.prompt[-1].content
    assert example.answer.count("def test_") == 1
    assert example.prefill.endswith("\n\n\n# 1: reaches `return 'large'`, with x >= 0 and x > 10\ndef test_grade_")
    assert example.answer.startswith(example.prefill)
    assert example.answer.endswith("\n```")


def test_a_prompt_that_lists_nothing_is_changed_in_its_number_alone(session):
    prompt = asked(DEFAULT_RECIPE.model_copy(update={"goals": False}))
    keep(session, prompt, answered(prompt), {"test_grade_large", "test_grade_small"})
    (example,), _ = session_examples(session, ABOUT)
    assert example.prompt[-1].content == prompt.messages[-1].content.replace("Write 3 short", "Write 2 short")
    assert example.prefill == prompt.prefill
    assert example.answer.startswith(example.prefill)


def test_a_reply_without_an_accepted_test_is_left_out(session):
    prompt = asked()
    keep(session, prompt, answered(prompt), set())
    assert session_examples(session, ABOUT) == (
        [],
        {
            "exchanges": 1,
            "exchange left out: none of its tests was accepted, reaches its goal, and can stand by itself": 1,
        },
    )


def test_a_prompt_of_other_words_cannot_be_made_to_ask_for_less(session):
    prompt = asked()
    first, last = prompt.messages
    other = replace(prompt, messages=(first, replace(last, content=last.content.replace("short test", "nice test"))))
    keep(session, other, answered(prompt), {"test_grade_large"})
    assert (
        session_examples(session, ABOUT)[1]["exchange left out: its prompt cannot ask for the accepted tests alone"]
        == 1
    )


def test_a_session_is_found_in_the_folder_of_a_run(tmp_path):
    Session(tmp_path / "session.sqlite")
    assert read_session(tmp_path).exchanges() == ()
    for path in (tmp_path / "none.sqlite", Path(__file__).parent):
        with pytest.raises(UsageError, match="there is no session at"):
            read_session(path)


def test_what_a_test_has_from_the_projects_own_tests_is_not_written_again(session):
    prompt = asked()
    text = answered(prompt).replace("def test_grade_large():", "def test_grade_large(big):").replace("(11)", "(big)")
    names = ModuleNames("grade", helpers={"big": "@pytest.fixture\ndef big():\n    return Decimal(11)"})
    keep(session, prompt, text, set(TESTS), names=names)
    (example,), _ = session_examples(session, ABOUT)
    assert "def test_grade_large(big):\n    assert grade(big)" in example.answer
    assert "fixture" not in example.answer


def test_a_test_that_leans_on_the_replys_own_helpers_is_left_out(session):
    prompt = asked()
    text = answered(prompt).replace("\n\n\n# 1", "\n\n\nBIG = 11\n\n\n# 1", 1).replace("grade(11)", "grade(BIG)")
    keep(session, prompt, text, set(TESTS))
    (example,), _ = session_examples(session, ABOUT)
    assert example.meta.test == "test_grade_negative test_grade_small"


def test_the_command_takes_name_and_licence_from_the_repository(git_project, session, tmp_path):
    prompt = asked()
    keep(session, prompt, answered(prompt), set(TESTS))
    git_project.write("pyproject.toml", '[project]\nname = "Some.Pkg"\nlicense = "ISC"\n')
    git_project.commit()
    folder = git_project.root / ".llm-testgen"
    folder.mkdir()
    (tmp_path / "session.sqlite").rename(folder / "session.sqlite")
    done = CliRunner().invoke(tune, ["data", "sessions", str(folder), "--out", str(tmp_path / "data")])
    assert done.exit_code == 0, done.output
    ((_, (example,)),) = Pool(tmp_path / "data").parts()
    assert (example.meta.project, example.meta.licence, example.meta.origin) == ("some-pkg", "ISC", Origin.SESSION)


def test_a_session_of_what_is_measured_on_is_refused(session, tmp_path):
    prompt = asked()
    keep(session, prompt, answered(prompt), set(TESTS))
    options = ["--out", str(tmp_path / "data"), "--project-name", "Click"]
    done = CliRunner().invoke(tune, ["data", "sessions", str(tmp_path / "session.sqlite"), *options])
    assert isinstance(done.exception, UsageError)
    assert "click is what the benchmark measures on" in str(done.exception)


def test_a_session_outside_of_any_repository_needs_a_name(session, tmp_path):
    assert not session.exchanges()
    done = CliRunner().invoke(tune, ["data", "sessions", str(tmp_path), "--out", str(tmp_path / "data")])
    assert isinstance(done.exception, UsageError)
    assert "pass --project-name" in str(done.exception)
