"""vLLM's routes to load and unload adapters while others are answered; shut unless asked for."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from pydantic import Field

from serving.guard.refusals import Refused, error_answers
from serving.openai_routes.schemas import Body
from serving.served import Served


class Loaded(Body):
    """`POST /v1/load_lora_adapter`"""

    lora_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
    lora_path: Annotated[str, Field(description="A folder that 'adapters install' made.")]


class Unloaded(Body):
    """`POST /v1/unload_lora_adapter`"""

    lora_name: str


def router(served: Served, *, allowed: bool) -> APIRouter:
    """Both routes; without `allowed` they say how they are opened."""
    routes = APIRouter(tags=["Adapters"])

    def check() -> None:
        if not allowed:
            raise Refused(403, "Adapters are fixed. Start 'quintet serve --manage-adapters'.")

    @routes.post("/v1/load_lora_adapter", responses=error_answers())
    async def load(asked: Loaded) -> PlainTextResponse:
        """Serve an installed adapter under a name of its own."""
        check()
        await asyncio.to_thread(served.load_by_hand, asked.lora_name, asked.lora_path)
        return PlainTextResponse(f"Success: LoRA adapter '{asked.lora_name}' added successfully.")

    @routes.post("/v1/unload_lora_adapter", responses=error_answers())
    async def unload(asked: Unloaded) -> PlainTextResponse:
        """Take an adapter out of memory; rows that run with it end first."""
        check()
        name = asked.lora_name
        if await asyncio.to_thread(served.unload, name):
            return PlainTextResponse(
                f"Success: '{name}' is out of memory; it loads again if asked."
            )
        return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")

    return routes
