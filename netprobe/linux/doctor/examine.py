"""The examination as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netprobe.linux.names.namespaces import HOST_ROOT
from netprobe.model.examination import Examination

from .engines import engines
from .kernel import kernel, neighbour_tables, user_namespaces
from .rules import rules
from .situation import privilege, processes, situation, way_to_privilege
from .tools import ruleset_tools


def examine(environment: Mapping[str, str], argv: Sequence[str]) -> Examination:
    """What this machine lets netprobe see, when it is started by `argv` in this environment.

    Nothing is changed and nothing is sent, but for a question to each container engine.
    """
    seen = situation()
    root = HOST_ROOT if seen.of_host else ""
    return Examination(
        (
            privilege(seen, argv),
            processes(seen, argv),
            *engines(environment, root, argv, seen.user),
            ruleset_tools(),
            *rules(way_to_privilege(seen, argv)),
            kernel(),
            *user_namespaces(seen.user),
            *neighbour_tables(),
        )
    )
