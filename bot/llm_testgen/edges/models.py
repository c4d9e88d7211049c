"""The one client of language models, `huggingface_hub`'s: Inference Providers and any OpenAI-compatible server.

A prompt's prefill is sent as a last message of role ``assistant``. What servers do with it differs: vLLM, TGI and
recent llama.cpp continue it when told ``continue_final_message`` without ``add_generation_prompt`` (they would
start a new message otherwise), older llama.cpp continues it unasked, some send it back with the continuation and
some do not, strict ones refuse the two fields, and hosted ones may refuse a last message of that role. So it is
first sent with both fields, after a refusal (400 or 422) without them, then not at all, and what was accepted is
remembered. See https://github.com/vllm-project/vllm/pull/8942,
https://github.com/huggingface/text-generation-inference/pull/2733 and
https://github.com/ggml-org/llama.cpp/pull/23012.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from huggingface_hub import (
    AsyncInferenceClient,
    ChatCompletionOutput,
    get_async_session,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    set_async_client_factory,
)
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.errors import HTTPError as TransportError  # type: ignore[attr-defined]  # httpx's, whichever it uses
from huggingface_hub.utils.tqdm import tqdm

from llm_testgen.edges.prefill import join_prefill
from llm_testgen.edges.service import Patience, Service, retry_after
from llm_testgen.edges.tokens import TokenBudget, estimate_tokens
from llm_testgen.errors import ModelError, PromptRefusedError
from llm_testgen.records import Message, Prompt, Reply, Usage

__all__ = [
    "HubFile",
    "HubModel",
    "Model",
    "Patience",
    "Sampling",
    "Service",
    "TokenBudget",
    "download_from_hub",
]

_FENCE_END = "\n```"
_LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")
_NO_KEY = "none"  # an empty key would make the library send the Hugging Face token that is saved on the machine
_TRANSIENT = frozenset({408, 409, 425, 429})
_REFUSED = frozenset({400, 413, 422})
_HUB_TIMEOUT = 8.0
_MESSAGE_IN_JSON = re.compile(r'"(?:message|msg|detail|error)"\s*:\s*("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one reply is drawn.

    Attributes:
        temperature: 0 for the likeliest reply.
        seed: Makes the same request give the same reply on servers that heed it.
        max_tokens: Limit of this one reply.
    """

    temperature: float
    seed: int | None
    max_tokens: int


class Model(Protocol):
    """What answers prompts.

    Attributes:
        name: What reports call it.
        concurrency: How many requests make sense at once.
        shares_cores: Whether it computes on the cores that the tests run on, so that the two had better take turns.
    """

    name: str
    concurrency: int
    shares_cores: bool

    async def reply(self, prompt: Prompt, sampling: Sampling) -> Reply | None:
        """Answer a prompt; None when there is nothing more to say about its target."""

    async def close(self) -> None:
        """Let go of connections, files and processes."""


class _Prefill(IntEnum):
    """How the prefill is sent: the most explicit way first, a refused one is followed by the next."""

    FLAGGED = 0
    PLAIN = 1
    LEFT_OUT = 2


