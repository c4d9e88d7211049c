from __future__ import annotations

import io
import tarfile

import pytest

from llm_testgen.bench import changes, environments
from llm_testgen.bench.chain_ways import plain_templates
from llm_testgen.bench.changes import (
    BenchChange,
    PinnedRelease,
    before_its_tests,
    change_repository,
    choose_changes,
    known_changes,
)
from llm_testgen.bench.environments import Workshop
from llm_testgen.edges.git import Repository
from llm_testgen.errors import UsageError
from llm_testgen.stages.prompt import load_prompts


def test_there_are_enough_changes_of_enough_projects():
    known = known_changes()
    assert 10 <= len(known) <= 12
    assert len({change.old.name for change in known}) >= 8
    assert 40 <= sum(len(change.targets) for change in known) <= 55
    for change in known:
        assert change.old.name == change.new.name
        assert change.old.sha256 != change.new.sha256
        assert 1 <= len(change.targets) <= 5
        assert all(target.startswith(change.library) for target in change.targets)


def test_the_environment_is_pinned():
    lines = environments.requirements(changes.ENVIRONMENT).splitlines()
    assert all("==" in line for line in lines if line and not line.startswith("#"))


def test_changes_are_chosen_by_name_each_once():
    known = known_changes()
    assert choose_changes((), known) == known
    first, second = known[0], known[1]
    assert choose_changes((second.name, first.name, second.name), known) == (second, first)
    with pytest.raises(UsageError, match="there is no change flask to work on: choose among"):
        choose_changes(("flask",), known)


def test_head_has_the_new_code_and_the_old_tests():
    old = {"a.py": b"old", "gone.py": b"old", "tests/test_a.py": b"old", "tests/data/a.json": b"old"}
    new = {"a.py": b"new", "more.py": b"new", "tests/test_a.py": b"new", "tests/test_more.py": b"new"}
    assert before_its_tests(old, new) == {
        "a.py": b"new",
        "more.py": b"new",
        "tests/test_a.py": b"old",
        "tests/data/a.json": b"old",
    }


def archive(path, tree):
    with tarfile.open(path, "w:gz") as stream:
        for name, data in tree.items():
            member = tarfile.TarInfo(f"tiny-1.0/{name}")
            member.size = len(data)
            stream.addfile(member, io.BytesIO(data))
    return path


def test_a_repository_is_made_once_and_holds_both_ends(tmp_path, monkeypatch):
    trees = {
        "1.0": {"a.py": b"a = 1\n", "tests/test_a.py": b"old", "tests/sub/.git": b"gitdir: elsewhere"},
        "1.1": {"a.py": b"a = 2\n", "tests/test_a.py": b"new"},
    }
    asked = []

    def download(release, python, scratch):
        asked.append((release.name, release.version, python.name))
        return archive(scratch / "x.tar.gz", trees[release.version])

    monkeypatch.setattr(environments, "_download", download)
    old, new = (PinnedRelease(name="tiny", version=version, sha256="ab" * 32) for version in trees)
    change = BenchChange(name="tiny", old=old, new=new)
    workshop = Workshop(tmp_path, tmp_path / "python")
    folder = change_repository(workshop, change, tmp_path / "python")
    assert change_repository(workshop, change, tmp_path / "python") == folder
    assert asked == [("tiny", "1.0", "python"), ("tiny", "1.1", "python")]
    repository = Repository.open(folder)
    revisions = repository.merge_base(changes.BASE, changes.HEAD)
    assert [file.path for file in repository.changes(revisions.base, revisions.head)] == ["a.py"]
    head = repository.snapshot(revisions.head)
    assert {file.path: head.read(file) for file in head.files} == {"a.py": b"a = 2\n", "tests/test_a.py": b"old"}


def test_the_plain_prompt_has_every_template_that_a_folder_of_them_needs():
    assert plain_templates().recipe == load_prompts(None).recipe
