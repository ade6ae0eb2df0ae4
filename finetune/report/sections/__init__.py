"""The sections of a report, as blocks that HTML and Markdown draw alike."""
