from __future__ import annotations

import pytest

from llm_testgen.tuning.data.licences import licence_of, project_name

FILES = {"info": "PKG-INFO", "project": "pyproject.toml", "cfg": "setup.cfg", "setup": "setup.py"}


def reader(**files):
    known = {FILES[name]: text for name, text in files.items()}
    return lambda path: text.encode() if (text := known.get(path)) else None


@pytest.mark.parametrize(
    ("info", "licence"),
    [
        ("Name: a\nLicense-Expression: MIT\nLicense: other\n", "MIT"),
        ("Name: a\nLicense: BSD-3-Clause\n", "BSD-3-Clause"),
        ("Name: a\nLicense: UNKNOWN\nClassifier: License :: OSI Approved :: BSD License\n", "BSD License"),
        (f"Name: a\nLicense: {'Redistribution and use ' * 9}\nClassifier: License :: Public Domain\n", "Public Domain"),
        ("Name: a\nClassifier: License :: OSI Approved\n", "unknown"),
        ("Name: a\n\nLicense: MIT\n", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_metadata_of_a_release_says_its_licence(info, licence):
    assert licence_of(reader(info=info)) == licence


@pytest.mark.parametrize(
    ("project", "licence"),
    [
        ('[project]\nname = "a"\nlicense = "Apache-2.0"\n', "Apache-2.0"),
        ('[project]\nname = "a"\nlicense = {text = "ISC"}\n', "ISC"),
        ('[project]\nclassifiers = ["License :: OSI Approved :: MIT License"]\n', "MIT License"),
        ('[project]\nlicense = {file = "LICENSE"}\n', "unknown"),
        ("no = toml = at all", "unknown"),
    ],
)
def test_a_checkout_says_it_in_its_pyproject(project, licence):
    assert licence_of(reader(project=project)) == licence


def test_name_and_version_come_from_the_same_files():
    assert project_name(reader(info="Name: Some.Thing\nVersion: 1.2\n")) == ("Some.Thing", "1.2")
    assert project_name(reader(project='[project]\nname = "thing"\ndynamic = ["version"]\n')) == ("thing", "")
    assert project_name(reader()) == ("", "")


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"project": '[tool.poetry]\nname = "thing"\nversion = "1.2"\n'}, ("thing", "1.2")),
        ({"project": '[project]\nname = "thing"\n[tool.poetry]\nname = "x"\nversion = "1.2"\n'}, ("thing", "1.2")),
        ({"project": "[tool]\npoetry = 1\n", "cfg": "[metadata]\nname = thing\nversion = 1.2\n"}, ("thing", "1.2")),
        ({"cfg": "[metadata]\nname = thing\nversion = attr: thing.__version__\n"}, ("thing", "")),
        ({"cfg": "[options]\nzip_safe = no\n", "setup": "setup(name='thing')\n"}, ("thing", "")),
        (
            {"cfg": "no = cfg = at all", "setup": "import setuptools as s\ns.setup(name='thing', version='1')"},
            ("thing", "1"),
        ),
        ({"setup": "NAME = 'a'\nsetup('thing', name=NAME, **more)\n"}, ("", "")),
        ({"setup": "print 'thing'\n"}, ("", "")),
        ({"setup": "logs.setup(level=1)\nsetup(name='thing')\n"}, ("thing", "")),
        ({"setup": "words = '\\d'\n"}, ("", "")),
    ],
)
def test_older_tools_say_the_name_in_files_of_their_own(files, found):
    assert project_name(reader(**files)) == found
