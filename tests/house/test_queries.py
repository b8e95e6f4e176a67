"""`where(values, kind="veth")` names fields by words that no type checker reads: they are read here."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import msgspec
import pytest
from house.test_style import sources

from netprobe import model
from netprobe.diagnose import neighbour_messages
from netprobe.diagnose.repair.candidates import told
from netprobe.diagnose.repair.repair import Repair
from netprobe.expectations import written
from netprobe.model import engines, live
from netprobe.predict import arp_reply, outcome
from netprobe.predict.trace import Resolved, Routed
from netprobe.rules import ruling

QUERIES = {"where", "find", "has", "but", "among", "not_among", "holding"}
MODULES = (model, live, engines, neighbour_messages, told, ruling, outcome, arp_reply, written)
VALUES = [*(value for module in MODULES for value in vars(module).values()), Repair, Resolved, Routed]


def fields() -> set[str]:
    """The fields and properties of every value that can be asked for."""
    structs = [each for each in VALUES if isinstance(each, type) and issubclass(each, msgspec.Struct)]
    return {name for each in structs for name in (*each.__struct_fields__, *(n for n, m in vars(each).items() if isinstance(m, property)))}


def asked(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in QUERIES:
            yield from ((node.lineno, keyword.arg) for keyword in node.keywords if keyword.arg is not None)


@pytest.mark.parametrize("name", ["kind", "bound", "version", "is_default"])
def test_fields_and_properties_are_known(name: str) -> None:
    assert name in fields()


def test_a_field_that_there_is_not_is_found() -> None:
    assert [name for _, name in asked(ast.parse("where(links, kindd='veth')")) if name not in fields()] == ["kindd"]


def test_each_field_that_is_asked_for_is_one() -> None:
    known = fields()
    found = [(file, line, name) for file, _, tree in sources() for line, name in asked(tree) if name not in known]
    assert found == []
