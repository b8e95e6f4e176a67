"""How commands are found and parsed: a hint for a typo, general options behind a command as well."""

from __future__ import annotations

import click
from click.core import augment_usage_errors

from .parameters import ANYWHERE, later


class Subcommand(click.Command):
    """A command whose errors are about it: click does not say whose option lacks its value.

    What stands before any command may stand behind it, too.
    """

    _are_made = False

    @property
    def params(self) -> list[click.Parameter]:
        """Its parameters; those of `with_options` are made when they are first asked for."""
        if not self._are_made and self.callback is not None:
            self._are_made = True
            self._params += later(self.callback)
        return self._params

    @params.setter
    def params(self, given: list[click.Parameter]) -> None:
        self._params = given

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own, and the general ones, which its help does not repeat."""
        return [*super().get_params(ctx), *ANYWHERE]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """click's parsing, which knows for its errors where it is."""
        with augment_usage_errors(ctx):
            return super().parse_args(ctx, args)


class Commands(click.Group):
    """All commands, in the order in which a person meets them, and the nearest name for a typo."""

    command_class = Subcommand

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands in the order of their definition."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """click's resolution, with a hint for a misspelt command."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), 2)
            if not near:
                raise
            raise click.UsageError(
                f"No such command '{args[0]}'. Did you mean {' or '.join(near)}?", ctx
            ) from error
