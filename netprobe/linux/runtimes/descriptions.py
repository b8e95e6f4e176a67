"""Containers as Docker and Podman describe them in JSON. Source: Docker Engine API (ContainerInspect, ContainerList)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .container import Container


def described_container(kind: str, entry: Mapping[str, Any]) -> Container:
    """A container from the answer to /containers/NAME/json (ContainerInspect), or from Docker's own config.v2.json."""
    state = entry.get("State") or {}
    status = str(state.get("Status") or _status(state))
    ended = status in ("exited", "dead", "restarting", "removing", "stopped")
    return Container(
        kind,
        str(entry.get("Id") or entry.get("ID") or ""),
        str(entry.get("Name") or "").lstrip("/"),
        int(state.get("Pid") or 0),
        status,
        str((entry.get("HostConfig") or {}).get("NetworkMode") or ""),
        _networks(entry),
        int(state.get("ExitCode") or 0) if ended else None,
        moment(str(state.get("FinishedAt") or "")) if ended else None,
    )


def _status(state: Mapping[str, Any]) -> str:
    """The word for a state that is given as flags, in the order in which Docker decides it (daemon/container/state.go)."""
    if state.get("Running"):
        return "paused" if state.get("Paused") else "restarting" if state.get("Restarting") else "running"
    flags = {"removing": "RemovalInProgress", "dead": "Dead"}
    named = next((word for word, flag in flags.items() if state.get(flag)), None)
    never = str(state.get("StartedAt") or "0001").startswith("0001")
    return named or ("created" if never else "exited")


def _networks(entry: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The networks it is connected to; None when they are not told."""
    settings = entry.get("NetworkSettings")
    return tuple(settings.get("Networks") or ()) if isinstance(settings, Mapping) else None


def listed_container(kind: str, entry: Mapping[str, Any]) -> Container:
    """A container from the answer to /containers/json (ContainerList): without its process."""
    names = [str(name).lstrip("/") for name in entry.get("Names") or ()]
    plain = [name for name in names if "/" not in name] or [""]  # "/web/db" is a link's name
    networks = _networks(entry)
    mode = str((entry.get("HostConfig") or {}).get("NetworkMode") or "")
    if not mode and networks in (("none",), ("host",)):  # Podman's list leaves the mode out
        mode = networks[0]
    return Container(
        kind,
        str(entry.get("Id") or ""),
        plain[0],
        state=str(entry.get("State") or ""),
        network=mode,
        networks=networks,
    )


def moment(text: str) -> float | None:
    """Seconds since the epoch of a time as Go prints it (RFC 3339); None for its zero, the year 1, and for what is none."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when.timestamp() if when.year > 1 and when.tzinfo is not None else None
