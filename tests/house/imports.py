"""The imports of the package, read from its source: who asks for whom, and whether at once or only when a function runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from house.parsing import parsed

PACKAGE = Path(__file__).parents[2] / "netprobe"


@dataclass(frozen=True)
class Import:
    """One import: by which file and line, of which absolute module, and `lazy` when it waits inside a function or is for types only."""

    file: Path
    line: int
    module: str
    lazy: bool

    @property
    def room(self) -> str:
        """The file's folder or module right below the package; "" for the package's own face."""
        first = self.file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        return "" if first == "__init__" else first

    def __str__(self) -> str:
        return f"{self.file.relative_to(PACKAGE.parent)}:{self.line} imports {self.module}"


def all_imports() -> list[Import]:
    """Every import statement of the package."""
    return [found for file in sorted(PACKAGE.rglob("*.py")) for found in imports_of(file, file.read_text())]


def imports_of(file: Path, source: str) -> Iterator[Import]:
    """The imports of one file's source."""
    package = ("netprobe", *file.relative_to(PACKAGE).parent.parts)
    for node, lazy in _statements(parsed(source), False):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, alias.name, lazy)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield from (Import(file, node.lineno, f"{module}.{alias.name}", lazy) for alias in node.names)


def _statements(node: ast.AST, lazy: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _for_types_only(child)
        yield child, inside
        yield from _statements(child, inside)


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def edges() -> dict[str, set[str]]:
    """Which modules each module imports; imports inside functions count, those for types alone too."""
    files = {module_of(file): file for file in PACKAGE.rglob("*.py")}
    found = {module: imports_of(file, file.read_text()) for module, file in files.items()}
    return {module: {name for one in imports for name in targets(one.module, files)} - {module} for module, imports in found.items()}


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The modules that import each other, directly or in a round."""
    found: list[list[str]] = []
    left = dict(edges)
    while left:
        start = next(iter(left))
        group = {start} | (reached(start, edges) & reached(start, reversed_edges(edges)))
        if len(group) > 1:
            found.append(sorted(group))
        left = {module: imported for module, imported in left.items() if module not in group}
    return found


def module_of(file: Path) -> str:
    """The dotted name of a file of the package."""
    return ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def targets(imported: str, files: dict[str, Path]) -> set[str]:
    """The module that an import names, or that holds what it names. A package itself is not meant by an import of its modules."""
    if imported in files:
        return {imported}
    holder = imported.rpartition(".")[0]
    return {holder} & files.keys()


def reversed_edges(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """Who is imported by whom."""
    backwards: dict[str, set[str]] = {module: set() for module in edges}
    for module, imported in edges.items():
        for each in imported:
            backwards[each].add(module)
    return backwards


def reached(start: str, edges: dict[str, set[str]]) -> set[str]:
    """All modules that can be come to from `start`."""
    met: set[str] = set()
    waiting = [start]
    while waiting:
        for each in edges[waiting.pop()] - met:
            met.add(each)
            waiting.append(each)
    return met
