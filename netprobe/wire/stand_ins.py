"""Stand-ins for modules that scapy imports with itself, and that crafting has no use for.

Half of scapy's import is what sends, sniffs, shows and reads captures, and what these need of Python.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

UNUSED = (
    "scapy.ansmachine", "scapy.arch", "scapy.as_resolvers", "scapy.automaton", "scapy.libs.extcap",
    "scapy.libs.test_pyx", "scapy.plist", "scapy.sendrecv", "scapy.sessions", "scapy.supersocket",
    "argparse", "code", "difflib", "gzip", "html", "importlib.resources", "importlib.resources.abc", "json",
    "logging", "pickle", "shutil", "subprocess", "tempfile", "traceback",
)  # fmt: skip


class _InertType(type):
    """A class that is whatever it is asked for: a base class, a decorator, a function, a table."""

    def __getattr__(cls, name: str) -> _InertType:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls

    def __getitem__(cls, _: object) -> _InertType:
        return cls

    def __iter__(cls) -> Iterator[Any]:
        return iter(())


class Inert(metaclass=_InertType):
    """What a stand-in has under every name."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take whatever is given."""

    def __call__(self, decorated: Any = None, *_: object, **__: object) -> Any:
        """As a decorator, leave it as it is."""
        return decorated

    def __getattr__(self, name: str) -> Inert:
        if name.startswith("__"):
            raise AttributeError(name)
        return self


class _StandIn(ModuleType):
    """A module, and a package, of nothing."""

    __path__: list[str] = []  # noqa: RUF012 - Python's own name

    def __getattr__(self, name: str) -> type[Inert]:
        if name.startswith("__"):
            raise AttributeError(name)
        return Inert


@contextmanager
def without_unused() -> Iterator[None]:
    """What is imported meanwhile has stand-ins for UNUSED, and keeps them; what comes after, the real ones.

    Who has imported one of them already has it here, too.
    """
    placed = {name: _StandIn(name) for name in UNUSED if name not in sys.modules}
    sys.modules.update(placed)
    try:
        yield
    finally:
        for name, module in placed.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
