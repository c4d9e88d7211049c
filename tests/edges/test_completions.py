from __future__ import annotations

import asyncio
import socket

import pytest
from tests.edges.fake_openai import Answer, FakeOpenAI, completion, refusal

from llm_testgen.edges.completions import Answered, CompletionsServer
from llm_testgen.edges.service import Service
from llm_testgen.errors import ModelError, UsageError

REQUEST = {"messages": [{"role": "user", "content": "é"}], "tools": [{"type": "function"}], "max_tokens": 7}


def ask(url, key="", **options):
    return asyncio.run(CompletionsServer(Service("m", url, key), **options).complete(REQUEST))


@pytest.mark.parametrize("ending", ["", "/v1", "/v1/", "/v1/chat/completions"])
def test_a_request_arrives_as_it_was_given_and_the_answer_comes_back_as_it_is(ending):
    with FakeOpenAI.scripted(completion("hello")) as fake:
        answer = ask(fake.url + ending, "secret")
    (request,) = fake.requests
    assert (request.path, request.body) == ("/v1/chat/completions", REQUEST)
    assert request.headers["authorization"] == "Bearer secret"
    assert answer.status == 200
    assert answer.body["choices"][0]["message"]["content"] == "hello"


def test_no_key_is_sent_where_there_is_none():
    with FakeOpenAI.scripted(completion("hello")) as fake:
        ask(fake.url)
    assert "authorization" not in fake.requests[0].headers


def test_a_refusal_is_an_answer_too():
    with FakeOpenAI.scripted(refusal(400, "too long"), Answer(503, b"<html>busy")) as fake:
        first, second = ask(fake.url), ask(fake.url)
    assert first == Answered(400, {"error": {"message": "too long", "type": "invalid_request_error"}})
    assert second == Answered(503, {"error": {"message": "<html>busy"}})


@pytest.mark.parametrize("answer", [Answer(200, b"no JSON"), Answer(delay=5)])
def test_what_is_no_answer_is_an_error_that_names_the_server(answer):
    with FakeOpenAI.scripted(answer) as fake, pytest.raises(ModelError, match=r"127\.0\.0\.1.* no usable answer"):
        ask(fake.url, seconds=0.5)


def test_a_server_that_is_not_there_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ModelError, match="see that the server runs"):
        ask(f"http://127.0.0.1:{port}")


def test_what_is_no_url_is_refused_at_once():
    with pytest.raises(UsageError):
        CompletionsServer(Service("m", "127.0.0.1", ""))
