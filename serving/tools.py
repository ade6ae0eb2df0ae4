"""MCP: one tool a task, over streamable HTTP in the same process, behind the same guard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import mcp_types as types
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from core.application import Prediction
from core.task import Task
from serving.guard.refusals import logged

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

Answer = Callable[[str, Mapping[str, Any]], Awaitable[Prediction]]
"""From a task's name and the fields of its input."""


class Tools:
    """An ASGI application; its sessions live while `run` is entered."""

    def __init__(self, tasks: Mapping[str, Task[Any]], answer: Answer, *, most_bytes: int) -> None:
        async def listed(_: Any, __: Any) -> types.ListToolsResult:
            return types.ListToolsResult(tools=[_tool(task) for task in tasks.values()])

        async def called(_: Any, asked: types.CallToolRequestParams) -> types.CallToolResult:
            try:
                found = await answer(asked.name, asked.arguments or {})
            except Exception as error:
                return _told(logged(error).message, is_error=True)
            return _told(found.text, found)

        server: Server[Any] = Server("quintet", on_list_tools=listed, on_call_tool=called)
        # Stateless: a tool's answer depends on nothing but its arguments.
        self._manager = StreamableHTTPSessionManager(
            server, json_response=True, stateless=True, max_request_body_size=most_bytes
        )

    def run(self) -> AbstractAsyncContextManager[None]:
        """While it is entered, calls are answered."""
        return self._manager.run()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._manager.handle_request(scope, receive, send)


def _tool(task: Task[Any]) -> types.Tool:
    return types.Tool(
        name=task.name,
        title=task.title,
        description=task.description,
        input_schema=task.input.model_json_schema(),
        output_schema=Prediction.model_json_schema(),
        annotations=types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
    )


def _told(text: str, found: Prediction | None = None, *, is_error: bool = False) -> Any:
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)],
        structured_content=found.model_dump(mode="json") if found else None,
        is_error=is_error,
    )
