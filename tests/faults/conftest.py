"""What the tests of the catalogue share: one workshop for each privilege, and each experiment performed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from faults.experiment import Outcome, perform
from faults.workshop import Workshop
from identities import Identity

from netprobe.errors import CannotLook
from netprobe.lab.faults import FAULTS, Fault


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A day's run performs one fault of each code, unprivileged where it can; `-m ""` performs all of them both ways."""
    first = {fault.expected.code: fault for fault in reversed(FAULTS)}
    for item in items:
        given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        fault, privilege = given.get("fault"), given.get("privilege")
        if isinstance(fault, Fault) and privilege is not None:
            other_way = privilege == ("rootless" if fault.privileged else "root")
            if other_way or fault is not first[fault.expected.code]:
                item.add_marker(pytest.mark.thorough)


@pytest.fixture(scope="session")
def workshop(privilege: str, user: Identity) -> Iterator[Workshop]:
    """workshop.perform(function, *arguments): what the function gives in a private world of its own."""
    with Workshop(privilege, user) as opened:
        yield opened


@pytest.fixture(scope="session")
def experiment(privilege: str, workshop: Workshop) -> Callable[[Fault], Outcome]:
    """experiment(fault): its outcome, performed once in this session."""
    done: dict[str, Outcome | CannotLook] = {}

    def outcome(fault: Fault) -> Outcome:
        if fault.privileged and privilege == "rootless":
            pytest.skip("the kernel lets only root make this fault")
        if fault.name not in done:
            try:
                done[fault.name] = workshop.perform(perform, fault)
            except CannotLook as error:
                done[fault.name] = error
        found = done[fault.name]
        if isinstance(found, CannotLook) and "could not be injected" not in str(found):
            pytest.skip(str(found))  # a program or a kernel feature is missing
        if isinstance(found, CannotLook):
            raise found
        return found

    return outcome
