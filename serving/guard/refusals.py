"""What a client is told when a request fails: OpenAI's error object, one line, no stack trace."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from core.errors import (
    BadData,
    BadInput,
    BadSetting,
    Closed,
    MissingAdapter,
    Overloaded,
    QuintetError,
    UnknownTask,
)

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

_log = logging.getLogger(__name__)
_ASKED_WRONGLY = (BadInput, BadSetting, BadData)
_NOT_THERE = (UnknownTask, MissingAdapter)
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""OpenAI's `type` of each status."""


@dataclass(eq=False)
class Refused(Exception):
    """A request that is not answered, and why; `retry_after` in seconds."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    retry_after: int | None = None

    @property
    def body(self) -> dict[str, Any]:
        """OpenAI's error object."""
        return {
            "error": {
                "message": " ".join(self.message.split()),
                "type": _KINDS.get(self.status, "server_error"),
                "param": self.param,
                "code": self.code,
            }
        }

    def response(self) -> JSONResponse:
        """The same as an answer of HTTP."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(self.body, self.status, headers)


def logged(error: Exception) -> Refused:
    """The same as `refusal`, for what is told to no one else."""
    found = refusal(error)
    if found.status >= 500 and not isinstance(error, Refused):
        _log.error("A request failed.", exc_info=error)
    return found


def refusal(error: Exception) -> Refused:
    """What a client may know of an error: all of what it did wrong, nothing of what we did."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, _NOT_THERE):
        return Refused(404, str(error), code="model_not_found", param="model")
    if isinstance(error, _ASKED_WRONGLY):
        return Refused(400, str(error))
    if isinstance(error, Overloaded | Closed):
        return Refused(503, str(error), code="overloaded", retry_after=1)
    if isinstance(error, HTTPException):
        more = ". The routes stand at /docs." if error.status_code in (404, 405) else ""
        return Refused(error.status_code, str(error.detail) + more)
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    return Refused(500, "The request failed on the server, whose log says why.")


def _invalid(error: RequestValidationError) -> Refused:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return Refused(
            400, f"The body is no JSON: {first.get('ctx', {}).get('error', first['msg'])}."
        )
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    return Refused(400, f"{place or 'body'}: {first['msg']}", param=place or None)


def answer_errors(app: FastAPI) -> None:
    """Every known error of the routes becomes a refusal; others are left to the outermost layer."""

    async def refuse(_: Request, error: Exception) -> JSONResponse:
        return logged(error).response()

    for kind in (Refused, QuintetError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, refuse)


class FailureDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class Failure(BaseModel):
    """OpenAI's error object."""

    error: FailureDetail


def error_answers() -> dict[int | str, dict[str, Any]]:
    """For the schema: what each route says when it refuses."""
    return {
        status: {"model": Failure, "description": about}
        for status, about in {
            400: "wrongly asked", 401: "no valid key", 404: "no such model", 413: "too large",
            429: "too often; Retry-After", 503: "the queue is full; Retry-After", 504: "took too long",
        }.items()
    }  # fmt: skip
