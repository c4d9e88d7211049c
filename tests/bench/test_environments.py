from __future__ import annotations

import hashlib
import io
import os
import sys
import tarfile
from pathlib import Path

import pytest

from llm_testgen.bench.environments import DEVELOPERS, Workshop, work_folder
from llm_testgen.bench.projects import BenchProject
from llm_testgen.edges.git import Repository
from llm_testgen.errors import ProjectError, UsageError

# Stands for an interpreter whose pip finds what lies beside it.
SERVES = """#!/bin/sh
echo "$@" >> {log}
while [ $# -gt 1 ]; do
    [ "$1" = --dest ] && cp {archive} "$2"
    shift
done
"""
# Stands for one that makes such environments; the first time there is no network.
MAKES = """#!/bin/sh
echo "$@" >> {log}
if [ "$2" = venv ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; exit; fi
[ -e {log}.ready ] || {{ touch {log}.ready; echo 'ERROR: connection broken' >&2; exit 1; }}
"""
REFUSES = """#!/bin/sh
echo 'WARNING: Retrying (Retry(total=4)) after connection broken' >&2
echo 'ERROR: No matching distribution found for tiny==1.0' >&2
exit 1
"""


def script(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "tiny-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as members:
        for name, data in {"tiny-1.0/tiny/__init__.py": b"", "tiny-1.0/tiny/more.py": b"x = 1\n"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            members.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("tiny-1.0/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        members.addfile(link)
        members.addfile(tarfile.TarInfo("tiny-1.0/../../outside"), io.BytesIO(b""))
    return path


@pytest.fixture
def tiny(archive):
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return BenchProject(
        name="tiny", version="1.0", sha256=digest, package="tiny", test_folder="tests", measured=("tiny/more.py",)
    )


@pytest.fixture
def workshop(tmp_path):
    return Workshop(work_folder(tmp_path / "work", {}), Path(sys.executable))


def test_the_work_folder_is_the_named_one_or_in_the_cache(tmp_path):
    assert work_folder(tmp_path / "a" / "b", {}) == tmp_path / "a" / "b"
    assert work_folder(None, {"LLM_TESTGEN_CACHE": str(tmp_path / "c")}) == tmp_path / "c" / "bench"
    assert (tmp_path / "c" / "bench").is_dir()


def test_a_work_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot be made .*: pass another --work"):
        work_folder(tmp_path / "file" / "below", {})


def test_a_work_folder_that_nothing_can_be_put_in_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match="cannot be written: pass another --work"):
        work_folder(tmp_path, {})


def test_a_release_becomes_a_repository_once(workshop, tiny, archive, tmp_path):
    log = tmp_path / "log"
    python = script(tmp_path / "python", SERVES.format(log=log, archive=archive))
    folder = workshop.project(tiny, python)
    assert workshop.project(tiny, python) == folder
    (asked,) = log.read_text().splitlines()
    assert "--require-hashes" in asked
    assert [file.path for file in Repository.open(folder).snapshot("HEAD").files] == [
        "tiny/__init__.py",
        "tiny/more.py",
    ]
    assert (folder / "tiny" / "more.py").read_text() == "x = 1\n"
    assert not list(workshop.folder.glob("fetch-*"))


def test_a_release_that_cannot_be_had_leaves_nothing_and_says_what_to_do(workshop, tiny, tmp_path):
    python = script(tmp_path / "python", REFUSES)
    with pytest.raises(ProjectError) as info:
        workshop.project(tiny, python)
    message = str(info.value)
    assert message.startswith("pip does not get the source of tiny 1.0 (No matching distribution found for tiny==1.0)")
    assert "run this again" in message
    assert "\n" not in message
    assert [path for path in workshop.folder.iterdir() if not path.name.startswith(".")] == []


def test_an_archive_that_cannot_be_read_says_what_to_do(workshop, tiny):
    workshop.archive(tiny).write_text("half of it")
    with pytest.raises(ProjectError, match=r"tiny-1\.0-.* cannot be read .*: delete it, and it is fetched again"):
        workshop.source(tiny, workshop.python)


def test_an_environment_is_made_once_and_what_a_killed_run_left_is_made_anew(tmp_path):
    log = tmp_path / "log"
    workshop = Workshop(work_folder(tmp_path / "work", {}), script(tmp_path / "python", MAKES.format(log=log)))
    with pytest.raises(ProjectError, match=r"pip does not get packages of pytest-cov \(connection broken\)"):
        workshop.environment(DEVELOPERS)
    python = workshop.environment(DEVELOPERS)
    assert workshop.environment(DEVELOPERS) == python
    assert [line.split()[1:3] for line in log.read_text().splitlines()] == [
        *[["venv", str(python.parents[1])], ["-m", "pip"]] * 2
    ]
    assert "pytest==" in (python.parents[1] / "requirements.txt").read_text()


def test_another_interpreter_gets_an_environment_of_its_own(workshop, tmp_path):
    one = script(tmp_path / "python", REFUSES)
    with pytest.raises(ProjectError, match=r"no virtual environment from .*python \(No matching"):
        Workshop(workshop.folder, one).environment(DEVELOPERS)


def test_an_interpreter_that_does_not_start_is_an_error_with_its_reason(workshop, tmp_path):
    with pytest.raises(ProjectError, match=r"no virtual environment from .*nowhere \(.*No such file"):
        Workshop(workshop.folder, tmp_path / "nowhere").environment(DEVELOPERS)
