"""tabulate without what it looks up as it is imported: its own version among the installed packages, which
brings in `email` and `zipfile`, the widths of characters, which only a text with wide ones needs, and the
names of characters in HTML.

Two thirds of its import. All of it comes where somebody asks for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """A module that comes in when something of it is wanted."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(self.__name__), name)


def load() -> Any:
    """tabulate; for everybody in this process the whole one, as far as can be told."""
    if "tabulate" not in sys.modules:
        metadata = _Later("importlib.metadata")
        metadata.version, metadata.PackageNotFoundError = _unknown, LookupError  # type: ignore[attr-defined]
        html = _Later("html")
        html.escape = _escape  # type: ignore[attr-defined]
        with _in_place_of(_Later("wcwidth"), metadata, html):
            import tabulate
        if tabulate.__version__ is _UNKNOWN:
            del tabulate.__version__
            tabulate.__getattr__ = _version
    return sys.modules["tabulate"]


_UNKNOWN = "not looked up"


def _unknown(_: str) -> str:
    return _UNKNOWN


def _escape(*given: Any, **options: Any) -> str:
    """html's own, when it is used."""
    from html import escape

    return escape(*given, **options)


def _version(name: str) -> str:
    """tabulate's version, when it is asked for (PEP 562)."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import version

    return version("tabulate")


@contextmanager
def _in_place_of(*modules: ModuleType) -> Iterator[None]:
    """These modules stand for those of their names that are not imported yet."""
    placed = [module for module in modules if module.__name__ not in sys.modules]
    sys.modules.update({module.__name__: module for module in placed})
    try:
        yield
    finally:
        for module in placed:
            if sys.modules.get(module.__name__) is module:
                del sys.modules[module.__name__]
