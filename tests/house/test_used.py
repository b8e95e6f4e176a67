"""What nothing uses is deleted: a function that only it calls itself was once forgotten in a merge, and its repair with it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeGuard

from house.imports import PACKAGE
from house.parsing import parsed
from house.test_style import PURE, sources

FOR_TESTS = {"linux/netfilter/read.py: read_ruleset"}  # the two halves of a reading, one after the other


def references(tree: ast.AST) -> Counter[str]:
    """How often each name is used in a tree; not where it is defined."""
    found: Counter[str] = Counter()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                found[name] += 1
            case ast.ImportFrom(names=names):
                found.update(alias.name for alias in names)
    return found


def is_plain(node: ast.stmt) -> TypeGuard[ast.FunctionDef]:
    """Whether a statement defines a function that neither a decorator, nor Python itself, nor pytest (a hook) calls."""
    return isinstance(node, ast.FunctionDef) and not node.decorator_list and not node.name.startswith(("__", "pytest_"))


def unused(trees: dict[str, ast.Module]) -> set[str]:
    """`FILE: FUNCTION` of each top-level function without a decorator that nothing but itself names."""
    everywhere: Counter[str] = Counter()
    for tree in trees.values():
        everywhere.update(references(tree))
    plain = [(file, node) for file, tree in trees.items() for node in tree.body if is_plain(node)]
    return {f"{file}: {node.name}" for file, node in plain if everywhere[node.name] == references(node)[node.name]}


def test_each_function_is_used() -> None:
    trees = {str(file.relative_to(PACKAGE)): parsed(file.read_text()) for file in sorted(PACKAGE.rglob("*.py"))}
    assert unused(trees) == FOR_TESTS


def test_a_function_that_only_calls_itself_is_found() -> None:
    trees = {"a.py": ast.parse("def f(n):\n    return f(n - 1)\n\ndef g():\n    return 1\n\nh = g\n")}
    assert unused(trees) == {"a.py: f"}


STRUCTS = {"Struct"}
ASKED_BY_WORD = {"where", "find", "has", "but", "among", "not_among", "holding"}
FOR_THE_OTHERS = {  # what is between rooms that are not pure: how to craft, to watch, to find a runtime, to print a stream
    "Probe.token", "Watch.services", "Sweep.kept", "EndEvent.lost_capture", "Space.inode",
    "RuntimeKind.module", "RuntimeKind.folders", "RuntimeKind.escaped", "RuntimeKind.chosen_by", "RuntimeKind.logs",
}  # fmt: skip


def looked_at(tree: ast.AST) -> Iterator[str]:
    """The fields that a tree reads: as attributes, by the words of a query, in a pattern, or by their name."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name, ctx=ast.Load()) | ast.Constant(value=str(name)):
                yield name
            case ast.MatchClass(kwd_attrs=names):
                yield from names
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), keywords=given) if name in ASKED_BY_WORD:
                yield from (keyword.arg for keyword in given if keyword.arg is not None)


def fields_of(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(class, field) of each value."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and STRUCTS & {ast.unparse(base) for base in node.bases}:
            own = (each.target for each in node.body if isinstance(each, ast.AnnAssign))
            yield from ((node.name, target.id) for target in own if isinstance(target, ast.Name))


def unseen(model: Iterable[ast.Module], pure: Iterable[ast.Module]) -> set[str]:
    """`CLASS.FIELD` of what the model has and no pure room looks at."""
    seen = {name for tree in pure for name in looked_at(tree)}
    return {f"{kind}.{name}" for tree in model for kind, name in fields_of(tree) if name not in seen}


def test_a_pure_room_looks_at_each_field_of_the_model() -> None:
    pure = [(room, tree) for _, room, tree in sources() if room in PURE]
    assert unseen([tree for room, tree in pure if room == "model"], [tree for _, tree in pure]) == FOR_THE_OTHERS


def test_a_field_that_is_only_written_is_found() -> None:
    model = ast.parse("class A(Struct):\n    n: int\n    m: int\n    k: int\n")
    assert unseen([model], [model, ast.parse("a = A(n=1, m=2, k=3)\nwhere(all, m=1)\nprint(a.k)\na.n = 1")]) == {"A.n"}
