"""pyroute2 without its front door: the message classes, not everything else that the package imports with
itself.

`import pyroute2` brings sockets, asyncio, NDB, IPDB and ethtool along: 0.39 s where the messages that we use
take 0.08 s (0.9.7). So a stand-in takes the package's place until somebody asks it for more than a submodule;
then the real one comes in.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

PACKAGE = "pyroute2"


class _FrontDoor(ModuleType):
    """The package as a mere folder of submodules; whatever is no submodule is asked of the real package."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if find_spec(f"{PACKAGE}.{name}") is not None:
            return import_module(f"{PACKAGE}.{name}")
        return getattr(_enter(self), name)


def _enter(door: ModuleType) -> ModuleType:
    """The real package, which knows the submodules that came in before it."""
    if sys.modules.get(PACKAGE) is door:
        del sys.modules[PACKAGE]
    package = import_module(PACKAGE)
    for name, module in list(sys.modules.items()):
        parent, _, child = name.rpartition(".")
        if parent == PACKAGE and not hasattr(package, child):
            setattr(package, child, module)
    return package


def stay_outside() -> None:
    """Let submodules of pyroute2 be imported without the package's own imports.

    Harmless when it is imported already, or absent.
    """
    if PACKAGE in sys.modules:
        return
    spec = find_spec(PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        return
    door = _FrontDoor(PACKAGE)
    door.__path__ = list(spec.submodule_search_locations)
    door.__spec__ = spec
    sys.modules[PACKAGE] = door
    with _without_logging():
        import_module(f"{PACKAGE}.netlink")


class _Logger:
    """A logger that is made when something is to be logged."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        return getattr(import_module("logging").getLogger(self._name), method)


class _Logging(ModuleType):
    """Makes such loggers; whatever else is asked of it, the real one has."""

    getLogger = _Logger

    def step_aside(self) -> None:
        """Let the real one be imported."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]

    def __getattr__(self, name: str) -> Any:
        self.step_aside()
        return getattr(import_module(self.__name__), name)


@contextmanager
def _without_logging() -> Iterator[None]:
    """What is imported meanwhile makes loggers that do not bring `logging` along, 3 ms, until they are
    used.
    """
    if "logging" in sys.modules:
        yield
        return
    stand_in = _Logging("logging")
    sys.modules["logging"] = stand_in
    try:
        yield
    finally:
        stand_in.step_aside()
