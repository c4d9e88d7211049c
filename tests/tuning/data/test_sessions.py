from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.samples import ModuleNames, changed_method

from llm_testgen.edges.models import Sampling
from llm_testgen.edges.session import Session, exchange_key
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
LARGE = f"def test_grade_large():\n{TESTS['test_grade_large']}"
GOALS = {name: number for number, name in enumerate(TESTS)}
DRAWN = Sampling(0.0, 0, 100)
ABOUT = About(origin=Origin.SESSION, project="pkg", licence="MIT")


def asked(recipe=DEFAULT_RECIPE, source=SOURCE) -> Prompt:
    target = changed_method(source, "grade")
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
    head: str = "head",
    repaired: tuple[str, str] = ("", ""),
) -> None:
    """What a run at a head keeps of a reply whose tests reach the goals of these numbers, from 0 on."""
    reply = Reply(prompt, text, "scripted", Usage())
    session.remember(exchange_key("scripted", prompt, DRAWN), reply, DRAWN)
    judge(session, reply, accepted, goal_of, names=names, head=head, repaired=repaired)


def judge(  # noqa: PLR0913 - what tests set
    session: Session,
    reply: Reply,
    accepted: set[str],
    goal_of: Mapping[str, int | None] = GOALS,
    *,
    names: ModuleNames = ModuleNames("grade"),  # noqa: B008 - never changed
    head: str = "head",
    repaired: tuple[str, str] = ("", ""),
) -> None:
    prompt = reply.prompt
    found = extract(reply, names)
    assert {candidate.name for candidate in found} == set(TESTS)
    verdicts = []
    for candidate in found:
        number = goal_of[candidate.name]
        lines = frozenset[int]() if number is None else frozenset({prompt.context.goals[number].line})
        outcome = Outcome.ACCEPTED if candidate.name in accepted else Outcome.FAILING
        mended = candidate.repaired(candidate.code.replace(*repaired), "mended") if all(repaired) else candidate
        verdicts.append(Verdict(mended, outcome, gained={prompt.target.path: lines}))
    session.record(head, verdicts)


