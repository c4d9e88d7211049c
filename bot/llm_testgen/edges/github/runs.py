"""Workflow runs and the artifacts that they leave, read as what they are: files that anybody may have written."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator

import requests
from github.Artifact import Artifact

from llm_testgen.edges.github.client import GitHubRepository
from llm_testgen.errors import GitHubError, UsageError

_CHUNK = 1 << 16
_TIMEOUT = 60
_KNOWN_PACKING = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


def read_artifact(repository: GitHubRepository, run: int, name: str, member: str, longest: int) -> bytes | None:
    """One file of an artifact of a workflow run; None when the run left no such artifact, or it has expired.

    Args:
        repository: Where the run took place.
        run: Its id.
        name: The artifact's name; the newest of that name counts.
        member: The file in it. Nothing else is unpacked, and nothing is written to the disk.
        longest: Bytes that the file, and the archive, may have at most.

    Raises:
        UsageError: It is too large, no archive, or has no such file.
        GitHubError: It cannot be had.
    """
    listed = repository.read_all(lambda: _artifacts(repository, run))
    usable = [artifact for artifact in listed if artifact.name == name and not artifact.expired]
    if not usable:
        return None
    newest = max(usable, key=lambda artifact: artifact.id)
    if newest.size_in_bytes > longest:
        msg = f"the artifact {name} of run {run} has {newest.size_in_bytes:,} bytes, more than {longest:,}: not read"
        raise UsageError(msg)

    def download() -> bytes:
        url = f"{repository.api.url}/actions/artifacts/{newest.id}/zip"
        headers, _ = repository.api.requester.requestJsonAndCheck("GET", url)
        return _download(str(headers.get("location", "")), longest, name)

    return _member(repository.patience.read(download), member, longest, name)


def _artifacts(repository: GitHubRepository, run: int) -> Iterator[Artifact]:
    url = f"{repository.api.url}/actions/runs/{run}/artifacts"
    page = 1
    while True:
        parameters = {"per_page": 100, "page": page}
        _, data = repository.api.requester.requestJsonAndCheck("GET", url, parameters=parameters)
        found = data["artifacts"]
        yield from (Artifact(repository.api.requester, {}, entry) for entry in found)
        if not found or page * 100 >= data["total_count"]:
            return
        page += 1


def _download(address: str, longest: int, name: str) -> bytes:
    """What is at the address that GitHub leads to: another host's, which lets anybody in who knows it.

    PyGithub would refuse that host, and read all of the answer before the first byte of it could be counted.
    """
    if not address.startswith(("https://", "http://")):
        msg = f"GitHub does not say where the artifact {name} is: try again later"
        raise GitHubError(msg)
    with requests.Session() as session:
        session.auth = lambda request: request  # neither the token nor what .netrc holds goes there
        with session.get(address, stream=True, timeout=_TIMEOUT) as answer:
            answer.raise_for_status()
            data = bytearray()
            for chunk in answer.iter_content(_CHUNK):
                data += chunk
                if len(data) > longest:
                    msg = f"the artifact {name} is longer than {longest:,} bytes: not read"
                    raise UsageError(msg)
            return bytes(data)


def _member(archive: bytes, member: str, longest: int, name: str) -> bytes:
    """A file of an archive; what its directory says of the size is not believed."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = [entry for entry in opened.infolist() if entry.filename == member]
            if len(entries) != 1:
                msg = f"the artifact {name} holds {member} {len(entries)} times, not once: not read"
                raise UsageError(msg)
            if entries[0].compress_type not in _KNOWN_PACKING:
                msg = f"the artifact {name} is packed in a way that GitHub does not use: not read"
                raise UsageError(msg)
            with opened.open(entries[0]) as file:
                data = file.read(longest + 1)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        msg = f"the artifact {name} is no archive that can be read ({error}): not read"
        raise UsageError(msg) from error
    if len(data) > longest:
        msg = f"{member} in the artifact {name} unpacks to more than {longest:,} bytes: not read"
        raise UsageError(msg)
    return data
