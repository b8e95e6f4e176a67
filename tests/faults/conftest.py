"""What the tests of the catalogue share: one workshop for each privilege, and each experiment performed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from faults.experiment import Outcome
from faults.workshop import Workshop
from identities import Identity

from netprobe.errors import CannotLook
from netprobe.lab.faults import Fault


@pytest.fixture(scope="session")
def experiment(privilege: str, user: Identity) -> Iterator[Callable[[Fault], Outcome]]:
    """experiment(fault): its outcome, from this session's one performance."""
    done: dict[str, Outcome] = {}
    with Workshop(privilege, user) as workshop:

        def perform(fault: Fault) -> Outcome:
            if fault.privileged and privilege == "rootless":
                pytest.skip("the kernel lets only root make this fault")
            if fault.name not in done:
                done[fault.name] = workshop.perform(fault)
            return done[fault.name]

        try:
            yield _skipping(perform)
        finally:
            done.clear()


def _skipping(perform: Callable[[Fault], Outcome]) -> Callable[[Fault], Outcome]:
    """Skip, with the reason, where a program or a kernel feature is missing; a fault that does not take is an error."""

    def skipping(fault: Fault) -> Outcome:
        try:
            return perform(fault)
        except CannotLook as error:
            if "could not be injected" in str(error):
                raise
            pytest.skip(str(error))

    return skipping
