from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from contextlib import suppress

import pytest
from tests.bench.test_proxy import CALL, MESSAGES, Scripted, completion

from llm_testgen.bench.exchanges import Exchanges
from llm_testgen.bench.proxy import Budget, Proxy, Rules
from llm_testgen.bench.proxy_server import serving
from llm_testgen.errors import UsageError


def served(upstream, client, path=None):
    """What a blocking client gets of a server that runs meanwhile."""
    proxy = Proxy(Rules("real"), Exchanges(), upstream)
    proxy.open_purse("key", Budget(100))

    async def run():
        async with serving(proxy, path) as address:
            return await asyncio.to_thread(client, address)

    return asyncio.run(run())


def send(address, method="POST", path="/v1/chat/completions", body=b"", key="key", length=None):  # noqa: PLR0913, PLR0917
    connection = http.client.HTTPConnection(address.split("/")[2], timeout=10)
    connection.request(
        method, path, body, {"Authorization": f"Bearer {key}", "Content-Length": length or str(len(body))}
    )
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response, text


def chat(address, **more):
    return send(address, body=json.dumps({"model": "known", "messages": MESSAGES, **more}).encode())


def test_a_client_gets_a_whole_answer():
    response, text = served(Scripted(completion("hello")), chat)
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
    assert json.loads(text)["choices"][0]["message"]["content"] == "hello"


def events(text):
    found = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert found.pop() == "[DONE]"
    return [json.loads(line) for line in found]


def test_a_client_that_wants_a_stream_gets_one():
    options = {"stream": True, "stream_options": {"include_usage": True}}
    upstream = Scripted(completion("hello"))
    response, text = served(upstream, lambda address: chat(address, **options))
    assert response.headers["Content-Type"] == "text/event-stream"
    first, last, usage = events(text)
    assert first["object"] == "chat.completion.chunk"
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "hello"}
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 10)
    assert "stream" not in upstream.sent[0]


def test_a_stream_numbers_choices_and_calls_of_tools():
    upstream = Scripted(completion(None, tool_calls=[CALL, CALL]), completion("b"))
    _, text = served(upstream, lambda address: chat(address, stream=True, n=2))
    told = events(text)
    assert [chunk["choices"][0]["index"] for chunk in told] == [0, 0, 1, 1]
    assert [call["index"] for call in told[0]["choices"][0]["delta"]["tool_calls"]] == [0, 1]


def test_the_models_are_listed():
    _, text = served(None, lambda address: send(address, "GET", "/v1/models"))
    assert [model["id"] for model in json.loads(text)["data"]] == ["real"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"path": "/v1/embeddings"}, 404),
        ({"body": b"no JSON"}, 400),
        ({"body": b"[]"}, 400),
        ({"body": b'{"messages": []}', "key": "other"}, 401),
        ({"body": b"[" * 50_000}, 400),
        # Python reads as much, but cannot go through it.
        ({"body": b'{"messages": [%s%s]}' % (b"[" * 800, b"]" * 800)}, 400),
        ({"length": "9" * 5000}, 413),
        ({"length": "-1"}, 413),
    ],
)
def test_what_cannot_be_answered_is_an_error_of_the_known_shape(asked, status):
    response, text = served(Scripted(), lambda address: send(address, **asked))
    assert response.status == status
    assert json.loads(text)["error"]["message"]


def test_a_unix_socket_serves_too_and_is_gone_afterwards(tmp_path):
    path = tmp_path / "model.sock"

    def client(address):
        assert address == ""
        body = json.dumps({"messages": MESSAGES}).encode()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            head = f"POST /v1/chat/completions HTTP/1.1\r\nAuthorization: Bearer key\r\nContent-Length: {len(body)}"
            connection.sendall(f"{head}\r\n\r\n".encode() + body)
            return connection.makefile("rb").read()

    assert b"200 OK" in served(Scripted(completion("hello")), client, path)
    assert not path.exists()


def test_a_socket_whose_path_is_too_long_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(UsageError, match=r"no socket can be made at .*: set TMPDIR to a folder with a shorter path"):
        served(Scripted(), lambda _: None, tmp_path / ("x" * 150))


def give_up(address):
    """Ask, and do not wait for the answer."""
    host, port = address.split("/")[2].split(":")
    body = json.dumps({"model": "known", "messages": MESSAGES}).encode()
    connection = http.client.HTTPConnection(host, int(port), timeout=0.3)
    connection.request("POST", "/v1/chat/completions", body, {"Authorization": "Bearer key"})
    with suppress(TimeoutError):
        connection.getresponse()
    connection.close()


def test_a_client_that_did_not_wait_gets_the_answer_when_it_asks_again():
    gone = threading.Event()

    class Slow(Scripted):
        async def complete(self, request):
            await asyncio.to_thread(gone.wait, 10)
            return await super().complete(request)

    def client(address):
        give_up(address)
        time.sleep(0.1)  # until the server has read that
        gone.set()
        return chat(address), chat(address)

    upstream = Slow(completion("first"), completion("second"))
    told = [json.loads(text)["choices"][0]["message"]["content"] for _, text in served(upstream, client)]
    assert (told, len(upstream.sent)) == (["first", "second"], 2)


def test_what_is_asked_when_the_server_ends_is_dropped():
    class Hanging:
        model = "real"
        ended = False

        async def complete(self, request):
            try:
                await asyncio.sleep(60)
            finally:
                self.ended = True

    upstream = Hanging()

    served(upstream, give_up)
    assert upstream.ended


def test_a_recording_that_cannot_be_written_ends_the_run(tmp_path):
    path = tmp_path / "gone" / "r.jsonl"
    proxy = Proxy(Rules("real"), Exchanges.open(path), Scripted(completion()))
    proxy.open_purse("key", Budget(100))

    def client(address):
        with suppress(http.client.HTTPException, ConnectionError):
            chat(address)

    async def run():
        async with serving(proxy) as address:
            await asyncio.to_thread(client, address)

    with pytest.raises(UsageError, match="cannot be written"):
        asyncio.run(run())
