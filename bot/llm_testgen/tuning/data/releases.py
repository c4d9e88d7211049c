"""What may be mined: the releases that come along, and a user's own, but nothing that the benchmark measures on."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path, PurePosixPath

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, TypeAdapter

from llm_testgen.bench.cases import Split, known_cases
from llm_testgen.bench.changes import PinnedRelease
from llm_testgen.bench.environments import Workshop
from llm_testgen.edges.gitwrite import create_repository
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.paths import is_inside

_MANIFEST = files("llm_testgen.tuning.data") / "manifest.json"
_RELEASE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[0-9][0-9.]*)")
_SECONDS = 300.0


class MinedRelease(BaseModel):
    """A release that is mined.

    Attributes:
        release: Which one.
        library: How the paths of its code begin; empty for all that is no test and no tool.
        environment: The pinned packages that its tests need.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: PinnedRelease
    library: str = ""
    environment: str = "cases"


def known_releases() -> tuple[MinedRelease, ...]:
    """Those that come along, in the order in which they are mined."""
    return TypeAdapter(tuple[MinedRelease, ...]).validate_json(_MANIFEST.read_bytes())


def normalised(name: str) -> str:
    """A project's name as the package index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def held_out_projects() -> frozenset[str]:
    """Names of the projects that the benchmark measures on: nothing of them may be trained on."""
    return frozenset(normalised(case.project) for case in known_cases() if case.split is not Split.TUNE)


def held_out_packages() -> frozenset[str]:
    """Names of the packages and modules of these projects, as their files are: a package's with a slash at its end."""
    paths = [case.library for case in known_cases() if case.split is not Split.TUNE]
    return frozenset(PurePosixPath(path).name + ("/" if path.endswith("/") else "") for path in paths)


def refuse_held_out(names: Iterable[str], packages: Iterable[str] = ()) -> None:
    """Refuse projects that the benchmark measures on.

    Args:
        names: Of projects.
        packages: What a project has at its top, whatever it is called, named as `held_out_packages` does.

    Raises:
        UsageError: There is one among them.
    """
    held_out = held_out_projects()
    found = [name for name in names if normalised(name) in held_out]
    found += [f"the code in {name}" for name in sorted(held_out_packages().intersection(packages))]
    if found:
        msg = f"{found[0]} is what the benchmark measures on: a model that was trained on it can not be compared, so"
        msg += " leave this project out"
        raise UsageError(msg)


def choose_releases(wanted: Iterable[str], workshop: Workshop) -> tuple[MinedRelease, ...]:
    """The releases that were asked for, each once; all that come along for none.

    Args:
        wanted: As ``NAME`` of one that comes along, or ``NAME==VERSION``.
        workshop: Where others are fetched to, to learn their hash.

    Raises:
        UsageError: One is not known, or must not be mined.
        ProjectError: One cannot be fetched.
    """
    known = known_releases()
    by_name = {one.release.name: one for one in known}
    chosen = []
    for text in wanted:
        name = normalised(text.partition("==")[0])
        refuse_held_out([name])
        pinned = by_name.get(name)
        if pinned is not None and text.partition("==")[2] in {"", pinned.release.version}:
            chosen.append(pinned)
        elif match := _RELEASE.fullmatch(text):
            library = pinned.library if pinned else ""
            chosen.append(MinedRelease(release=pin(name, match["version"], workshop), library=library))
        else:
            msg = f"{text} is no release: pass NAME==VERSION, or one of {', '.join(by_name)}"
            raise UsageError(msg)
    return tuple(dict.fromkeys(chosen)) or known


def pin(name: str, version: str, workshop: Workshop) -> PinnedRelease:
    """A release with the hash of its source distribution, which is fetched for that, and kept.

    Raises:
        ProjectError: It cannot be had.
    """
    kept = sorted(workshop.folder.glob(f"source-{name}-{version}-*.tar.gz"))
    if not kept:
        with tempfile.TemporaryDirectory(dir=workshop.folder, prefix="fetch-") as scratch:
            archive = _download(f"{name}=={version}", workshop.python, Path(scratch))
            digest = hashlib.sha256(archive.read_bytes()).hexdigest()
            kept = [archive.rename(workshop.folder / f"source-{name}-{version}-{digest[:12]}.tar.gz")]
    digest = hashlib.sha256(kept[0].read_bytes()).hexdigest()
    return PinnedRelease(name=name, version=version, sha256=digest)


def release_repository(workshop: Workshop, release: PinnedRelease, python: Path) -> Path:
    """A git repository of one commit that holds a release.

    Args:
        workshop: Where it is kept.
        release: What to fetch.
        python: An interpreter that has pip.

    Raises:
        ProjectError: It cannot be had, or is not the one that was pinned.
    """
    folder = workshop.folder / f"mine-{release.name}-{release.version}-{release.sha256[:12]}"
    with FileLock(workshop.folder / f".{folder.name}.lock"):
        if not folder.exists():
            tree = workshop.source(release, python)
            held = {path: data for path, data in tree.items() if is_inside(path)}
            with tempfile.TemporaryDirectory(dir=workshop.folder, prefix="fetch-") as scratch:
                whole = Path(scratch, "repository")
                create_repository(whole, {f"{release.name} {release.version}": held})
                whole.rename(folder)
    return folder


def _download(requirement: str, python: Path, scratch: Path) -> Path:
    """The source distribution of a release."""
    options = ["--disable-pip-version-check", "--no-input", "--timeout", "20"]
    command = [str(python), "-I", "-m", "pip", *options, "download", "--no-deps", "--no-binary=:all:", requirement]
    try:
        done = subprocess.run(
            [*command, "--dest", str(scratch)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
        said = done.stderr.strip().splitlines()
    except (OSError, subprocess.TimeoutExpired) as error:
        said = [str(error)]
    found = sorted(scratch.glob("*.tar.gz"))
    if not found:
        msg = f"pip does not get the source of {requirement} ({(said or ['no reason given'])[-1][:200]}): see that the"
        msg += " release has a source distribution, and that the index that pip is configured for can be reached"
        raise ProjectError(msg)
    return found[0]
