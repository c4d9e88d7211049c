from __future__ import annotations

import json

import pytest

from llm_testgen.errors import UsageError
from llm_testgen.recipe import Begun, Choice, Kind, Recipe, read_recipe, tokens
from llm_testgen.records import Relation


def written(folder, text, name="recipe.toml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recipe_is_read_from_toml(tmp_path):
    path = written(
        tmp_path,
        'kind = "smoke"\nprefill = "imports"\nchoice = "accepted"\ntemperature = 1\ncontext = ["caller", "callee"]\n',
    )
    assert read_recipe(path) == Recipe(
        kind=Kind.SMOKE,
        prefill=Begun.IMPORTS,
        choice=Choice.ACCEPTED,
        temperature=1.0,
        context=(Relation.CALLEE, Relation.CALLER),
    )


def test_a_recipe_is_read_back_as_it_is_written_down(tmp_path):
    recipe = Recipe(instructions="terse", tests=3, context=(), examples=0, reply_tokens=500)
    assert read_recipe(written(tmp_path, recipe.model_dump_json(), "recipe.json")) == recipe


def test_an_empty_file_is_the_default_recipe(tmp_path):
    assert read_recipe(written(tmp_path, "")) == Recipe()


def test_a_mark_at_the_beginning_and_windows_newlines_do_no_harm(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xef\xbb\xbftests = 2\r\nexamples = 0\r\n")
    assert read_recipe(path) == Recipe(tests=2, examples=0)


def test_equal_choices_of_context_make_equal_recipes():
    one = Recipe(context=(Relation.CLASS, Relation.CALLEE, Relation.CLASS))
    assert one == Recipe(context=(Relation.CALLEE, Relation.CLASS))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("temprature = 1", "there is no field temprature; the fields are version, "),
        ("version = 2", "version: Input should be 1"),
        ("tests = 99", "tests: Input should be less than or equal to 12"),
        ("tests = true", "tests: Input should be a valid integer"),
        ('tests = "2"', "tests: Input should be a valid integer"),
        ("tests = 2020-01-01", "tests: Input should be a valid integer"),
        ("examples = 4", "examples: "),
        ("temperature = nan", "temperature: Input should be a finite number"),
        ("body_share = 1.5", "body_share: "),
        ('kind = "fuzz"', "kind: Input should be 'smoke', 'unit', 'commented' or 'asserts'"),
        ('context = ["cousin"]', "context.0: "),
        ('instructions = "../task"', "instructions: "),
        ('templates = "/etc"', "templates: Value error, must be a folder relative to the recipe"),
        ("tests = ", "is no TOML: "),
    ],
)
def test_what_is_no_recipe_is_refused_with_the_field(tmp_path, text, said):
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON: "),
        ("[]", "Input should be an object"),
        ("[" * 40_000, "is no JSON: "),
        ("\ud800", "is no JSON"),
    ],
)
def test_what_is_no_json_is_refused(tmp_path, text, said):
    path = tmp_path / "recipe.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UsageError, match=said):
        read_recipe(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"No such file.*pass a folder of templates or the file of a recipe"):
        read_recipe(tmp_path / "recipe.toml")


def test_a_file_without_end_is_refused(tmp_path):
    with pytest.raises(UsageError, match="too large for a recipe"):
        read_recipe(written(tmp_path, "#" * 70_000))


def test_every_field_but_the_folder_has_bounds():
    for name, field in Recipe.model_json_schema()["properties"].items():
        shown = json.dumps(field)
        assert any(
            word in shown for word in ("maximum", "maxItems", "maxLength", "pattern", "const", "$ref", "boolean")
        ), name


def test_tokens_of_a_text_are_counted_from_above():
    assert [tokens(text) for text in ("", "a", "abc", "abcd")] == [0, 1, 1, 2]