def forget_exchanges(path: Path) -> None:
    """What an earlier version would have kept of verdicts."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE verdict DROP COLUMN exchange")


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


@pytest.mark.parametrize("is_earlier", [False, True])
def test_a_test_is_the_answer_to_the_prompt_that_it_was_written_for(session, tmp_path, is_earlier):
    before, after = asked(), asked(source=SOURCE.replace('"small"', '"little"'))
    keep(session, before, answered(before), {"test_grade_small"}, head="a")
    keep(session, after, answered(after).replace("floor", "ceil"), set(), head="b")
    if is_earlier:
        forget_exchanges(tmp_path / "session.sqlite")
    (example,), counts = session_examples(session, ABOUT)
    assert "return 'small'" in example.answer
    assert "math.floor" in example.answer
    assert '"little"' not in example.prompt[-1].content
    assert counts["exchanges"] == 2


def test_equal_tests_are_told_apart_by_their_exchanges(session):
    before, after = asked(), asked(source=SOURCE.replace('"small"', '"little"'))
    keep(session, before, answered(before), {"test_grade_negative", "test_grade_small"}, head="a")
    keep(session, after, answered(after), {"test_grade_negative"}, head="b")
    first, second = session_examples(session, ABOUT)[0]
    assert (first.meta.test, second.meta.test) == ("test_grade_negative test_grade_small", "test_grade_negative")
    assert '"little"' in second.prompt[-1].content


def test_a_test_that_an_earlier_version_kept_is_left_out_where_two_replies_have_it(session, tmp_path):
    before, after = asked(), asked(source=SOURCE.replace('"small"', '"little"'))
    keep(session, before, answered(before), {"test_grade_small"}, head="a")
    keep(session, after, answered(after), set(), head="b")
    forget_exchanges(tmp_path / "session.sqlite")
    found, counts = session_examples(session, ABOUT)
    assert found == []
    assert counts["accepted test left out: which exchange it came from cannot be told"] == 1


def test_a_repaired_test_that_an_earlier_version_kept_is_of_the_only_reply(session, tmp_path):
    before, after = asked(), asked(source=SOURCE.replace('"small"', '"little"'))
    keep(session, before, answered(before), {"test_grade_large"}, head="a", repaired=("grade(11)", "grade(12)"))
    forget_exchanges(tmp_path / "session.sqlite")
    (example,), _ = session_examples(session, ABOUT)
    assert "assert grade(12)" in example.answer
    keep(session, after, answered(after), set(), head="b")
    assert session_examples(session, ABOUT)[0] == []


def test_what_a_test_printed_does_not_make_it_another(session, tmp_path):
    before, after = asked(), asked(source=SOURCE.replace('"small"', '"little"'))
    keep(session, before, answered(before).replace(LARGE, f"{LARGE}\n    print(1)"), {"test_grade_large"}, head="a")
    keep(session, after, answered(after).replace("(11)", "(12)"), set(), head="b")
    forget_exchanges(tmp_path / "session.sqlite")
    (example,), _ = session_examples(session, ABOUT)
    assert example.answer.endswith(f"{LARGE}\n```")


def test_a_session_of_an_earlier_version_is_read_as_it_is_and_gone_on_with(session, tmp_path):
    prompt = asked()
    keep(session, prompt, answered(prompt), set(TESTS), head="a")
    forget_exchanges(tmp_path / "session.sqlite")
    earlier = (tmp_path / "session.sqlite").read_bytes()
    again = Session(tmp_path / "session.sqlite")
    assert [test.exchange for test in again.accepted()] == [""] * 3
    assert len(session_examples(again, ABOUT)[0]) == 1
    assert (tmp_path / "session.sqlite").read_bytes() == earlier
    keep(again, prompt, answered(prompt), {"test_grade_large"}, head="b")
    (exchange,) = again.exchanges()
    assert [test.exchange for test in again.accepted()] == ["", "", "", exchange.digest]


def test_a_test_of_a_head_with_other_lines_does_not_take_another_goal(session):
    prompt, moved = asked(), asked(source=f"LIMIT = 10\n\n{SOURCE}")
    assert (moved.messages, moved.prefill) == (prompt.messages, prompt.prefill)
    keep(session, prompt, answered(prompt), set(), head="a")
    judge(session, Reply(moved, answered(prompt), "scripted", Usage()), set(TESTS), head="b")
    found, counts = session_examples(session, ABOUT)
    assert found == []
    assert counts["accepted test left out: which exchange it came from cannot be told"] == 3


@pytest.mark.parametrize(
    ("written", "alone"),
    [
        (
            'def test_grade_large():  # large\n    assert grade(math.ceil(10.5)) == "large"',
            'def test_grade_large():  # large\n    import math\n    assert grade(math.ceil(10.5)) == "large"',
        ),
        (
            'def test_grade_large(): assert grade(math.ceil(10.5)) == "large"',
            'def test_grade_large():\n    import math\n    assert grade(math.ceil(10.5)) == "large"',
        ),
        (
            "def test_grade_large(größe=1): x = 10.5; assert grade(math.ceil(x)) == (\n    'large'\n)",
            "def test_grade_large(größe=1):\n    import math\n    x = 10.5; assert grade(math.ceil(x)) == (\n    'large'\n)",
        ),
        (
            "def test_grade_large():  # large\n    # It is.\n    with open(__file__):\n        grade(math.ceil(10.5))",
            "def test_grade_large():  # large\n    # It is.\n    import math\n    with open(__file__):\n        grade(math.ceil(10.5))",
        ),
        (
            'def test_grade_large(\n    tmp_path,\n):\n  """Large: really."""\n\n  assert grade(math.ceil(10.5))',
            'def test_grade_large(\n    tmp_path,\n):\n  """Large: really."""\n\n  import math\n  assert grade(math.ceil(10.5))',
        ),
        (
            'def test_grade_large():\n    """Large."""; assert grade(math.ceil(10.5))',
            'def test_grade_large():\n    import math\n    """Large."""; assert grade(math.ceil(10.5))',
        ),
        (
            "def test_grade_large():\n    @math.deco\n    def f(): ...\n    assert grade(f)",
            "def test_grade_large():\n    import math\n    @math.deco\n    def f(): ...\n    assert grade(f)",
        ),
        *(
            (text, text)
            for text in (
                "def test_grade_large():  # large\n    assert grade(11)",
                "def test_grade_large(): assert grade(11) == 'large'",
                "@pytest.mark.parametrize('x', [11])\ndef test_grade_large(x): assert grade(x)",
                "@pytest.mark.parametrize('x', [11])\ndef test_grade_large(math): assert grade(math)",
            )
        ),
    ],
)
def test_imports_stand_at_the_beginning_of_the_body(session, written, alone):
    prompt = asked()
    text = answered(prompt).replace("import pytest\n", "import math\nimport pytest\n", 1).replace(LARGE, written)
    keep(session, prompt, text, {"test_grade_large"})
    (example,), _ = session_examples(session, ABOUT)
    assert example.answer.endswith(f"\n{alone}\n```")


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ('@patch("pkg.mod.now")\ndef test_grade_large(now):\n    assert grade(11)', "its decorators"),
        ("def test_grade_large(x=math.pi):\n    assert grade(11)", "its decorators"),
        ("def test_grade_large(x: Path = 11):\n    assert grade(x)", "its decorators"),
        ("def test_grade_large() -> Path:\n    assert grade(11)", "its decorators"),
        ("def test_grade_large(): \\\n    assert grade(math.ceil(10.5))", "there is no place in it"),
    ],
)
def test_a_test_that_needs_imports_outside_of_its_body_is_left_out(session, written, reason):
    prompt = asked()
    text = answered(prompt).replace(LARGE, written)
    imports = "import math\nfrom pathlib import Path\nfrom unittest.mock import patch\n"
    keep(session, prompt, text.replace("import pytest\n", f"{imports}import pytest\n", 1), set(TESTS))
    (example,), counts = session_examples(session, ABOUT)
    assert example.meta.test == "test_grade_negative test_grade_small"
    assert [count for said, count in counts.items() if said.startswith(f"accepted test left out: {reason}")] == [1]


def test_an_import_that_an_argument_hides_from_the_body_alone_is_needed_outside_of_it(session):
    prompt = asked()
    text = answered(prompt).replace(LARGE, '@mock.patch("pkg.now")\ndef test_grade_large(mock):\n    assert grade(11)')
    imported = ("@mock", "from unittest import mock\n\n\n@mock")
    keep(session, prompt, text, {"test_grade_large", "test_grade_small"}, repaired=imported)
    (example,), _ = session_examples(session, ABOUT)
    assert example.meta.test == "test_grade_small"


def test_a_test_for_a_later_python_is_left_out(session, tmp_path):
    prompt = asked()
    keep(session, prompt, answered(prompt), set(TESTS))
    with closing(sqlite3.connect(tmp_path / "session.sqlite")) as connection, connection:
        connection.execute("UPDATE verdict SET code = 'def test_grade_large(:' WHERE name = 'test_grade_large'")
    (example,), counts = session_examples(session, ABOUT)
    assert example.meta.test == "test_grade_negative test_grade_small"
    assert counts["accepted test left out: it is not valid for the Python that runs this"] == 1


def test_an_answer_that_would_not_be_valid_is_left_out(session):
    prompt = replace(asked(), prefill="```python\nLIMITS = [\n")
    keep(session, prompt, answered(prompt), set(TESTS))
    found, counts = session_examples(session, ABOUT)
    assert found == []
    assert counts["exchange left out: its answer would be no valid Python"] == 1
