"""Other hosts on the command line: what the options of `parameters.HOSTS` say together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netprobe.hosts import Hosts


def given_hosts(options: dict[str, Any]) -> Hosts | None:
    """The hosts that are to be asked; None where there are none. Raises WrongQuestion."""
    names, file = options.get("on_hosts") or (), options.get("hosts_file")
    if not names and file is None:
        _check_alone(options)
        return None
    from netprobe.errors import WrongQuestion
    from netprobe.hosts import Hosts, of_words

    if options.get("watch"):
        raise WrongQuestion(
            "--watch looks at one machine, and other hosts were given",
            "Leave --watch or the hosts out; `netprobe check --wait` asks hosts again.",
        )
    allow_many_files()
    return Hosts(of_words(names), file, options["ssh_config"], options["become"])


def _check_alone(options: dict[str, Any]) -> None:
    """Raises WrongQuestion for an option that says something of hosts where there are none."""
    from netprobe.errors import WrongQuestion

    for name in ("ssh_config", "become"):
        if options.get(name):
            raise WrongQuestion(
                f"--{name.replace('_', '-')} is for other hosts, and none are given",
                "Name them: -H h1,h2 or --hosts FILE",
            )


def allow_many_files() -> None:
    """Have as many descriptors as the user may: each endpoint of a matrix takes four, and each host."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
