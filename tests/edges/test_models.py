import asyncio
import email.utils
import json
import re
import socket
import time

import pytest
from tests.edges.fake_openai import PREFILL, Answer, FakeOpenAI, completion, make_prompt, refusal

from llm_testgen.edges import models
from llm_testgen.edges.models import HubFile, HubModel, Patience, Sampling, Service, TokenBudget, download_from_hub
from llm_testgen.edges.prefill import join_prefill
from llm_testgen.edges.tokens import estimate_tokens
from llm_testgen.errors import ModelError, UsageError
from llm_testgen.records import Usage

REST = "negative():\n    assert human(1) == '1 B'\n"
SAMPLING = Sampling(temperature=0.3, seed=7, max_tokens=100)
SECRET = "sk-do-not-show-me"  # noqa: S105  # opens nothing


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 0.0
        self.slept = []

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def patience(self, **changes):
        return Patience(sleep=self.sleep, clock=lambda: self.now, **changes)


def ask(fake, *prompts, service=None, patience=None):
    """The replies to the prompts, one after the other, by one model."""

    async def run():
        model = HubModel(service or Service("m", fake.url), patience=patience or FakeTime().patience())
        try:
            return [await model.reply(prompt, SAMPLING) for prompt in prompts]
        finally:
            await model.close()

    return asyncio.run(run())


def failure(fake, *prompts, **kwargs):
    with pytest.raises(ModelError) as caught:
        ask(fake, *(prompts or (make_prompt(),)), **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/chat/completions", "/v1/chat/completions/"])
def test_an_endpoint_may_be_given_as_root_as_v1_or_in_full(path):
    with FakeOpenAI.scripted(completion("x")) as fake:
        ask(fake, make_prompt(), service=Service("m", fake.url + path))
    assert [request.path for request in fake.requests] == ["/v1/chat/completions"]


def test_a_path_before_v1_and_a_query_are_kept():
    with FakeOpenAI.scripted(completion("x")) as fake:
        ask(fake, make_prompt(), service=Service("m", fake.url + "/team/v1?api-version=2"))
    assert fake.requests[0].path == "/team/v1/chat/completions?api-version=2"


def test_a_request_carries_the_chat_the_prefill_and_the_sampling():
    with FakeOpenAI.scripted(completion(REST)) as fake:
        ask(fake, make_prompt())
    body = fake.requests[0].body
    assert body["messages"] == [
        {"role": "system", "content": "You write tests."},
        {"role": "user", "content": "Write tests."},
        {"role": "assistant", "content": PREFILL},
    ]
    assert (body["model"], body["temperature"], body["seed"], body["max_tokens"]) == ("m", 0.3, 7, 100)
    assert body["stop"] == ["\n```"]
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)


def test_without_a_prefill_nothing_is_continued_and_no_fence_stops_the_reply():
    with FakeOpenAI.scripted(completion("Sure:\n```python\nx\n```")) as fake:
        [reply] = ask(fake, make_prompt(prefill=""))
    assert fake.requests[0].prefill == ""
    assert {"stop", "continue_final_message", "add_generation_prompt"}.isdisjoint(fake.requests[0].body)
    assert reply.text == "Sure:\n```python\nx\n```"


def test_a_lone_surrogate_in_a_prompt_does_not_stop_the_request():
    with FakeOpenAI.scripted(completion("x")) as fake:
        ask(fake, make_prompt(text="a\ud800b"))
    assert fake.requests[0].body["messages"][1]["content"] == "a?b"


@pytest.mark.parametrize("key", ["", SECRET])
def test_an_endpoint_never_sees_the_hugging_face_token(key, monkeypatch, tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text("hf_saved")
    monkeypatch.setenv("HF_TOKEN", "hf_environment")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(token_file))
    with FakeOpenAI.scripted(completion("x")) as fake:
        ask(fake, make_prompt(), service=Service("m", fake.url, key))
    assert fake.requests[0].headers["authorization"] == f"Bearer {key or 'none'}"
    assert "hf_environment" not in json.dumps(dict(fake.requests[0].headers))


