"""No cry of wolf: healthy networks, however unusual, are called reachable, and `why` never calls one broken."""

from __future__ import annotations

import pytest
from faults.healthy import HEALTHY, Healthy, examine
from faults.workshop import Workshop

from netprobe.errors import CannotLook


@pytest.mark.lab
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in HEALTHY])
def test_it_is_reachable(workshop: Workshop, case: Healthy) -> None:
    try:
        asked = workshop.perform(examine, case)
    except CannotLook as error:
        pytest.skip(str(error))
    for each in asked:
        assert each.real[0] == each.real[1], f"does not work: {each.probe}"
        assert each.said.code == 0, f"cry of wolf: {each.probe}\n{each.said.told}"
        assert each.why is None or each.why.report["verdict"] in ("reachable", "undetermined"), f"cry of wolf: {each.why.told}"
