"""Places to measure in: virtual environments, and projects unpacked from their releases. Made once, and kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from filelock import FileLock

from llm_testgen.bench.projects import BenchProject, requirements
from llm_testgen.edges.gitwrite import create_repository
from llm_testgen.edges.weights import cache_folder
from llm_testgen.errors import ProjectError, UsageError

DEVELOPERS = "pytest-cov"
COVERUP = "coverup"
_STAMP = ".complete"
_SECONDS = 900.0
_PIP = ("-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "--timeout", "20")


def work_folder(named: Path | None, environ: Mapping[str, str]) -> Path:
    """Where environments and projects are kept, made if need be: the named folder, else one in the user's cache.

    Raises:
        UsageError: It cannot be made, or nothing can be made in it.
    """
    folder = (named or cache_folder(environ) / "bench").absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{folder} cannot be made ({error.strerror}): pass another --work"
        raise UsageError(msg) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        msg = f"{folder} cannot be written: pass another --work"
        raise UsageError(msg)
    return folder


@dataclass(frozen=True, slots=True)
class Workshop:
    """Makes what is not there yet; two that share a folder wait for each other.

    Attributes:
        folder: Where all is kept.
        python: The interpreter that environments are made with.
    """

    folder: Path
    python: Path

    def environment(self, name: str) -> Path:
        """The interpreter of a virtual environment with pinned packages.

        Raises:
            ProjectError: The environment or its packages cannot be had.
        """
        text = requirements(name)
        digest = hashlib.sha256(f"{self.python}\n{text}".encode()).hexdigest()[:12]
        folder = self.folder / f"env-{name}-{digest}"
        python = folder / "bin" / "python"
        with FileLock(self.folder / f".{folder.name}.lock"):
            if not (folder / _STAMP).exists():
                # What a killed run left cannot be told from what is whole.
                shutil.rmtree(folder, ignore_errors=True)
                _run([str(self.python), "-m", "venv", str(folder)], f"no virtual environment from {self.python}")
                wanted = folder / "requirements.txt"
                wanted.write_text(text, encoding="utf-8")
                _pip(python, ["install", "--no-deps", "--requirement", str(wanted)], f"packages of {name}")
                (folder / _STAMP).touch()
        return python

    def project(self, project: BenchProject, python: Path) -> Path:
        """A git repository that holds the release.

        Args:
            project: What to fetch.
            python: An interpreter that has pip.

        Raises:
            ProjectError: The release cannot be had, or is not the one that was pinned.
        """

        def make(folder: Path) -> None:
            create_repository(folder, {f"{project.name} {project.version}": self.source(project, python)})

        return self.kept(f"{project.name}-{project.version}-{project.sha256[:12]}", make)

    def kept(self, name: str, make: Callable[[Path], None]) -> Path:
        """A folder of the workshop, which is made where it is not there yet, and is there whole or not at all.

        Args:
            name: The folder's.
            make: Makes it at a path that is given to it.
        """
        folder = self.folder / name
        with FileLock(self.folder / f".{name}.lock"):
            if not folder.exists():
                with tempfile.TemporaryDirectory(dir=self.folder, prefix="fetch-") as scratch:
                    whole = Path(scratch, "whole")
                    make(whole)
                    whole.rename(folder)
        return folder

    def source(self, release: Release, python: Path) -> dict[str, bytes]:
        """The files of a release, as path → bytes; its source distribution is kept, for the next change that meets it.

        Args:
            release: What to fetch.
            python: An interpreter that has pip.

        Raises:
            ProjectError: It cannot be had or read, or is not the one that was pinned.
        """
        archive = self.archive(release)
        with FileLock(self.folder / f".{archive.name}.lock"):
            if not archive.exists():
                with tempfile.TemporaryDirectory(dir=self.folder, prefix="fetch-") as scratch:
                    _download(release, python, Path(scratch)).rename(archive)
        return _unpack(archive)

    def archive(self, release: Release) -> Path:
        """Where the source distribution of a release is kept, once it was fetched."""
        return self.folder / f"source-{release.name}-{release.version}-{release.sha256[:12]}.tar.gz"


class Release(Protocol):
    """What is pinned of a release: its name and version on the package index, and the sha256 of its source."""

    @property
    def name(self) -> str:
        """The project's name."""

    @property
    def version(self) -> str:
        """Its version."""

    @property
    def sha256(self) -> str:
        """Of its source distribution, in hexadecimal."""


def _download(project: Release, python: Path, scratch: Path) -> Path:
    """The source distribution, whose sha256 pip has compared."""
    wanted = scratch / "requirements.txt"
    wanted.write_text(f"{project.name}=={project.version} --hash=sha256:{project.sha256}\n", encoding="utf-8")
    only_source = ["--no-deps", "--no-binary=:all:", "--require-hashes"]
    _pip(
        python,
        ["download", *only_source, "--dest", str(scratch), "--requirement", str(wanted)],
        f"the source of {project.name} {project.version}",
    )
    (archive,) = scratch.glob("*.tar.gz")
    return archive


def _unpack(archive: Path) -> dict[str, bytes]:
    """Its regular files as path → bytes, without the folder that holds all."""
    found = {}
    try:
        with tarfile.open(archive, "r:gz") as members:
            for member in members:
                path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
                stream = members.extractfile(member) if member.isfile() else None
                if stream is not None and ".." not in path.parts:
                    found[str(path)] = stream.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        msg = f"{archive} cannot be read ({error}): delete it, and it is fetched again"
        raise ProjectError(msg) from error
    return found


def _pip(python: Path, arguments: Sequence[str], wanted: str) -> None:
    _run([str(python), *_PIP, *arguments], f"pip does not get {wanted}")


def _run(command: Sequence[str], problem: str) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"{problem} ({error}); run this again, it goes on where it stopped"
        raise ProjectError(msg) from error
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR:")]
        reason = (errors or lines or ["no reason given"])[-1].removeprefix("ERROR:").strip()
        msg = (
            f"{problem} ({reason[:200]}): see that the network and the index that pip is configured for can be"
            " reached, then run this again; it goes on where it stopped"
        )
        raise ProjectError(msg)