def test_a_server_on_this_machine_is_reached_past_proxies_and_offline_mode(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as dead_proxy:
        address = f"http://127.0.0.1:{dead_proxy.getsockname()[1]}"
    monkeypatch.setenv("HTTP_PROXY", address)
    monkeypatch.setenv("ALL_PROXY", address)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with FakeOpenAI.scripted(completion(REST)) as fake:
        [reply] = ask(fake, make_prompt())
    assert reply.text == PREFILL + REST


@pytest.mark.parametrize("answered", [REST, PREFILL + REST, "\n " + PREFILL + REST])
def test_a_reply_begins_with_the_prefill_exactly_once_echoed_or_not(answered):
    with FakeOpenAI.scripted(completion(answered)) as fake:
        [reply] = ask(fake, make_prompt())
    assert reply.text == PREFILL + REST


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("```python\nimport os\n", False),
        ("import pytest\nfrom a import b\n", False),
        ("Here are the tests:", False),
        ("(n):\n    pass", True),
        ("very_long_nam", True),
        ("a[T]():\n    pass", True),
        ("a():\n    s = '''\n```python\n'''\n", True),
    ],
)
def test_a_message_of_its_own_is_told_from_a_continuation(text, joined):
    assert join_prefill(PREFILL, text) == ((PREFILL + text if joined else text), joined)


def test_a_prefill_that_ends_with_a_whole_line_can_be_followed_by_anything_but_a_new_beginning():
    assert join_prefill("```python\nimport os\n", "def test_a():\n") == ("```python\nimport os\ndef test_a():\n", True)
    assert join_prefill("```python\nimport os\n", "import os\n") == ("import os\n", False)


def test_without_prefill_or_text_nothing_is_added():
    assert join_prefill("", "  x")[0] == "  x"
    assert join_prefill(PREFILL, " \n") == ("", False)


def test_an_empty_answer_is_a_reply_with_an_empty_text():
    with FakeOpenAI.scripted(completion("")) as fake:
        [reply] = ask(fake, make_prompt())
    assert reply.text == ""


def test_a_server_that_starts_anew_gets_no_more_prefills_and_no_stop():
    with FakeOpenAI.scripted(completion("Here you are:")) as fake:
        first, second = ask(fake, make_prompt(), make_prompt())
    assert [request.prefill for request in fake.requests] == [PREFILL, ""]
    assert "stop" not in fake.requests[1].body
    assert first.text == second.text == "Here you are:"


def test_one_reply_that_starts_anew_does_not_end_prefills_where_others_were_continued():
    with FakeOpenAI.scripted(completion(REST), completion("Sorry, no."), completion(REST)) as fake:
        ask(fake, *(make_prompt() for _ in range(3)))
    assert [request.prefill for request in fake.requests] == [PREFILL] * 3


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_refuses_unknown_fields_is_asked_without_them_from_then_on(status):
    def strict(request):
        if "continue_final_message" in request.body:
            return refusal(status, "Unrecognized request argument")
        return completion(REST)

    with FakeOpenAI(strict) as fake:
        first, second = ask(fake, make_prompt(), make_prompt())
    assert ["continue_final_message" in request.body for request in fake.requests] == [True, False, False]
    assert first.text == second.text == PREFILL + REST


def test_a_server_that_refuses_a_last_message_of_the_assistant_is_asked_without_it_from_then_on():
    def strict(request):
        return refusal(400, "last message must be from user") if request.prefill else completion("```python\nx\n```")

    with FakeOpenAI(strict) as fake:
        first, second = ask(fake, make_prompt(), make_prompt())
    assert [bool(request.prefill) for request in fake.requests] == [True, True, False, False]
    assert first.text == second.text == "```python\nx\n```"


