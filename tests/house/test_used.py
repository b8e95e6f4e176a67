"""What nothing uses is deleted: a function that only it calls itself was once forgotten in a merge, and its repair with it."""

from __future__ import annotations

import ast
from collections import Counter
from typing import TypeGuard

from house.imports import PACKAGE
from house.parsing import parsed

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
