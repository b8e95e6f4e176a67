"""A container as something found by its name: the network namespace of its first process, proved when it is
opened.
"""

from __future__ import annotations

from netprobe.errors import WrongQuestion
from netprobe.linux import files, netns
from netprobe.linux.names.names import Found
from netprobe.model.command import joined

from .container import Container, absence, label, remarks
from .process import INITIAL_USER_NAMESPACE, PROC, Process, open_network


class FoundContainer(Found):
    """A container's namespace.

    Its first process is held while it is opened, and checked to be the container's.
    """

    __slots__ = ("container",)
    container: Container

    def __init__(self, container: Container) -> None:
        pid = container.pid or None
        super().__init__(
            container.runtime, container.name, f"{PROC}/{pid}/ns/net", pid, note=label(container)
        )
        object.__setattr__(self, "container", container)

    @property
    def is_own(self) -> bool:
        """Whether the runtime says that it has a network of its own."""
        return self.container.network not in ("", "host")

    @property
    def way_in(self) -> str:
        """For a rootless engine's container: into its user namespace first, where its owner has every
        capability.

        Into its network namespace as well, because from the host's one goes there and never back.
        """
        own, its = (_user_namespace(pid) for pid in ("self", self.pid))
        if its in ("", INITIAL_USER_NAMESPACE):
            return ""
        through = ("--net",) if own == its else ("--user", "--net", "--preserve-credentials")
        return joined(("nsenter", "--target", str(self.pid), *through))

    @property
    def owner(self) -> int:
        """The user whose word it is that it has this name; 0: root's or that of who asks."""
        return self.container.owner

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.pid is not None

    @property
    def precise(self) -> str:
        """The way to write it when another container has its name as well."""
        return self.container.text_by_id

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is not ordinary about its network, in sentences."""
        return remarks(self.container)

    def open(self) -> int:
        """A descriptor of the namespace.

        Raises WrongQuestion for a container that does not run, NotPermitted or CannotLook.
        """
        if self.pid is None:
            message, hint = absence(self.container)
            raise WrongQuestion(message, hint)
        return open_network(self.pid, self.container.id, self.text, self.container.owner)

    def identity(self) -> netns.Identity | None:
        """Which namespace it is; None for a container that does not run or may not be looked into."""
        if self.pid is None:
            return None
        try:
            with Process(self.pid) as process:
                return (
                    process.identity()
                    if process.names(self.container.id, owner=self.container.owner)
                    else None
                )
        except OSError:
            return None


def _user_namespace(pid: int | str | None) -> str:
    try:
        return files.link(f"{PROC}/{pid}/ns/user")
    except OSError:
        return ""