def test_a_refusal_that_has_nothing_to_do_with_the_prefill_is_an_error_and_not_remembered():
    def full(request):
        return completion(REST) if "short" in request.body["messages"][1]["content"] else refusal(400, "context size")

    async def run(fake):
        model = HubModel(Service("m", fake.url), patience=FakeTime().patience())
        with pytest.raises(ModelError, match="400 context size"):
            await model.reply(make_prompt(text="long"), SAMPLING)
        return await model.reply(make_prompt(text="short"), SAMPLING)

    with FakeOpenAI(full) as fake:
        reply = asyncio.run(run(fake))
    assert reply.text == PREFILL + REST
    assert fake.requests[-1].prefill == PREFILL


def test_usage_and_truncation_are_the_servers():
    with FakeOpenAI.scripted(completion(REST, finish="length", usage=(120, 30))) as fake:
        [reply] = ask(fake, make_prompt())
    assert (reply.usage.tokens_in, reply.usage.tokens_out, reply.truncated, reply.model) == (120, 30, True, "m")


def test_usage_is_estimated_where_the_server_does_not_say():
    with FakeOpenAI.scripted(completion("x" * 30, usage=None)) as fake:
        [reply] = ask(fake, make_prompt(prefill=""))
    assert reply.usage.tokens_out == 10
    assert reply.usage.tokens_in == estimate_tokens("You write tests.") + estimate_tokens("Write tests.")
    assert not reply.truncated


def test_seconds_are_measured():
    with FakeOpenAI(lambda _: Answer(200, completion(REST).body, delay=0.05)) as fake:
        [reply] = ask(fake, make_prompt(), patience=Patience())
    assert 0.05 <= reply.usage.seconds < 5


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_trouble_is_waited_out_ever_longer(status):
    time_ = FakeTime()
    trouble = refusal(status, "busy")
    with FakeOpenAI.scripted(trouble, trouble, trouble, completion(REST)) as fake:
        [reply] = ask(fake, make_prompt(), patience=time_.patience())
    assert reply.text == PREFILL + REST
    for slept, longest in zip(time_.slept, (1, 2, 4), strict=True):
        assert longest / 2 <= slept <= longest


def test_retry_after_is_obeyed_in_seconds_and_as_a_date():
    time_ = FakeTime()
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    answers = (refusal(429, "a", **{"retry-after": "17"}), refusal(503, "b", **{"retry-after": date}), completion("x"))
    with FakeOpenAI.scripted(*answers) as fake:
        ask(fake, make_prompt(), patience=time_.patience())
    assert time_.slept[0] == 17
    assert 27 <= time_.slept[1] <= 31


def test_a_server_that_asks_for_too_long_a_wait_is_given_up_at_once():
    time_ = FakeTime()
    with FakeOpenAI.scripted(refusal(429, "quota", **{"retry-after": "3600"})) as fake:
        assert "asked once" in failure(fake, patience=time_.patience())
    assert time_.slept == []


def test_lasting_trouble_ends_after_a_bounded_number_of_requests():
    time_ = FakeTime()
    with FakeOpenAI.scripted(refusal(503, "loading")) as fake:
        message = failure(fake, patience=time_.patience())
    assert len(fake.requests) == 6
    assert "asked 6 times" in message
    assert "503 loading" in message


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"", {}),
        Answer(200, b"<html><body>hello</body></html>", {"content-type": "text/html"}),
        Answer(200, b"\xff\xfe\x00", {}),
        Answer(200, b"[]", {}),
        Answer(200, b"null", {}),
        Answer(200, b"{}", {}),
        Answer(200, b'{"choices": []}', {}),
        Answer(200, b'{"choices": {"a": 1}}', {}),
        Answer(200, b'{"choices": "abc"}', {}),
        Answer(200, b'{"choices": [{"finish_reason": "stop", "message": null}]}', {}),
        Answer(200, b'{"choices": [{"finish_reason": "stop", "message": {"content": null}}]}', {}),
        Answer(200, b'{"choices": [{"finish_reason": "stop", "message": {"content": 3}}]}', {}),
        Answer(500, b'["a list"]', {}),
        Answer(301, b"", {"location": "/elsewhere"}),
    ],
)
def test_rubbish_is_asked_for_again_and_then_an_error(answer):
    with FakeOpenAI.scripted(answer, completion(REST)) as fake:
        assert ask(fake, make_prompt())[0].text == PREFILL + REST
    with FakeOpenAI.scripted(answer) as fake:
        assert "no usable answer" in failure(fake)


