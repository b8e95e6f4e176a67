"""The sysctls of a namespace: a machine has thousands, most interfaces the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class Settings(Mapping[str, str]):
    """Sysctls by their names: those that stand `alone`, and the tables of interfaces, each by what stands
    before its names (`net.ipv4.conf.eth0`); interfaces that are set alike have one table together.
    """

    __slots__ = ("_alone", "_tables")

    def __init__(self, alone: Mapping[str, str], tables: Mapping[str, Mapping[str, str]]) -> None:
        self._alone, self._tables = alone, tables

    def __getitem__(self, name: str) -> str:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """The text of one, or the default."""
        found = self._alone.get(name)
        if found is None:
            stem, _, key = name.rpartition(".")
            found = self._tables.get(stem, {}).get(key)
        return default if found is None else found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        yield from self._alone
        for stem, table in self._tables.items():
            for key in table:
                if (name := f"{stem}.{key}") not in self._alone:
                    yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Settings) and (self._alone, self._tables) == (other._alone, other._tables):
            return True
        return isinstance(other, Mapping) and dict(self.items()) == dict(other.items())

    __hash__ = None  # type: ignore[assignment]
