"""How the code is written, measured. What is not yet as it should be is listed by name or number here, and the lists may only shrink."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

import pytest
from house.imports import PACKAGE
from house.parsing import parsed

WIDTH = 110  # columns
PURE = ("model", "endpoint", "codec", "rules", "predict", "diagnose", "causes", "render", "question", "expectations")
COUNTED = ("model", "predict", "rules", "wire")  # of whose values a question makes thousands
HOLD_A_GROUND = {"Surroundings", "_Leaving"}  # or functions that do, which may hold them in turn
DECISIONS = 0.40  # a function line at most, in pure rooms


def sources() -> Iterator[tuple[str, str, ast.Module]]:
    """(file, room, tree) of each file of the package."""
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE)
        yield str(name), name.parts[0].removesuffix(".py"), parsed(file.read_text())


def nested_conditionals(tree: ast.AST) -> list[int]:
    """The lines of `a if b else c if d else e`, wherever the inner one stands."""
    choices = [node for node in ast.walk(tree) if isinstance(node, ast.IfExp)]
    return [node.lineno for node in choices if any(isinstance(part, ast.IfExp) for part in (node.body, node.test, node.orelse))]


def decisions(function: ast.AST) -> int:
    """Branches, loops, handlers, filters, and all but the first term of each `and` and `or`."""
    found = 0
    for node in ast.walk(function):
        found += isinstance(node, ast.If | ast.IfExp | ast.For | ast.While | ast.ExceptHandler | ast.comprehension | ast.match_case)
        found += len(node.ifs) if isinstance(node, ast.comprehension) else 0
        found += len(node.values) - 1 if isinstance(node, ast.BoolOp) else 0
    return found


def lines(function: ast.FunctionDef) -> int:
    """Its lines, without those of its docstring."""
    first = function.body[0]
    described = ast.get_docstring(function) is not None
    return (function.end_lineno or 0) - function.lineno + 1 - ((first.end_lineno or 0) - first.lineno + 1 if described else 0)


def outermost(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """The functions and methods that stand in no other function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield node
        else:
            yield from outermost(node)


def density(room: str) -> float:
    """Decisions a function line."""
    functions = [each for _, found, tree in sources() if found == room for each in outermost(tree)]
    return sum(map(decisions, functions)) / max(1, sum(map(lines, functions)))


def extends_its_namesake(node: ast.ClassDef) -> bool:
    """`class Report(model.Report)` is the same thing with more to it."""
    return node.name in {base.attr for base in node.bases if isinstance(base, ast.Attribute)}


def test_no_conditional_expression_stands_in_another() -> None:
    assert [f"{file}:{line}" for file, _, tree in sources() for line in nested_conditionals(tree)] == []


def settings(value: ast.ClassDef) -> dict[str, object]:
    """What stands behind the bases of a class, as far as it is literal."""
    return {each.arg: each.value.value for each in value.keywords if each.arg and isinstance(each.value, ast.Constant)}


@pytest.mark.parametrize("room", COUNTED)
def test_the_collector_passes_over_values_which_make_no_cycles(room: str) -> None:
    classes = (node for _, found, tree in sources() if found == room for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    frozen = [each for each in classes if settings(each).get("frozen")]
    looked_through = {each.name for each in frozen if settings(each).get("gc") is not False}
    assert frozen
    assert looked_through <= HOLD_A_GROUND


@pytest.mark.parametrize("room", PURE)
def test_decisions_a_line(room: str) -> None:
    assert round(density(room), 2) <= DECISIONS


def test_a_class_name_stands_for_one_thing() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for file, _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not extends_its_namesake(node):
                places[node.name].add(file)
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_lines_are_short_enough_to_read_beside_each_other() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    lines = [(file, number, line) for file in files for number, line in enumerate(file.read_text().splitlines(), 1)]
    assert [f"{file}:{number}" for file, number, line in lines if len(line) > WIDTH] == []


@pytest.mark.parametrize(
    ("source", "nested", "decided"),
    [
        ("def f():\n    return a if b else c if d else e", 1, 2),
        ("def f():\n    return a if b else (c if d else e)", 1, 2),
        ("def f():\n    return a if b else c", 0, 1),
        ("def f():\n    for x in y:\n        if x and y or z:\n            pass", 0, 4),
        ("def f():\n    return [x for x in y if x]", 0, 2),
    ],
)
def test_the_measures(source: str, nested: int, decided: int) -> None:
    tree = parsed(source)
    assert len(nested_conditionals(tree)) == nested
    assert decisions(tree) == decided