def test_a_reasoning_model_that_was_cut_before_its_answer_gives_an_empty_truncated_reply():
    with FakeOpenAI.scripted(completion(None, finish="length")) as fake:
        [reply] = ask(fake, make_prompt())
    assert (reply.text, reply.truncated) == ("", True)


def test_a_server_that_never_answers_is_left_in_the_end():
    slow = Answer(200, completion("x").body, delay=0.5)
    with FakeOpenAI.scripted(slow) as fake:
        message = failure(fake, patience=FakeTime().patience(timeout=0.05, attempts=2))
    assert "no answer within 0.05 s" in message


def test_time_that_was_waited_in_vain_counts_towards_the_whole():
    with FakeOpenAI.scripted(Answer(200, b"", delay=0.3)) as fake:
        failure(fake, patience=Patience(timeout=0.1, total=0.25, first_delay=0.01))
    assert 1 < len(fake.requests) < 6


def test_a_server_that_is_not_there_is_an_error_that_names_it():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    message = failure(None, service=Service("m", url))
    assert url in message
    assert "connection failed" in message


@pytest.mark.parametrize(("status", "words"), [(401, "LLM_API_KEY"), (403, "LLM_API_KEY"), (404, "--model")])
def test_a_lasting_refusal_is_an_error_at_once_that_says_what_to_set(status, words):
    with FakeOpenAI.scripted(refusal(status, "no\nway")) as fake:
        message = failure(fake, service=Service("m", fake.url, SECRET))
    assert len(fake.requests) == 1
    assert words in message
    assert "no way" in message


def test_for_inference_providers_it_is_the_hugging_face_token_that_is_named():
    assert Service("m", key="hf_x").key_variable == "HF_TOKEN"


@pytest.mark.parametrize(
    "body",
    [
        b'{"object": "error", "message": "too  long"}',
        b'{"detail": "too long"}',
        b'{"detail": [{"msg": "too long"}]}',
        b'{"error": "too long"}',
        b"too long",
    ],
)
def test_the_servers_words_are_found_in_every_shape_of_error(body):
    with FakeOpenAI.scripted(Answer(413, body, {"content-type": "application/json"})) as fake:
        assert failure(fake).endswith("refuses the request: 413 too long")


def test_a_page_of_markup_is_not_shown():
    with FakeOpenAI.scripted(Answer(413, b"<!DOCTYPE html><html>" + b"x" * 5000, {})) as fake:
        assert "html" not in failure(fake)


@pytest.mark.parametrize("status", [400, 401, 404, 418, 500])
def test_no_message_holds_a_secret(status):
    with FakeOpenAI.scripted(refusal(status, f"Incorrect API key provided: {SECRET}")) as fake:
        url = fake.url.replace("//", "//user:hunter2@") + "?code=query-secret"
        service = Service("m", url, SECRET)
        message = failure(fake, service=service)
    for secret in (SECRET, "hunter2", "query-secret"):
        assert secret not in message
        assert secret not in repr(service)


