"""OpenAI's routes: completions and chats, whole or as streams."""
