"""Whom our serving is measured beside: each answers the same requests with the same adapters."""
