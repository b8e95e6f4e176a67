"""Pure: a report into text, JSON, Markdown, SVG or a pcapng capture."""
