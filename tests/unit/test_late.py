"""What comes in late in the program is what everybody else has, and comes in for nobody else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from netprobe.late import LATE

PROGRAM = "import sys; from netprobe.late import install; install(); import click, msgspec\n"
SEVERAL = "first\n      second\n        third\n"


def ran(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True).stdout


def test_what_click_and_msgspec_import_stays_outside() -> None:
    code = f"""{PROGRAM}
import netprobe.cli
late = sorted(name for name in {sorted(LATE)!r} if type(sys.modules.get(name)).__name__ == "_LazyModule")
names = ("ast", "dis", "inspect", "platform", "typing_extensions")
print("msgspec.json" in late, [name for name in names if hasattr(sys.modules.get(name), "__file__")])
"""
    assert ran(code) == "True []\n"


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("inspect", "signature(len).__class__.__name__"),
        ("inspect", f"cleandoc({'  one line' + chr(9) + 'of help  '!r})"),
        ("inspect", f"cleandoc({SEVERAL!r})"),
        ("inspect", "cleandoc('')"),
        ("inspect", "currentframe() is sys._getframe()"),
        ("platform", "system()"),
        ("platform", "machine()"),
        ("traceback", "format_exception_only(ValueError('x'))"),
        ("textwrap", "dedent('  x')"),
        ("msgspec.json", "decode(b'[1]')"),
        ("msgspec.inspect", "type_info(int)"),
        ("typing_extensions", "Literal is not None"),
    ],
)
def test_what_is_asked_of_it_is_the_same(name: str, asked: str) -> None:
    code = f"import {name}; print(repr({name}.{asked}))"
    assert ran(PROGRAM + code) == ran("import sys, msgspec\n" + code)


def test_who_asked_for_the_real_one_has_it_and_so_has_everybody() -> None:
    code = """
import inspect as first
first.getsource
import inspect
print(inspect.__file__.endswith("inspect.py"), first.getsource is inspect.getsource)
"""
    assert ran(PROGRAM + code) == "True True\n"


def test_msgspec_takes_from_typing_what_it_else_takes_from_elsewhere() -> None:
    code = """
from typing import NotRequired, TypedDict
class Given(TypedDict):
    a: int
    b: NotRequired[str]
print(msgspec.json.decode(b'{"a": 1}', type=Given), msgspec.json.schema(Given), type(msgspec.__spec__.loader))
"""
    assert ran(PROGRAM + code) == ran("import msgspec\n" + code)


def test_who_imports_netprobe_finds_everything_as_it_is() -> None:
    code = """
import sys
before = list(sys.meta_path)
import netprobe, netprobe.session, netprobe.cli, inspect
print(sys.meta_path == before, inspect.__file__ is not None)
"""
    assert ran(code) == "True True\n"
