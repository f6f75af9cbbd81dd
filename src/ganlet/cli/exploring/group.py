"""How `ganlet explore RUN [OPTIONS] [VERB ...]` is read."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class RunFirst(TyperGroup):
    """Takes its own options behind RUN too, as of any other command, as long as no verb was named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-"):
            end = 1
            while end < len(args) and args[end].startswith("-"):
                end += 2 if self._takes_value(args[end]) else 1
            args = [*args[1:end], args[0], *args[end:]]
        return super().parse_args(ctx, args)

    def _takes_value(self, option: str) -> bool:
        """Whether the next word belongs to an option."""
        found = [one for one in self.params if option in (*one.opts, *one.secondary_opts)]
        return any(not getattr(one, "is_flag", False) for one in found)
