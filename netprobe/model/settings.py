"""The sysctls of a namespace: a machine has thousands, most interfaces the same."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping


class Settings(Mapping[str, str]):
    """Sysctls by their names: those that stand `alone`, and the tables of interfaces, each by what stands
    before its names (`net.ipv4.conf.eth0`); interfaces that are set alike have one table together.
    """

    __slots__ = ("_all", "_alone", "_tables")

    def __init__(self, alone: Mapping[str, str], tables: Mapping[str, Mapping[str, str]]) -> None:
        self._alone, self._tables = alone, tables
        self._all: dict[str, str] | None = None

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
        return iter(self._written_out())

    def __len__(self) -> int:
        return len(self._written_out())

    def items(self) -> ItemsView[str, str]:
        """All names, each with its text."""
        return self._written_out().items()

    def _written_out(self) -> dict[str, str]:
        """All of them, as few questions want them."""
        if self._all is None:
            named = ((stem, each) for stem, table in self._tables.items() for each in table.items())
            of_interfaces = {f"{stem}.{key}": value for stem, (key, value) in named}
            self._all = {**self._alone, **of_interfaces, **self._alone}
        return self._all

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Settings):
            return all(self.get(name) == other.get(name) for name in self._otherwise_in(other))
        return isinstance(other, Mapping) and dict(self.items()) == dict(other.items())

    def _otherwise_in(self, other: Settings) -> Iterator[str]:
        """The names that can stand for another text in these and in others."""
        if self._alone is not other._alone:
            yield from {**self._alone, **other._alone}
        if self._tables is not other._tables:
            for stem in {**self._tables, **other._tables}:
                ours, theirs = self._tables.get(stem, {}), other._tables.get(stem, {})
                if ours is not theirs:
                    yield from (f"{stem}.{key}" for key in {**ours, **theirs})

    __hash__ = None  # type: ignore[assignment]

    def joined(self, more: Mapping[str, str]) -> Settings:
        """These and others, which count where both have one."""
        return Settings({**self._alone, **more}, self._tables)


def joined(settings: Mapping[str, str], more: Mapping[str, str]) -> Mapping[str, str]:
    """Sysctls and others, which count where both have one."""
    return settings.joined(more) if isinstance(settings, Settings) else {**settings, **more}
