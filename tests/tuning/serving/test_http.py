from __future__ import annotations

import http.client
import json
import socket
import threading
import time

import pytest

pytest.importorskip("torch")

from llm_testgen.tuning.serving.chat import Answer, RefusedError
from llm_testgen.tuning.serving.http import listen

ASKED = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5, "model": "any", "unknown": 1}


class Said:
    """Says what it was asked, and refuses or fails at what it is told to."""

    ended = threading.Event()

    def answer(self, request, wanted):
        asked = request.messages[-1].content
        if asked == "too long":
            msg = "the prompt has no room"
            raise RefusedError(msg)
        if asked == "too much":
            msg = "out of\nmemory"
            raise RuntimeError(msg)
        if asked == "for ever":
            until = time.monotonic() + 20
            while wanted() and time.monotonic() < until:
                time.sleep(0.01)
            if time.monotonic() < until:
                self.ended.set()
        return Answer(f"{asked}!", request.max_tokens == 1, 20, 11, 2.0, 5.0)


@pytest.fixture(scope="module")
def port():
    server = listen(Said(), "the-key")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def post(port, body, *, key="the-key", path="/v1/chat/completions", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", path, data, {"Authorization": f"Bearer {key}"} | (headers or {}))
    response = connection.getresponse()
    found = response.status, json.loads(response.read())
    connection.close()
    return found


@pytest.mark.parametrize(("tokens", "reason"), [(5, "stop"), (1, "length")])
def test_a_chat_is_answered_in_openais_form_with_timings(port, tokens, reason):
    status, said = post(port, ASKED | {"max_tokens": tokens})
    assert status == 200
    assert said["choices"][0]["message"] == {"role": "assistant", "content": "hi!"}
    assert said["choices"][0]["finish_reason"] == reason
    assert said["usage"] == {"prompt_tokens": 20, "completion_tokens": 11, "total_tokens": 31}
    assert said["timings"] == {"prompt_per_second": 10.0, "predicted_per_second": 2.0}


@pytest.mark.parametrize("key", ["", "another", "ä"])
def test_without_the_key_nothing_is_answered(port, key):
    status, said = post(port, ASKED, key=key)
    assert status == 401
    assert "key" in said["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"not json", 400, "JSON"),
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "user"}]}, 400, r"messages.0.content"),
        (ASKED | {"max_tokens": 0}, 400, "max_tokens"),
        (ASKED | {"temperature": -1}, 400, "temperature"),
        (ASKED | {"seed": 2**64}, 400, "seed"),
        (
            ASKED | {"messages": [{"role": "user", "content": "too much"}]},
            500,
            "no reply could be drawn: out of memory",
        ),
        (ASKED | {"messages": [{"role": "user", "content": "too long"}]}, 400, "the prompt has no room"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(port, body, status, message):
    found, said = post(port, body)
    assert found == status
    assert message in said["error"]["message"]


def test_other_places_and_bodies_without_bounds_are_refused(port):
    assert post(port, ASKED, path="/v1/models")[0] == 404
    assert post(port, b"{}", headers={"Content-Length": "99999999999"})[0] == 413
    assert post(port, b"{}", headers={"Content-Length": "9" * 5000})[0] == 413


def test_who_gives_up_holds_up_nobody(port):
    body = json.dumps(ASKED | {"messages": [{"role": "user", "content": "for ever"}]})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nAuthorization: Bearer the-key\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.sendall((head + body).encode())
        time.sleep(0.2)
        assert not Said.ended.is_set()
    assert post(port, ASKED)[0] == 200
    assert Said.ended.is_set()
