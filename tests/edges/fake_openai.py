"""An OpenAI-compatible server on the loopback interface that answers as a test tells it, and prompts to send to it."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from llm_testgen.records import ChangedMethod, ChangeStatus, Context, Message, Method, MethodKind, Prompt

PREFILL = "```python\nimport pytest\nfrom pkg.size import human\n\n\ndef test_"


def make_prompt(prefill=PREFILL, text="Write tests.", attempt=1, qualname="human"):
    method = Method("pkg/size.py", qualname, MethodKind.FUNCTION, 1, 2, "def human(n)", "", "def human(n):\n    ...\n")
    target = ChangedMethod((method,), frozenset({2}), ChangeStatus.ADDED)
    context = Context(target, "pkg.size", "from pkg.size import human", frozenset({2}), test_path="tests/test_size.py")
    return Prompt(context, (Message("system", "You write tests."), Message("user", text)), prefill, attempt)


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: dict

    @property
    def prefill(self):
        last = self.body["messages"][-1]
        return last["content"] if last["role"] == "assistant" else ""


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


def completion(text, *, finish="stop", usage=(7, 5)):
    """What a well-behaved server answers; ``usage`` is (tokens in, tokens out) or None."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "fake", "choices": [choice]}
    if usage is not None:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return Answer(body=json.dumps(body).encode(), headers={"content-type": "application/json"})


def refusal(status, message, **headers):
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error"}}).encode()
    return Answer(status, body, {"content-type": "application/json", **headers})


class FakeOpenAI:
    """Answers each request by ``answer``; ``with`` starts and stops it."""

    def __init__(self, answer: Callable[[Request], Answer]):
        self.answer = answer
        self.requests: list[Request] = []

    @classmethod
    def scripted(cls, *answers: Answer):
        """Gives the answers in turn, the last one over and over."""
        left = list(answers)
        return cls(lambda _: left.pop(0) if len(left) > 1 else left[0])

    def __enter__(self):
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers["content-length"])
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.path, headers, json.loads(self.rfile.read(length)))
                fake.requests.append(request)
                answer = fake.answer(request)
                time.sleep(answer.delay)
                try:
                    self.send_response(answer.status)
                    for name, value in {**answer.headers, "content-length": str(len(answer.body))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(answer.body)
                except OSError:  # the client did not wait
                    self.close_connection = True

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
