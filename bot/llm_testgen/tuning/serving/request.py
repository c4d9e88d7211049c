"""What is asked of the server: the part of OpenAI's chat completions that is heeded here.

What a request leaves open, or has null for, is as llama.cpp's server has it (``common/common.h`` and
``tools/server/server-schema.cpp``). What would change the reply and is not heeded is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_MOST_TOKENS = 65_536
_TEMPERATURE, _TOP_P = 0.8, 0.95
# What may be said of fields that are not heeded: just what is so in any case.
_NOT_HEEDED: Mapping[str, tuple[object, ...]] = {
    "stream": (False,),
    "n": (1,),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "top_k": (40,),
    "min_p": (0.05,),
}


def _joined(content: object) -> object:
    """A message's text, whose parts are joined as llama.cpp joins them.

    Raises:
        ValueError: A part is no text.
    """
    if content is None:
        return ""
    if not isinstance(content, list):
        return content
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    found = [text for text in texts if isinstance(text, str)]
    if len(found) != len(content):
        msg = "this server takes no parts but texts"
        raise ValueError(msg)
    return "\n".join(found)


class Turn(BaseModel):
    """One message of a chat; content that is null is empty."""

    model_config = ConfigDict(extra="ignore")

    role: str
    content: Annotated[str, BeforeValidator(_joined)]


class Request(BaseModel):
    """One chat that is to be answered.

    Attributes:
        messages: The chat; where the last message is the assistant's, it is continued.
        model: What the reply says that the model is called; empty for the server's own name.
        max_tokens: Of the reply; None for as many as there is room for.
        temperature: 0 for the likeliest reply.
        top_p: The likeliest tokens are drawn from that have this share together.
        seed: Makes the same request give the same reply.
        stop: Texts at which the reply ends; they are not part of it.
        ignore_eos: Whether the reply goes on where the model would end it.
    """

    model_config = ConfigDict(extra="ignore")

    messages: tuple[Turn, ...] = Field(min_length=1)
    model: str = ""
    max_tokens: int | None = Field(
        default=None, ge=1, le=_MOST_TOKENS, validation_alias=AliasChoices("max_completion_tokens", "max_tokens")
    )
    temperature: float = Field(default=_TEMPERATURE, ge=0, le=2)
    top_p: float = Field(default=_TOP_P, ge=0, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: tuple[str, ...] | str | None = None
    ignore_eos: bool = False

    @model_validator(mode="before")
    @classmethod
    def _heeded(cls, said: Any) -> Any:  # noqa: ANN401 - whatever was sent
        """Leave out what is null, and refuse what is not heeded.

        Raises:
            ValueError: A field would change the reply.
        """
        if not isinstance(said, dict):
            return said
        given = {name: value for name, value in said.items() if value is not None}
        for name, idle in _NOT_HEEDED.items():
            if name in given and given[name] not in idle:
                msg = f"this server does not heed {name}: leave it out"
                raise ValueError(msg)
        return given

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts at which the reply ends."""
        given = (self.stop,) if isinstance(self.stop, str) else self.stop or ()
        return tuple(filter(None, given))

    @property
    def begun(self) -> str:
        """What the reply begins with; may be empty."""
        return self.messages[-1].content if self.messages[-1].role == "assistant" else ""