class _TransientError(Exception):
    """The server may answer if asked again, after ``wait`` seconds if it said so."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class _Answer:
    text: str
    truncated: bool
    tokens_in: int | None
    tokens_out: int | None


class HubModel:
    """A model behind Inference Providers or an OpenAI-compatible server."""

    def __init__(self, service: Service, *, patience: Patience | None = None, concurrency: int = 4) -> None:
        """Prepare; nothing is sent before the first prompt.

        Raises:
            UsageError: The endpoint is no http(s) URL, or the key holds characters that no key has.
        """
        service.check()
        _install_session_factory()
        self.name = service.model or service.address
        self.concurrency = concurrency
        self.shares_cores = False
        self._service = service
        self._patience = patience or Patience()
        self._prefill = _Prefill.FLAGGED
        self._has_continued = False
        self._client = AsyncInferenceClient(
            model=None if service.endpoint else service.model,
            base_url=service.endpoint.rstrip("/") or None,
            token=service.key or _NO_KEY,
            timeout=self._patience.timeout,
        )

    @property
    def service(self) -> Service:
        """Where it is served."""
        return self._service

    async def reply(self, prompt: Prompt, sampling: Sampling) -> Reply:
        """Answer a prompt.

        The text begins with the prompt's prefill, unless the server would not continue one: then it is a whole message
        of its own. An empty answer is a reply with an empty text.

        Raises:
            ModelError: No answer can be had; the message says why and what to do.
        """
        started = self._patience.clock()
        answer, prefill = await self._ask_with_prefill(prompt, sampling)
        text = answer.text
        if prefill is not _Prefill.LEFT_OUT:
            text, continued = join_prefill(prompt.prefill, answer.text)
            self._has_continued |= continued
            if text and not self._has_continued:
                self._prefill = _Prefill.LEFT_OUT
        seconds = self._patience.clock() - started
        return Reply(prompt, text, self.name, _usage(prompt, answer, seconds), answer.truncated)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def _ask_with_prefill(self, prompt: Prompt, sampling: Sampling) -> tuple[_Answer, _Prefill]:
        prefill = self._prefill if prompt.prefill else _Prefill.LEFT_OUT
        while True:
            try:
                answer = await self._ask_patiently(prompt, sampling, prefill)
            except PromptRefusedError:
                if prefill is _Prefill.LEFT_OUT:
                    raise
                prefill = _Prefill(prefill + 1)
                continue
            if prompt.prefill:
                self._prefill = max(self._prefill, prefill)
            return answer, prefill

    async def _ask_patiently(self, prompt: Prompt, sampling: Sampling, prefill: _Prefill) -> _Answer:
        patience = self._patience
        started = patience.clock()
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._ask(prompt, sampling, prefill)
            except _TransientError as error:
                wait = patience.delay(attempt) if error.wait is None else error.wait
                if attempt >= patience.attempts or patience.clock() - started + wait > patience.total:
                    times = "once" if attempt == 1 else f"{attempt} times"
                    hint = "try later, or another --model or --endpoint"
                    message = f"{self._service.address} was asked {times} and gave no usable answer: {error}; {hint}"
                    raise ModelError(self._service.presentable(message)) from error
                await patience.sleep(wait)

    async def _ask(self, prompt: Prompt, sampling: Sampling, prefill: _Prefill) -> _Answer:
        sent = prompt.prefill if prefill is not _Prefill.LEFT_OUT else ""
        messages = (*prompt.messages, Message("assistant", sent)) if sent else prompt.messages
        flags: dict[str, object] = {"continue_final_message": True, "add_generation_prompt": False}
        try:
            async with asyncio.timeout(self._patience.timeout):
                output = await self._client.chat_completion(
                    [{"role": message.role, "content": _sendable(message.content)} for message in messages],
                    model=self._service.model or None,
                    max_tokens=sampling.max_tokens,
                    temperature=sampling.temperature,
                    seed=sampling.seed,
                    # Only inside a block that the prefill opened: elsewhere it would stop at the opening fence.
                    stop=[_FENCE_END] if sent.count("```") % 2 else None,
                    extra_body=flags if prefill is _Prefill.FLAGGED else None,
                )
            return _answer(output)
        except HfHubHTTPError as error:
            raise self._judge(error) from error
        except TimeoutError as error:
            message = f"no answer within {self._patience.timeout:g} s"
            raise _TransientError(message) from error
        except TransportError as error:
            message = f"the connection failed ({error})"
            raise _TransientError(message) from error
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            message = "what it answered is no chat completion"
            raise _TransientError(message) from error

    def _judge(self, error: HfHubHTTPError) -> Exception:
        """What an HTTP status means."""
        status, service = error.response.status_code, self._service
        words = f"{status} {_server_words(error)}"
        if status in _TRANSIENT or status >= 500:  # noqa: PLR2004  # the server errors of HTTP
            return _TransientError(words, retry_after(error.response.headers.get("retry-after")))
        if status in {401, 403}:
            done = "refuses the key" if service.key else "asks for a key"
            message = f"{service.address} {done}: set {service.key_variable} to one that may use it ({words})"
        elif status == 404:  # noqa: PLR2004  # not found
            asked = f"the model {service.model}" if service.model else "the request, which named no model"
            message = f"{service.address} does not know {asked}: check --model and --endpoint ({words})"
        else:
            message = f"{service.address} refuses the request: {words}"
        kind = PromptRefusedError if status in _REFUSED else ModelError
        return kind(self._service.presentable(message))


def _install_session_factory() -> None:
    """Spare connections within this machine the proxies, and all the library's offline mode: it is about the hub."""
    session_class = type(get_async_session())
    set_async_client_factory(
        lambda: session_class(mounts=dict.fromkeys(_LOOPBACK), follow_redirects=True, timeout=None),
    )


