"""Files of expectations (`*.netprobe.yaml`) as tests: each expectation is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from netprobe.answers import report_of
from netprobe.checking import read_files
from netprobe.errors import NetprobeError
from netprobe.model.check import Checked, Status
from netprobe.render.escape import safe

if TYPE_CHECKING:
    import os

    from netprobe.expectations.expectation import Expectation

    from .asking import Netprobe


class DoesNotHold(Exception):
    """An expectation that failed, is undetermined, or could not be asked."""

    def __init__(self, found: Checked) -> None:
        super().__init__(found.reason)
        self.found = found


class ExpectationFile(pytest.File):
    """A file of expectations, in the order in which they stand there."""

    def __init__(self, *, asking: Netprobe, **rest: Any) -> None:
        super().__init__(**rest)
        self._asking = asking

    def collect(self) -> Iterator[pytest.Item]:
        """The expectations; what is wrong with the file is said with its line."""
        try:
            wanted = read_files([self.path])
        except NetprobeError as error:
            raise self.CollectError("\n  ".join([str(error), *error.hint.splitlines()])) from error
        times = Counter[str]()
        for each in wanted:
            # in brackets pytest lets the dots and colons of addresses be
            called = each.name.replace("::", ":") or "expect"
            name = safe(f"{called}[{each.asked} is {each.wanted}]")
            times[name] += 1
            name = name if times[name] == 1 else f"{name} #{times[name]}"
            yield ExpectationItem.from_parent(self, name=name, wanted=each, asking=self._asking)


class ExpectationItem(pytest.Item):
    """One expectation: asked when the test runs."""

    def __init__(self, *, wanted: Expectation, asking: Netprobe, **rest: Any) -> None:
        super().__init__(**rest)
        self._wanted = wanted
        self._asking = asking

    def runtest(self) -> None:
        """Ask, and raise DoesNotHold where the answer is not as expected."""
        found = self._asking.become(self._wanted)
        if found.report is not None:
            self._asking.remember(safe(found.asked), report_of(found.report))
        if found.status is not Status.HELD:
            raise DoesNotHold(found)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Where it is declared, what was expected, and why that does not hold; no traceback of ours."""
        assert self.parent is not None
        error = excinfo.value
        if not isinstance(error, DoesNotHold):
            return super().repr_failure(excinfo, style)
        found = error.found
        said = [
            f"{self.parent.nodeid}:{found.line}: {found.title}", f"{found.status}: {found.reason}",
            *found.hint.splitlines(), *found.notes,
        ]  # fmt: skip
        return "\n  ".join(map(safe, said))

    def reportinfo(self) -> tuple[os.PathLike[str], int, str]:
        """File, line from 0, and name."""
        return self.path, max(self._wanted.at.line - 1, 0), self.name
