from __future__ import annotations

import pytest

from llm_testgen.tuning.data.licences import licence_of, project_name


def reader(**files):
    known = {"PKG-INFO": files.get("info"), "pyproject.toml": files.get("project")}
    return lambda path: text.encode() if (text := known[path]) else None


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
