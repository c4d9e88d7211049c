from __future__ import annotations

import io
import random
import struct
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.github.faults import Fault

from llm_testgen.edges.github.runs import read_artifact
from llm_testgen.errors import GitHubError, GitHubForbiddenError, UsageError

RUN, NAME, MEMBER = 99, "llm-testgen-proposal", "proposal.json"
LONGEST = 10_000
DATA = b'{"version": 2}'


def read(pulled, longest: int = LONGEST, run: int = RUN) -> bytes | None:
    return read_artifact(pulled.repository(), run, NAME, MEMBER, longest)


def refusal(pulled, archive: dict[str, bytes] | bytes) -> str:
    """Why the member of an archive is not read."""
    pulled.fake.add_artifact(RUN, NAME, archive)
    with pytest.raises(UsageError) as raised:
        read(pulled)
    return str(raised.value)


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        for name, data in members:
            made.writestr(name, data)
    return buffer.getvalue()


def with_size(data: bytes, size: int) -> bytes:
    """An archive of one member whose headers lie about its unpacked size."""
    central = data.index(b"PK\x01\x02")
    patched = bytearray(data)
    struct.pack_into("<I", patched, 22, size)
    struct.pack_into("<I", patched, central + 24, size)
    return bytes(patched)


@pytest.fixture(autouse=True)
def _run(pulled):
    pulled.fake.add_run(RUN, pulled.head)


def test_the_member_of_an_artifact_is_read(pulled):
    pulled.fake.add_artifact(RUN, NAME, {MEMBER: DATA})
    assert read(pulled) == DATA


def test_of_several_artifacts_the_newest_of_that_name_counts(pulled):
    pulled.fake.add_run(100, pulled.head)
    pulled.fake.add_artifact(RUN, NAME, {MEMBER: b"old"})
    pulled.fake.add_artifact(RUN, NAME, {MEMBER: b"new"})
    pulled.fake.add_artifact(RUN, NAME, {MEMBER: b"gone"}, expired=True)
    pulled.fake.add_artifact(RUN, f"{NAME}-2", {MEMBER: b"of another name"})
    pulled.fake.add_artifact(100, NAME, {MEMBER: b"of another run"})
    assert read(pulled) == b"new"


def test_an_artifact_is_found_behind_more_than_a_hundred_others(pulled):
    pulled.fake.add_artifact(RUN, NAME, {MEMBER: DATA})
    for number in range(101):
        pulled.fake.add_artifact(RUN, f"log-{number}", b"")
    assert read(pulled) == DATA


def test_a_run_without_such_an_artifact_gives_none(pulled):
    assert read(pulled) is None
    pulled.fake.add_artifact(RUN, "coverage", {MEMBER: DATA})
    assert read(pulled) is None


def test_an_artifact_that_has_expired_gives_none(pulled):
    pulled.fake.add_artifact(RUN, NAME, {MEMBER: DATA}, expired=True)
    assert read(pulled) is None


def test_a_run_that_is_none_is_told(pulled):
    with pytest.raises(GitHubForbiddenError, match="it does not exist"):
        read(pulled, run=1)


def test_files_beside_the_member_are_not_looked_at(pulled):
    others = {f"other-{number}": bytes(50_000) for number in range(20)}
    pulled.fake.add_artifact(RUN, NAME, {**others, MEMBER: DATA, "../evil": b"x", f"../{MEMBER}": b"x"})
    assert read(pulled) == DATA


@pytest.mark.parametrize(
    "name", [f"../{MEMBER}", f"/{MEMBER}", f"x/{MEMBER}", f"./{MEMBER}", MEMBER.upper(), f"{MEMBER} "]
)
def test_a_member_of_another_name_is_not_taken_for_it(pulled, name):
    assert refusal(pulled, {name: DATA}) == f"the artifact {NAME} holds {MEMBER} 0 times, not once: not read"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(pulled):
    line = refusal(pulled, archive((MEMBER, b"one"), (MEMBER, b"two")))
    assert line == f"the artifact {NAME} holds {MEMBER} 2 times, not once: not read"


def test_an_artifact_that_is_too_large_is_not_fetched(pulled):
    line = refusal(pulled, archive((MEMBER, bytes(LONGEST)), method=zipfile.ZIP_STORED))
    assert line.startswith(f"the artifact {NAME} of run {RUN} has 10,")
    assert not any(request.path.endswith("/zip") for request in pulled.fake.requests)


@pytest.mark.parametrize("size", [None, 0, 5, LONGEST, 2**32 - 2])
def test_a_bomb_is_not_unpacked_whatever_its_headers_say(pulled, size):
    data = archive((MEMBER, bytes(5_000_000)))
    assert len(data) < LONGEST
    line = refusal(pulled, data if size is None else with_size(data, size))
    assert line.endswith(": not read")
    assert "unpacks to more than 10,000 bytes" in line or "no archive that can be read" in line


