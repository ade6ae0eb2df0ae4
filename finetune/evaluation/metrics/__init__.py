"""Metrics: what each is called, means, and how it is computed and drawn anew; one entry a metric."""