@pytest.mark.parametrize("key", ["a b", "key\n", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_refused_without_being_shown(key):
    with pytest.raises(UsageError, match="LLM_API_KEY") as caught:
        HubModel(Service("m", "http://127.0.0.1:1", key))
    assert key not in str(caught.value)


def test_inference_providers_take_a_hugging_face_token_only():
    with pytest.raises(UsageError, match="HF_TOKEN") as caught:
        HubModel(Service("org/model", key=SECRET))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://", "http://[::1", "http://host:port"])
def test_an_endpoint_that_is_no_url_is_refused(url):
    with pytest.raises(UsageError, match=re.escape(url)):
        HubModel(Service("m", url))


def test_several_requests_at_once_each_get_their_own_reply():
    async def run(fake):
        model = HubModel(Service("m", fake.url), patience=FakeTime().patience())
        prompts = [make_prompt(text=str(number), prefill="") for number in range(8)]
        replies = await asyncio.gather(*(model.reply(prompt, SAMPLING) for prompt in prompts))
        await model.close()
        return replies

    with FakeOpenAI(lambda request: completion("re " + request.body["messages"][1]["content"])) as fake:
        replies = asyncio.run(run(fake))
    assert [reply.text for reply in replies] == [f"re {number}" for number in range(8)]


@pytest.mark.parametrize("total", [0, 100, 1000, 5000])
def test_all_requests_together_never_exceed_the_budget(total):
    def greedy(request):
        tokens_in = sum(len(message["content"]) for message in request.body["messages"]) // 3
        return completion("x", usage=(tokens_in, request.body["max_tokens"]))

    budget = TokenBudget(total)
    used = []

    async def worker(model, number):
        for turn in range(10):
            prompt = make_prompt(text="word " * (number * 10 + turn))
            granted = budget.reserve(prompt, 300)
            if granted == 0:
                return
            assert 64 <= granted <= 300
            reply = await model.reply(prompt, Sampling(0.0, None, granted))
            budget.settle(reply.usage)
            used.append(reply.usage.tokens)

    async def run(fake):
        model = HubModel(Service("m", fake.url), patience=FakeTime().patience())
        await asyncio.gather(*(worker(model, number) for number in range(4)))
        await model.close()

    with FakeOpenAI(greedy) as fake:
        asyncio.run(run(fake))
    assert sum(used) == budget.spent <= total
    assert (budget.spent > total / 2) == (total >= 1000)


def test_a_failed_request_gives_its_reservation_back():
    budget = TokenBudget(1000)
    for _ in range(50):
        assert budget.reserve(make_prompt(), 500) == 500
        budget.settle(Usage())
    assert budget.spent == 0


def test_reservations_settled_in_another_order_still_cover_what_is_under_way():
    budget = TokenBudget(1400)
    small = budget.reserve(make_prompt(), 100)
    large = budget.reserve(make_prompt(), 1000)
    assert (small, large) == (100, 1000)
    budget.settle(Usage(10, 90))  # the large one's, which wrote little
    left = budget.reserve(make_prompt(), 1000)
    assert left < 400  # as if the large one were still to be paid


def test_without_a_limit_the_budget_grants_everything():
    budget = TokenBudget(None)
    assert budget.reserve(make_prompt(), 4096) == 4096
    budget.settle(Usage(5, 6))
    assert budget.spent == 11


def test_a_prompt_of_digits_or_signs_outside_ascii_is_not_underestimated():
    grants = [
        TokenBudget(3000).reserve(make_prompt(text=text), 5000)
        for text in ("a" * 1000, "7" * 1000, "\N{SNOWMAN}" * 1000)
    ]
    assert grants[0] - grants[1] == 500
    assert grants[2] == 0


def test_a_hub_that_cannot_be_reached_is_found_out_quickly(tmp_path, monkeypatch):
    template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    started = time.monotonic()
    with pytest.raises(ModelError, match=r"the hub does not give a/b/c\.gguf"):
        download_from_hub(HubFile("a/b", "c.gguf", "main"), tmp_path, lambda *_: None)
    assert time.monotonic() - started < 10


def test_the_reporter_counts_the_bar_that_is_ahead():
    seen = []
    bar = models._progress_bar(lambda done, whole: seen.append((done, whole)))
    with bar(total=10, initial=2, unit="B") as first, bar(total=10) as second:
        first.update(3)
        second.update(1)
        first.update(9)
    assert seen == [(5, 10), (5, 10), (10, 10)]
