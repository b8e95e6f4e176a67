"""What the program imports when something of it is first used: modules that its libraries import for a few of
their functions, a tenth of a run together.

For the process of the program alone (`__main__`), and before anything of these comes in. Who imports netprobe
finds everything as it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.abc import Loader  # which takes 10 ms in Python 3.11
    from typing import Any

LATE = frozenset((
    "textwrap", "traceback",
    "msgspec.inspect", "msgspec.json", "msgspec.msgpack", "msgspec.toml", "msgspec.yaml",
))  # fmt: skip


def install() -> None:
    """Have these come late from now on."""
    sys.meta_path.insert(0, _Finder)
    for name, functions in _LITTLE.items():
        sys.modules.setdefault(name, _Little(name, functions))


class _Finder:
    """Finds modules as they are, and has those of LATE loaded when they are first looked into."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's, or None of what is none of our business."""
        if name not in LATE and name != "msgspec":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            made: Any = LazyLoader if name in LATE else _Modern
            spec.loader = made(spec.loader)
        return spec


class _Modern:
    """Loads msgspec without what `typing` of Python 3.11 has as well, and msgspec takes from there then."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As its loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run it, which is its loader's from now on."""
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self._loader
        is_there = "typing_extensions" in sys.modules
        modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
        modules.setdefault("typing_extensions", None)  # which is to say that there is none
        try:
            self._loader.exec_module(module)
        finally:
            if not is_there:
                del sys.modules["typing_extensions"]


class _Little(ModuleType):
    """The little of a module that is needed of it, in its place; all else, the real one has."""

    def __init__(self, name: str, functions: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__(name)
        self.__dict__.update(functions)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_real(self.__name__), name)


def _real(name: str) -> Any:
    """The module itself, which everybody has from now on."""
    if isinstance(sys.modules.get(name), _Little):
        del sys.modules[name]
    return import_module(name)


def _cleandoc(text: str) -> str:
    """Of a single line, as click's options have; the real one's of several."""
    if "\n" not in text:
        return text.expandtabs().lstrip()
    cleaned: str = _real("inspect").cleandoc(text)
    return cleaned


_LITTLE: dict[str, dict[str, Callable[..., Any]]] = {
    "inspect": {"cleandoc": _cleandoc, "currentframe": lambda: sys._getframe(1)},  # click, scapy
    "platform": {"system": lambda: os.uname().sysname},  # uuid
}
