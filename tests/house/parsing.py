"""The syntax trees of the package, each made once: forty rules look at all of them."""

from __future__ import annotations

import ast
from functools import cache


@cache
def parsed(source: str) -> ast.Module:
    """The tree of a file's text, for all who look; nobody changes it."""
    return ast.parse(source)
