from __future__ import annotations

import hashlib
import io
import tarfile

import pytest

from llm_testgen.bench.cases import Split, known_cases
from llm_testgen.bench.environments import Workshop, requirements
from llm_testgen.edges.git import Repository
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.tuning.data import releases
from llm_testgen.tuning.data.project_run import _Fetched
from llm_testgen.tuning.data.releases import (
    choose_releases,
    held_out_packages,
    held_out_projects,
    known_releases,
    normalised,
    refuse_held_out,
    release_repository,
)


@pytest.fixture
def workshop(tmp_path) -> Workshop:
    return Workshop(tmp_path, tmp_path / "python")


def archive(folder, name, files):
    with tarfile.open(folder / name, "w:gz") as stream:
        for path, data in files.items():
            member = tarfile.TarInfo(f"release-1.0/{path}")
            member.size = len(data)
            stream.addfile(member, io.BytesIO(data))
    return folder / name


def test_what_comes_along_is_pinned_and_nothing_that_is_measured_on():
    names = [one.release.name for one in known_releases()]
    assert len(names) == len(set(names)) >= 8
    assert not held_out_projects() & {normalised(name) for name in names}
    assert all(requirements(one.environment) for one in known_releases())
    assert {case.project for case in known_cases() if case.split is Split.TUNE} <= set(names)


@pytest.mark.parametrize("name", ["flask", "Flask", "pyparsing", "MarshMallow"])
def test_what_is_measured_on_is_refused_however_it_is_written(name, workshop):
    with pytest.raises(UsageError, match=f"{name} is what the benchmark measures on"):
        refuse_held_out(["other", name])
    with pytest.raises(UsageError, match="is what the benchmark measures on"):
        choose_releases([f"{name}==1.0"], workshop)


def test_releases_are_chosen_by_name_each_once(workshop):
    assert choose_releases([], workshop) == known_releases()
    assert [one.release.name for one in choose_releases(["Humanize", "more_itertools", "humanize"], workshop)] == [
        "humanize",
        "more-itertools",
    ]
    with pytest.raises(UsageError, match=r"other is no release: pass NAME==VERSION, or one of humanize, "):
        choose_releases(["other"], workshop)


def test_a_release_of_a_users_own_is_fetched_once_and_pinned(workshop, monkeypatch):
    fetched = []

    def download(requirement, python, scratch):
        fetched.append((requirement, python))
        return archive(scratch, "x.tar.gz", {"PKG-INFO": b"Name: some.thing\n", "thing.py": b"x = 1\n"})

    monkeypatch.setattr(releases, "_download", download)
    (chosen,) = choose_releases(["some.thing==1.0"], workshop)
    again = choose_releases(["some-thing==1.0"], workshop)
    kept = next(workshop.folder.glob("source-some-thing-1.0-*.tar.gz"))
    assert again == (chosen,)
    assert fetched == [("some-thing==1.0", workshop.python)]
    assert chosen.release.sha256 == hashlib.sha256(kept.read_bytes()).hexdigest()
    repository = Repository.open(release_repository(workshop, chosen.release, workshop.python))
    assert [file.path for file in repository.snapshot("HEAD").files] == ["PKG-INFO", "thing.py"]


def test_another_version_of_what_comes_along_keeps_the_place_of_its_code(workshop, monkeypatch):
    monkeypatch.setattr(releases, "_download", lambda *given: archive(given[2], "x.tar.gz", {"a.py": b""}))
    (chosen,) = choose_releases(["humanize==1.0"], workshop)
    assert chosen.library == "src/humanize/"


def test_a_release_that_pip_does_not_give_is_told(workshop):
    with pytest.raises(ProjectError, match=r"pip does not get the source of other==1\.0 \(.*No such file"):
        choose_releases(["other==1.0"], workshop)


def test_the_code_of_what_is_measured_on_is_known_by_its_packages():
    assert {"click/", "flask/", "packaging/", "xmltodict.py"} <= held_out_packages()
    assert len(held_out_packages()) == len(held_out_projects())
    refuse_held_out(["web"], ["web/", "web.py", "click.py", ""])
    with pytest.raises(UsageError, match="the code in flask/ is what the benchmark measures on"):
        refuse_held_out(["web"], ["web/", "flask/"])


def test_a_release_that_holds_the_code_of_what_is_measured_on_is_refused(workshop, monkeypatch):
    held = {"PKG-INFO": b"Name: web\n", "src/flask/__init__.py": b""}
    monkeypatch.setattr(releases, "_download", lambda *given: archive(given[2], "x.tar.gz", held))
    (chosen,) = choose_releases(["web==1.0"], workshop)
    with pytest.raises(UsageError, match="the code in flask/ is what the benchmark measures on"):
        _Fetched(chosen, workshop)(workshop.python)
