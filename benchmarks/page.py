"""docs/performance.md: each benchmark writes its own section, between two marks, and leaves the others."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"


def write(name: str, text: str) -> None:
    """Put `text` where the section `name` is, else at the end."""
    begin, end = f"<!-- {name}: written by benchmarks/{name} --write -->", f"<!-- end of {name} -->"
    section = f"{begin}\n{text.strip()}\n{end}\n"
    page = PAGE.read_text() if PAGE.exists() else "# Performance\n"
    marked = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}\n", re.DOTALL)
    known = marked.search(page) is not None
    PAGE.write_text(marked.sub(lambda _: section, page) if known else f"{page.rstrip()}\n\n{section}")
