"""A process that performs trials, each in a private world of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from faults.workshop import Workshop
from identities import Identity


@pytest.fixture(scope="session")
def workshop(privilege: str, user: Identity) -> Iterator[Workshop]:
    """workshop.perform(function, *arguments): what the function gives in a private world."""
    with Workshop(privilege, user) as opened:
        yield opened
