"""The HTTP service: OpenAI's routes, a typed route a task, MCP tools, one engine behind them; no gradio."""
