# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The command line's own complaints about its words, with what helps."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from mbrl_controller.base.overrides import COMMA_HINT, has_decimal_comma

WORDS = "words"


class CommandGroup(TyperGroup):
    """Tells whoever wrote 5,0 for a number what is wrong with it, whichever command it was for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the words: what is refused is not told by its error."""
        ctx.meta[WORDS] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            if any(has_decimal_comma(word.rpartition("=")[2]) for word in ctx.meta[WORDS]):
                error.message = f"{error.message.rstrip('.')}; {COMMA_HINT}"
            raise