def _sendable(text: str) -> str:
    """A text without lone surrogates, which have no encoding."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _answer(output: ChatCompletionOutput) -> _Answer:
    """Read the library's lenient record, in which any field may be missing or of another type.

    Raises:
        ValueError: It holds no text.
    """
    choice = output.choices[0]
    truncated = choice.finish_reason == "length"
    text: object = choice.message.content
    if text is None and truncated:  # a reasoning model that did not come to its answer
        text = ""
    if not isinstance(text, str):
        message = "no content"
        raise ValueError(message)  # noqa: TRY004  # the value of a field, not an argument
    usage: object = output.usage
    counts = (_count(getattr(usage, "prompt_tokens", None)), _count(getattr(usage, "completion_tokens", None)))
    return _Answer(text, truncated, *counts)


def _server_words(error: HfHubHTTPError) -> str:
    """What the body of a refusal says: the first message in its JSON, of whatever shape, else its text."""
    response = error.response
    found = _MESSAGE_IN_JSON.search(response.text)
    if found is not None:
        with contextlib.suppress(ValueError):
            return _sendable(str(json.loads(found[1], strict=False)))
    is_page = "<html" in response.text[:1000].lower()
    return response.reason_phrase if is_page or not response.text.strip() else response.text


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _usage(prompt: Prompt, answer: _Answer, seconds: float) -> Usage:
    tokens_in, tokens_out = answer.tokens_in, answer.tokens_out
    if tokens_in is None:
        tokens_in = sum(estimate_tokens(message.content) for message in prompt.messages) + estimate_tokens(
            prompt.prefill
        )
    return Usage(tokens_in, estimate_tokens(answer.text) if tokens_out is None else tokens_out, seconds)


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a public repository on the hub, at a revision."""

    repository: str
    file: str
    revision: str


def download_from_hub(source: HubFile, folder: Path, progress: Callable[[int, int], None]) -> Path:
    """Download a file, going on where an earlier download into the same folder was interrupted.

    Args:
        source: What to download.
        folder: Where to, on the disk where the file is to stay.
        progress: Called with the bytes that are there and those of the whole file.

    Raises:
        ModelError: The hub cannot be reached (found out within seconds) or does not give the file.
    """
    repository, file, revision = source.repository, source.file, source.revision
    try:
        # The download itself would wait a minute for a hub that does not answer.
        get_hf_file_metadata(hf_hub_url(repository, file, revision=revision), token=False, timeout=_HUB_TIMEOUT)
        bar = _progress_bar(progress)
        path = hf_hub_download(repository, file, revision=revision, local_dir=folder, token=False, tqdm_class=bar)
    except (TransportError, OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        message = f"the hub does not give {repository}/{file} ({reason})"
        raise ModelError(message) from error
    return Path(path)


def _progress_bar(progress: Callable[[int, int], None]) -> type[tqdm]:
    """A silent bar that reports; the library may use two at once, of which the one ahead counts."""
    furthest = 0

    class Reporter(tqdm):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **(kwargs | {"disable": True}))  # type: ignore[no-untyped-call]
            initial, total = kwargs.get("initial"), kwargs.get("total")
            self.done = initial if isinstance(initial, int) else 0
            self.whole = total if isinstance(total, int) else 0

        def update(self, n: float | None = 1) -> None:
            nonlocal furthest
            self.done += int(n or 0)
            furthest = max(furthest, self.done)
            progress(min(furthest, self.whole), self.whole)

    return Reporter
