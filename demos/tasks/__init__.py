"""A task's page: form, requests, one or two systems side by side."""
