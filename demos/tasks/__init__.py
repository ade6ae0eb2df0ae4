"""A task's page: form, requests, one or two contestants side by side."""
