"""Bodies of OpenAI's routes, as far as they mean something here; an unknown key is refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from serving.answering import FinishReason, Usage

Stop = Annotated[str, Field(min_length=1, max_length=64)]


class Body(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid")


class StreamOptions(Body):
    """What a stream says beside the text."""

    include_usage: bool = False


class Asked(Body):
    """What completions and chats have in common."""

    model: str
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    """Greedy where it is missing or 0."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    n: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    fields: dict[str, JsonValue] = {}
    """Ours: other fields of the task's input, such as a passage or a direction."""
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    user: str | None = None
    """Not read."""

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end an answer."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with its token counts."""
        return self.stream_options is not None and self.stream_options.include_usage


class CompletionAsked(Asked):
    """`POST /v1/completions`"""

    prompt: str | list[str]
    logprobs: Annotated[int | None, Field(ge=0, le=20)] = None
    echo: Literal[False] = False


class Part(Body):
    """A piece of a message; only text is read."""

    type: Literal["text"]
    text: str


class Message(Body):
    """A turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]
    name: str | None = None

    @property
    def text(self) -> str:
        """Its parts as one text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)

    @property
    def plain_role(self) -> str:
        """The role as models learned it: a developer is the system."""
        return "system" if self.role == "developer" else self.role


class ChatAsked(Asked):
    """`POST /v1/chat/completions`"""

    messages: Annotated[list[Message], Field(min_length=1, max_length=200)]
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    logprobs: bool = False
    top_logprobs: Annotated[int | None, Field(ge=0, le=20)] = None


class Model(BaseModel):
    """A task's adapter, or the bare backbone."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "quintet"
    parent: str | None = None
    """The backbone that an adapter stands on."""
    root: str
    """The task, or the backbone itself."""


class Models(BaseModel):
    """`GET /v1/models`"""

    object: Literal["list"] = "list"
    data: list[Model]


class CompletionLogprobs(BaseModel):
    """The log-probability of each token, and of the likeliest in its place."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class CompletionChoice(BaseModel):
    """One answer."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: FinishReason | None = None


class Completion(BaseModel):
    """An answer to `/v1/completions`, or a piece of one."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | None = None
    system_fingerprint: str


class TokenLogprob(BaseModel):
    """A token and how likely it was."""

    token: str
    logprob: float
    bytes: list[int]


class ChosenLogprob(TokenLogprob):
    """The token that was taken, beside the likeliest in its place."""

    top_logprobs: list[TokenLogprob]


class ChatLogprobs(BaseModel):
    """Of every token of an answer."""

    content: list[ChosenLogprob]


class Said(BaseModel):
    """The assistant's turn."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Delta(BaseModel):
    """What a piece of a stream adds to the turn."""

    role: Literal["assistant"] | None = None
    content: str | None = None


class ChatChoice(BaseModel):
    """One answer."""

    index: int
    message: Said
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason


class ChatPiece(BaseModel):
    """A piece of one answer."""

    index: int
    delta: Delta
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason | None = None


class Chat(BaseModel):
    """An answer to `/v1/chat/completions`."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    system_fingerprint: str


class ChatChunk(BaseModel):
    """A piece of a stream."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChatPiece]
    usage: Usage | None = None
    system_fingerprint: str
