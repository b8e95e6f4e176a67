"""Pure: a report into text, Markdown, HTML, SVG or a pcapng capture."""
