from __future__ import annotations

import pytest
from tests.repairs.cases import case, mended

from llm_testgen.repairs.fixtures import mend_argument


def missing(name: str) -> str:
    return f"('{name}', <SubRequest '{name}' for <Function test_it>>)"


@pytest.mark.parametrize(
    ("code", "name", "result"),
    [
        ("def test_it(parser):\n    assert 1\n", "parser", "def test_it():\n    assert 1\n"),
        (
            "def test_it(parser, tmp_path):\n    assert tmp_path\n",
            "parser",
            "def test_it(tmp_path):\n    assert tmp_path\n",
        ),
        ("def test_it(tmp_dir):\n    assert tmp_dir\n", "tmp_dir", "def test_it(tmp_path):\n    assert tmp_path\n"),
        (
            "def test_it(monkeypach):\n    monkeypach.x()\n",
            "monkeypach",
            "def test_it(monkeypatch):\n    monkeypatch.x()\n",
        ),
        ("def test_it(Client):\n    assert Client\n", "Client", "def test_it(client):\n    assert client\n"),
        (
            "def test_it(box):\n    assert box.area() == 1\n",
            "box",
            "from pkg.mod import Box\ndef test_it():\n    box = Box()\n    assert box.area() == 1\n",
        ),
        (
            "def test_it(mocker):\n    f = mocker.Mock()\n    assert f\n",
            "mocker",
            "from unittest import mock\ndef test_it():\n    f = mock.Mock()\n    assert f\n",
        ),
        (
            "@pytest.mark.parametrize('x', [1])\ndef test_it(x, y):\n    assert x\n",
            "y",
            "@pytest.mark.parametrize('x', [1])\ndef test_it(x):\n    assert x\n",
        ),
        ("def test_it(mocker):\n    mocker.patch('x')\n    assert 1\n", "mocker", ""),
        ("def test_it(shelf):\n    assert shelf.count() == 0\n", "shelf", ""),
        ("def test_it(what):\n    assert what\n", "what", ""),
        ("def test_it(a, self):\n    assert self\n", "self", ""),
    ],
)
def test_an_argument_that_is_no_fixture_is_done_without(code, name, result):
    assert mended(mend_argument, case(code, missing(name), kind="FixtureLookupError", phase="setup")) == result


def test_the_words_of_pytest_are_understood_too():
    code = "def test_it(parser):\n    assert 1\n"
    assert mended(mend_argument, case(code, "fixture 'parser' not found", phase="setup"))


def test_other_failures_are_no_matter_of_arguments():
    assert mended(mend_argument, case("def test_it(parser):\n    assert 1\n", "assert 1 == 2")) == ""


def test_the_instance_of_the_class_under_test_is_made():
    code = "def test_it(instance):\n    assert instance.area() == 1\n"
    assert "instance = Box()" in mended(mend_argument, case(code, missing("instance"), of="Box.area", phase="setup"))
