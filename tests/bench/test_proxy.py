from __future__ import annotations

import asyncio

import pytest

from llm_testgen.bench.exchanges import Exchanges
from llm_testgen.bench.proxy import Budget, Proxy, Rules
from llm_testgen.edges.completions import Answered
from llm_testgen.errors import ModelError, UsageError
from llm_testgen.records import Usage

MESSAGES = [{"role": "user", "content": "Write tests."}]
CALL = {"id": "c1", "type": "function", "function": {"name": "get_info", "arguments": "{}"}}


def completion(text="hello", tokens_out=10, **message):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text, **message}}
    return Answered(200, {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": tokens_out}})


class Scripted:
    """Gives answers in turn; an error among them is raised."""

    model = "real"

    def __init__(self, *answers):
        self.left = list(answers)
        self.sent = []

    async def complete(self, request):
        self.sent.append(request)
        answer = self.left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def ask(upstream, *requests, budget=None, exchanges=None, rules=None):
    """Each request in turn: the answers, and the purse."""
    proxy = Proxy(rules or Rules("real"), Exchanges() if exchanges is None else exchanges, upstream)
    purse = proxy.open_purse("key", budget or Budget(100))

    async def run():
        return [await proxy.chat("key", {"model": "known", "messages": MESSAGES, **more}) for more in requests]

    return asyncio.run(run()), purse


def code_of(answer):
    return answer.body["error"]["code"]


def test_a_request_is_sent_with_the_benchmarks_own_model_temperature_and_seed():
    upstream = Scripted(completion())
    asked = {
        "temperature": 0.9,
        "seed": 77,
        "stream": True,
        "user": "me",
        "n_predict": -1,
        "tools": [{"type": "function"}],
        "top_p": 1,
    }
    (answer,), purse = ask(upstream, asked, rules=Rules("real", 0.2, 5))
    assert upstream.sent == [
        {
            "messages": MESSAGES,
            "tools": [{"type": "function"}],
            "top_p": 1,
            "model": "real",
            "temperature": 0.2,
            "seed": 5,
            "max_tokens": 100,
        }
    ]
    # The generator looks up the price of the model that it asked for.
    assert answer.body["model"] == "known"
    assert answer.body["usage"] == {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    assert (purse.usage.tokens_in, purse.usage.tokens_out, purse.replies) == (100, 10, 1)


@pytest.mark.parametrize(
    ("asked", "reply_tokens", "sent"),
    [
        ({}, None, [100, 60]),
        ({"max_tokens": 70}, None, [70, 60]),
        ({"max_completion_tokens": 16_384}, 50, [50, 50]),
    ],
)
def test_what_is_left_bounds_a_reply(asked, reply_tokens, sent):
    upstream = Scripted(completion(tokens_out=40), completion(tokens_out=40))
    ask(upstream, asked, asked, budget=Budget(100, reply_tokens))
    assert [request["max_tokens"] for request in upstream.sent] == sent


def test_when_nothing_is_left_requests_are_refused_and_counted():
    upstream = Scripted(completion(tokens_out=100))
    answers, purse = ask(upstream, {}, {}, {})
    assert [answer.status for answer in answers] == [200, 400, 400]
    assert code_of(answers[1]) == "budget_spent"
    assert (purse.left, purse.refused, len(upstream.sent)) == (0, 2, 1)


def test_two_requests_at_once_do_not_spend_the_same_tokens():
    upstream = Scripted(completion(tokens_out=60), completion(tokens_out=40))
    proxy = Proxy(Rules("real"), Exchanges(), upstream)
    proxy.open_purse("key", Budget(100))

    async def run():
        await asyncio.gather(*(proxy.chat("key", {"messages": MESSAGES}) for _ in range(2)))

    asyncio.run(run())
    assert [request["max_tokens"] for request in upstream.sent] == [100, 40]


def test_several_choices_share_what_is_left_and_have_seeds_of_their_own():
    upstream = Scripted(completion("a", 30), completion("b", 20), completion("c", 20))
    (answer,), purse = ask(upstream, {"n": 3})
    assert [(request["max_tokens"], request["seed"]) for request in upstream.sent] == [(33, 0), (35, 1), (50, 2)]
    assert [(one["index"], one["message"]["content"]) for one in answer.body["choices"]] == [
        (0, "a"),
        (1, "b"),
        (2, "c"),
    ]
    assert answer.body["usage"]["completion_tokens"] == purse.usage.tokens_out == 70


def test_calls_of_tools_are_passed_on():
    (answer,), _ = ask(Scripted(completion(None, tool_calls=[CALL])), {"tools": [{}]})
    assert answer.body["choices"][0]["message"]["tool_calls"] == [CALL]


def test_a_replay_gives_the_same_answers_in_the_same_order_and_counts_what_it_does_not_know(tmp_path):
    path = tmp_path / "r.jsonl"
    upstream = Scripted(completion("one", 10), completion("two", 10), Answered(400, {"error": {"message": "long"}}))
    longer = {"messages": [*MESSAGES, {"role": "user", "content": "again"}]}
    same = {"max_tokens": 20}
    told, purse = ask(upstream, same, same, longer, exchanges=Exchanges.open(path))
    replayed, account = ask(None, same, same, longer, same, exchanges=Exchanges.from_file(path))
    assert replayed[:3] == told
    assert [answer.status for answer in told] == [200, 200, 400]
    assert (replayed[3].status, code_of(replayed[3])) == (400, "not_recorded")
    assert (account.unrecorded, account.replies, account.usage) == (1, 2, purse.usage)


def test_half_a_character_that_a_server_sends_does_not_spoil_the_recording(tmp_path):
    path = tmp_path / "r.jsonl"
    (told,), _ = ask(Scripted(completion("cut \ud83d")), {}, exchanges=Exchanges.open(path))
    (again,), _ = ask(None, {}, exchanges=Exchanges.open(path))
    assert told == again
    assert told.body["choices"][0]["message"]["content"] == "cut ?"


def test_a_run_that_was_killed_goes_on_and_pays_for_no_reply_twice(tmp_path):
    path = tmp_path / "r.jsonl"
    ask(Scripted(completion("one")), {"max_tokens": 20}, exchanges=Exchanges.open(path))
    upstream = Scripted(completion("two"))
    told, _ = ask(upstream, {"max_tokens": 20}, {"max_tokens": 20}, exchanges=Exchanges.open(path))
    assert [answer.body["choices"][0]["message"]["content"] for answer in told] == ["one", "two"]
    assert len(upstream.sent) == 1


@pytest.mark.parametrize(
    "trouble", [ModelError("it is gone"), Answered(503, {}), Answered(200, {"choices": []}), Answered(404, {})]
)
def test_what_may_go_away_is_an_error_of_the_server_and_is_not_written_down(trouble, tmp_path):
    path = tmp_path / "r.jsonl"
    told, purse = ask(Scripted(trouble, completion("now")), {}, {}, exchanges=Exchanges.open(path))
    assert [answer.status for answer in told] == [502, 200]
    assert (purse.failed, len(Exchanges.from_file(path))) == (1, 1)


def test_a_server_that_takes_no_request_at_all_is_not_written_down_as_one_that_refuses_them(tmp_path):
    path = tmp_path / "r.jsonl"
    no_tools, long = (Answered(400, {"error": {"message": text}}) for text in ("no tools here", "too long"))
    told, purse = ask(Scripted(no_tools, no_tools), {}, {}, exchanges=Exchanges.open(path))
    assert [answer.status for answer in told] == [400, 400]
    assert [one.reply for one in purse.rejected] == [no_tools.body, no_tools.body]
    assert not path.exists()
    requests = {}, {"top_p": 1}, {"top_p": 0.5}
    told, purse = ask(Scripted(long, completion("one"), long), *requests, exchanges=Exchanges.open(path))
    assert [answer.status for answer in told] == [400, 200, 400]
    assert purse.rejected == []
    replayed, _ = ask(None, *requests, exchanges=Exchanges.from_file(path))
    assert replayed == told


def test_a_server_that_took_one_before_is_one_that_refuses(tmp_path):
    path = tmp_path / "r.jsonl"
    ask(Scripted(completion("one")), {}, exchanges=Exchanges.open(path))
    requests = {"top_p": 1}, {}
    told, purse = ask(
        Scripted(Answered(400, {"error": {"message": "too long"}})), *requests, exchanges=Exchanges.open(path)
    )
    assert [answer.status for answer in told] == [400, 200]
    assert purse.rejected == []
    assert ask(None, *requests, exchanges=Exchanges.from_file(path))[0] == told


def test_what_is_waited_for_is_not_what_was_recorded(tmp_path):
    path = tmp_path / "r.jsonl"
    _, purse = ask(Scripted(completion("one")), {}, exchanges=Exchanges.open(path))
    assert purse.waited > 0
    assert ask(None, {}, exchanges=Exchanges.from_file(path))[1].waited == 0


def test_tokens_are_estimated_where_the_server_does_not_count_them():
    (answer,), purse = ask(Scripted(Answered(200, {"choices": completion().body["choices"]})), {})
    assert purse.usage.tokens_in > 0
    assert purse.usage.tokens_out > 0
    assert answer.body["usage"]["completion_tokens"] == purse.usage.tokens_out


def test_an_unknown_key_and_a_request_without_messages_are_refused():
    proxy = Proxy(Rules("real"), Exchanges(), Scripted())
    purse = proxy.open_purse("key", Budget(10))
    unknown = asyncio.run(proxy.chat("other", {"messages": MESSAGES}))
    empty = asyncio.run(proxy.chat("key", {}))
    assert (unknown.status, empty.status, purse.usage) == (401, 400, Usage())


@pytest.mark.parametrize("name", ["key", "", "a b", "é"])
def test_each_purse_has_a_name_of_its_own_that_can_be_a_key(name):
    proxy = Proxy(Rules("real"), Exchanges())
    proxy.open_purse("key", Budget(10))
    with pytest.raises(UsageError, match="no name for another purse"):
        proxy.open_purse(name, Budget(10))
