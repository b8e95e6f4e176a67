"""Stand-ins for modules that scapy imports with itself, and that crafting has no use for.

Half of scapy's import is what sends, sniffs, shows and reads captures, and what these need of Python. Only
modules of scapy are given a stand-in: what they import besides has the real ones, and nothing of a stand-in
is left behind in `sys.modules`.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

UNUSED = frozenset((
    "scapy.ansmachine", "scapy.arch", "scapy.as_resolvers", "scapy.automaton", "scapy.libs.extcap",
    "scapy.libs.test_pyx", "scapy.plist", "scapy.sendrecv", "scapy.sessions", "scapy.supersocket",
    "argparse", "code", "dataclasses", "difflib", "getopt", "glob", "gzip", "hashlib", "html",
    "json", "logging", "pickle", "shutil", "subprocess", "tempfile", "traceback",
))  # fmt: skip
# and what single modules import that others need: signatures of classes, which are for people; what Python
# 3.11 has of importlib.abc that is deprecated, a seventh of all that scapy needs of Python
UNUSED_BY = {"scapy.base_classes": "inspect", "importlib.abc": "resources.abc"}


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
    """A module of nothing."""

    def __getattr__(self, name: str) -> type[Inert]:
        if name.startswith("__"):
            raise AttributeError(name)
        return Inert


@contextmanager
def without_unused() -> Iterator[None]:
    """What scapy imports meanwhile has stand-ins for UNUSED, and keeps them.

    Who has imported one of them already has it here, too.
    """
    really = builtins.__import__

    def imported(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if not _is_wanted(name, str((globals or {}).get("__name__"))):
            return _StandIn(name) if fromlist or "." not in name else sys.modules[name.partition(".")[0]]
        return really(name, globals, locals, fromlist or (), level)

    builtins.__import__ = imported
    try:
        yield
    finally:
        builtins.__import__ = really


def _is_wanted(name: str, importer: str) -> bool:
    """Whether a module needs what it imports by this name, or can have it for nothing."""
    is_unused = name in UNUSED and name not in sys.modules and importer.partition(".")[0] == "scapy"
    return not (is_unused or UNUSED_BY.get(importer) == name)
