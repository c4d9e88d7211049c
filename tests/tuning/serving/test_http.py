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
    server = listen(Said(), "the-key", "the-mixture")
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


def test_a_reply_has_a_name_a_time_and_the_model_that_was_asked_for(port):
    replies = [post(port, asked)[1] for asked in (ASKED, ASKED | {"model": None})]
    assert [one["model"] for one in replies] == ["any", "the-mixture"]
    assert len({one["id"] for one in replies}) == 2
    assert all(one["id"].startswith("chatcmpl-") for one in replies)
    assert all(abs(one["created"] - time.time()) < 60 for one in replies)


def test_what_clients_send_in_other_forms_is_taken(port):
    parts = [{"type": "text", "text": "hi"}, {"type": "text", "text": "there"}]
    turns = [{"role": "assistant", "content": None}, {"role": "user", "content": parts}]
    more = {"max_tokens": None, "temperature": None, "stop": None, "seed": None, "stream": False, "n": 1, "tools": []}
    status, said = post(port, ASKED | more | {"messages": turns, "response_format": {"type": "text"}})
    assert (status, said["choices"][0]["message"]["content"]) == (200, "hi\nthere!")
    for sent in ({"max_completion_tokens": 1}, {"max_completion_tokens": 1, "max_tokens": None}):
        assert post(port, ASKED | sent)[1]["choices"][0]["finish_reason"] == "length"
    assert post(port, ASKED | {"max_completion_tokens": 0, "max_tokens": None})[0] == 400


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
        (ASKED | {"top_p": 1.5}, 400, "top_p"),
        ([], 400, "body"),
        (ASKED | {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "no parts but texts"),
        (ASKED | {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, 400, "no parts but texts"),
        (ASKED | {"stream": True}, 400, "does not heed stream: leave it out"),
        (ASKED | {"n": 2}, 400, "does not heed n:"),
        (ASKED | {"tools": [{"type": "function"}]}, 400, "does not heed tools"),
        (ASKED | {"response_format": {"type": "json_object"}}, 400, "does not heed response_format"),
        (ASKED | {"frequency_penalty": 0.5}, 400, "does not heed frequency_penalty"),
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
