"""The report: results with intervals and tests, as JSON, Markdown, HTML and a model card."""
