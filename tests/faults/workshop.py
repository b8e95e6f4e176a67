"""A process that performs experiments, each in a private world forked from it: what netprobe imports is loaded once, not for each."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from identities import Identity

from netprobe.errors import CannotLook
from netprobe.lab import private

Result = TypeVar("Result")

_TESTS = str(Path(__file__).parents[1])
_INSIDE = f"import sys; sys.path.insert(0, {_TESTS!r}); from faults.workshop import main; main(sys.argv[1] == 'rootless')"


class Workshop:
    """Experiments as "root" or "rootless". A context manager."""

    def __init__(self, privilege: str, user: Identity) -> None:
        self._child = subprocess.Popen(
            [*user.launcher, sys.executable, "-c", _INSIDE, privilege], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, **user.environment, "PYTHONPATH": str(Path(_TESTS).parent)}, cwd="/",
        )  # fmt: skip

    def perform(self, experiment: Callable[..., Result], *arguments: Any) -> Result:
        """What `experiment(*arguments)` gives when it is called in a new private world. Its CannotLook is raised here too."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        pickle.dump((experiment, arguments), self._child.stdin)
        self._child.stdin.flush()
        result = pickle.load(self._child.stdout)
        if isinstance(result, BaseException):
            raise result
        return cast("Result", result)

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        self._child.wait(10)
        self._child.stdout.close()


def main(rootless: bool) -> None:
    """In the child: read experiments from the standard input, write their outcomes, until it is closed."""
    from netprobe.wire.craft import load_scapy

    load_scapy(lean=True)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed is no answer
    while True:
        try:
            experiment, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(_in_a_world(experiment, arguments, rootless), answers)
        answers.flush()


def _in_a_world(experiment: Callable[..., object], arguments: tuple[Any, ...], rootless: bool) -> object:
    with tempfile.TemporaryFile() as file:

        def work() -> int:
            pickle.dump(experiment(*arguments), file)
            file.flush()
            return 0

        try:
            private.run(work, rootless)
        except CannotLook as error:
            return error
        except Exception as error:
            return RuntimeError("".join(getattr(error, "__notes__", [])) or repr(error))
        file.seek(0)
        return pickle.load(file)
