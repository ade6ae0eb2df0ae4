"""Gradio pages drawn from tasks: the only door to gradio. Never trains."""
