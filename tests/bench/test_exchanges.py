from __future__ import annotations

import gzip

import pytest

from llm_testgen.bench import exchanges
from llm_testgen.bench.exchanges import Exchange, Exchanges, request_digest
from llm_testgen.errors import UsageError


def exchange(text="hello", digest="d", purse="p"):
    reply = {"choices": [{"message": {"role": "assistant", "content": text}}]}
    return Exchange(
        purse=purse, digest=digest, status=200, reply=reply, model="m", tokens_in=3, tokens_out=2, seconds=0.5
    )


def test_answers_to_the_same_request_are_given_in_their_order_to_each_purse(tmp_path, monkeypatch):
    monkeypatch.setattr(exchanges, "RECORDED", tmp_path / "none")
    recording = Exchanges.open(tmp_path / "r.jsonl")
    for one in (exchange("one"), exchange("two"), exchange("other", purse="q")):
        recording.add(one)
    again = Exchanges.open(tmp_path / "r.jsonl")
    assert len(again) == 3
    assert [again.find("p", "d", times) for times in range(3)] == [exchange("one"), exchange("two"), None]
    assert again.find("q", "d", 0) == exchange("other", purse="q")
    assert again.find("p", "e", 0) is None


def test_half_a_line_of_a_killed_run_is_dropped(tmp_path):
    path = tmp_path / "r.jsonl"
    Exchanges.open(path).add(exchange("one"))
    with path.open("a") as stream:
        stream.write('{"purse": "p", "dig')
    Exchanges.open(path).add(exchange("two"))
    assert len(Exchanges.from_file(path)) == 2


def test_a_compressed_recording_is_read_too(tmp_path):
    path = tmp_path / "r.jsonl.gz"
    path.write_bytes(gzip.compress(exchange().model_dump_json().encode() + b"\n"))
    assert Exchanges.from_file(path).find("p", "d", 0) == exchange()


def test_what_comes_along_is_gone_on_with_and_packed_again(tmp_path, monkeypatch):
    shipped = tmp_path / "peers.jsonl.gz"
    monkeypatch.setattr(exchanges, "RECORDED", shipped)
    first = Exchanges.open(tmp_path / "first.jsonl")
    for one in (exchange("one"), exchange("kept", purse="q"), exchange("two")):
        first.add(one)
    shipped.write_bytes(first.pack())
    path = tmp_path / "second.jsonl"
    second = Exchanges.open(path)
    assert second.find("p", "d", 1) == exchange("two")
    second.add(exchange("three"))
    # What is added to one purse does not copy the others, and all of that purse comes back in its order.
    assert len(path.read_text().splitlines()) == 3
    third = Exchanges.open(path)
    assert [third.find("p", "d", times) for times in range(4)] == [*map(exchange, ("one", "two", "three")), None]
    assert third.find("q", "d", 0) == exchange("kept", purse="q")
    assert len(third) == 4
    assert third.pack() == Exchanges.open(path).pack() != first.pack()


@pytest.mark.parametrize("data", [b'{"no": "exchange"}\n', b"\xff\n", b"\x1f\x8bno gzip"])
def test_what_is_no_recording_is_refused(tmp_path, data):
    path = tmp_path / "r.jsonl"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="holds no exchanges with a model"):
        Exchanges.open(path)


def test_a_recording_that_is_not_there_cannot_be_replayed(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        Exchanges.from_file(tmp_path / "r.jsonl")


def said(text, **more):
    return request_digest({"messages": [{"role": "user", "content": text}], **more})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/var/llm-testgen-ab12/project/tests/x.py:3", "/var/llm-testgen-zz99/project/tests/x.py:3"),
        ("tests/tmp_test_ab12cd_3.py:9: AssertionError", "tests/tmp_test_zz99yy_8.py:9: AssertionError"),
        ("<X object at 0x7f1234567890>", "<X object at 0x7f0987654321>"),
        ("1 failed in 0.12s", "1 failed in 3.40s"),
        ("\x1b[31mE\x1b[0m", "E"),
        ("pytest-of-me/pytest-3/x", "pytest-of-me/pytest-41/x"),
        (
            "/a/b/lib/python3.11/site-packages/_pytest/python.py:4: in x",
            "../../c/site-packages/_pytest/python.py:4: in x",
        ),
        (
            'File "/usr/lib/python3.11/ast.py", line 50, in parse',
            'File "/opt/py/lib64/python3.11/ast.py", line 52, in parse',
        ),
        ("/usr/lib/python3.11/ast.py:50: in parse", "/opt/py/lib64/python3.11/ast.py:52: in parse"),
        ("<frozen importlib._bootstrap>:690: in _load", "<frozen importlib._bootstrap>:688: in _load"),
        ('File "<frozen importlib._bootstrap>", line 690', 'File "<frozen importlib._bootstrap>", line 688'),
        ("<MagicMock name='f' id='139872345678912'>", "<MagicMock name='f' id='140000000000000'>"),
        ("<Thread(T-1, started daemon 139872345678912)>", "<Thread(T-1, started daemon 140000000000000)>"),
        ("1 failed in 61.00s (0:01:01)", "1 failed in 59.20s"),
    ],
)
def test_what_differs_from_run_to_run_does_not_make_another_request(first, second):
    assert said(first) == said(second)


def test_what_was_asked_makes_the_request():
    known = [said("a"), said("b"), said("/x/site-packages/a.py:1"), said("/x/site-packages/a.py:2")]
    known += [
        said("of the project: a.py:1"),
        said("of the project: a.py:2"),
        said("a", max_tokens=1),
        said("a", max_tokens=2),
        said("a", tools=[{"x": 1}]),
    ]
    assert len(set(known)) == len(known)
    assert request_digest({"a": 1, "b": 2}) == request_digest({"b": 2, "a": 1})