def test_the_longest_file_that_may_be_is_read_and_one_byte_more_is_not(pulled):
    pulled.fake.add_artifact(RUN, NAME, {MEMBER: bytes(LONGEST)})
    assert len(read(pulled)) == LONGEST
    assert "unpacks to more than 10,000 bytes" in refusal(pulled, {MEMBER: bytes(LONGEST + 1)})


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"no archive", b"<html>", b"PK\x05\x06" + bytes(18)[:-1], archive((MEMBER, DATA))[:-10]]
)
def test_what_is_no_archive_is_refused(pulled, data):
    assert f"the artifact {NAME} is no archive that can be read" in refusal(pulled, data)


def test_an_empty_archive_holds_nothing(pulled):
    assert f"holds {MEMBER} 0 times" in refusal(pulled, archive())


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_is_packed_otherwise_is_refused(pulled, method):
    assert "packed in a way that GitHub does not use" in refusal(pulled, archive((MEMBER, DATA), method=method))


def test_an_archive_with_a_password_is_refused(pulled):
    data = bytearray(archive((MEMBER, DATA)))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert "no archive that can be read" in refusal(pulled, bytes(data))


def test_a_damaged_archive_is_refused_or_read_as_it_is_and_nothing_else_happens(pulled):
    whole = archive((MEMBER, DATA * 30), ("other", b"x"))
    chance = random.Random(7)  # noqa: S311 - which bytes are damaged
    outcomes = set()
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        pulled.fake.state.artifacts.clear()
        pulled.fake.add_artifact(RUN, NAME, bytes(data))
        try:
            outcomes.add(read(pulled) is None)
        except UsageError:
            outcomes.add("refused")
    assert "refused" in outcomes


def test_the_token_is_not_sent_to_the_host_that_holds_the_artifact(pulled, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login me password ghs_mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    pulled.fake.add_artifact(RUN, NAME, {MEMBER: DATA})
    assert read(pulled) == DATA
    assert pulled.fake.leaked_tokens == []


@contextmanager
def storage(pulled, status: int, chunks: Iterator[bytes]) -> Iterator[list[int]]:
    """A host of artifacts that answers in its own way; how much of it was sent."""
    sent: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            try:
                for chunk in chunks:
                    self.wfile.write(chunk)
                    sent.append(len(chunk))
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    pulled.fake.state.storage = f"http://localhost:{server.server_address[1]}"
    try:
        yield sent
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_archive_that_never_ends_is_not_read_to_its_end(pulled):
    pulled.fake.add_artifact(RUN, NAME, {MEMBER: DATA})
    endless = iter(lambda: bytes(1 << 16), b"")
    with (
        storage(pulled, 200, endless) as sent,
        pytest.raises(UsageError, match="is longer than 10,000 bytes: not read"),
    ):
        read(pulled)
    assert sum(sent) < 100 << 20


def test_a_host_that_refuses_is_asked_again_and_told(pulled):
    pulled.fake.add_artifact(RUN, NAME, {MEMBER: DATA})
    with storage(pulled, 403, iter([])), pytest.raises(GitHubError, match="cannot be reached"):
        read(pulled)
    assert pulled.slept == [1, 2, 4, 8]


def test_a_host_that_is_not_there_is_told(pulled):
    pulled.fake.add_artifact(RUN, NAME, {MEMBER: DATA})
    pulled.fake.state.storage = "http://127.0.0.1:9"
    with pytest.raises(GitHubError, match=r"cannot be reached \(ConnectionError\)"):
        read(pulled)


@pytest.mark.parametrize("address", ["file:///etc", "ftp://localhost", ""])
def test_an_address_of_another_kind_is_not_followed(pulled, address):
    pulled.fake.add_artifact(RUN, NAME, {MEMBER: DATA})
    pulled.fake.state.storage = address
    with pytest.raises(GitHubError, match="GitHub does not say where the artifact"):
        read(pulled)


@pytest.mark.parametrize(
    ("kind", "slept"),
    [(Fault.BAD_GATEWAY, [1]), (Fault.DROPPED, [1]), (Fault.TOO_MANY, [6]), (Fault.SECONDARY_SILENT, [60])],
)
@pytest.mark.parametrize("path", [r"/artifacts$", r"/zip$"])
def test_a_request_that_fails_once_is_repeated(pulled, path, kind, slept):
    pulled.fake.add_artifact(RUN, NAME, {MEMBER: DATA})
    pulled.fake.fail("GET", path, kind=kind, seconds=5)
    assert read(pulled) == DATA
    assert pulled.slept == slept


def test_a_token_that_may_not_read_artifacts_is_told_at_once(pulled):
    pulled.fake.add_artifact(RUN, NAME, {MEMBER: DATA})
    token = pulled.fake.token("no actions", {"contents": "read"})
    with pytest.raises(GitHubForbiddenError, match="GitHub answers 403"):
        read_artifact(pulled.repository(token), RUN, NAME, MEMBER, LONGEST)
    assert pulled.slept == []


def test_an_artifact_that_expires_meanwhile_is_told(pulled):
    artifact = pulled.fake.add_artifact(RUN, NAME, {MEMBER: DATA})
    pulled.fake.before("GET", r"/zip$", lambda: setattr(artifact, "expired", True))
    with pytest.raises(GitHubForbiddenError, match=r"GitHub answers 410 \(Artifact has expired\)"):
        read(pulled)
