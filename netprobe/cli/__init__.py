"""The command line: of another program (`main`), of this process (`program`), or any (`run_line`)."""

from __future__ import annotations

import sys
from typing import NoReturn

from .commands import cli
from .ending import run

__all__ = ["cli", "main", "program", "run_line"]


def run_line(arguments: list[str]) -> int:
    """Run one command line in this process; its exit code.

    Every error becomes a message and a code of the contract.
    """
    return run(cli, arguments)


def program() -> int:
    """The command line of this process; its exit code."""
    return run_line(sys.argv[1:])


def main() -> NoReturn:
    """The command line inside another program, which has its own way with signals."""
    sys.exit(program())
