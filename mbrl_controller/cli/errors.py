# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Exit codes, and errors as one red line on stderr instead of a traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from rich.markup import escape

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.extras import missing_extra
from mbrl_controller.base.resources import write_hint
from mbrl_controller.cli.console import error_console

Command = TypeVar("Command", bound=Callable[..., Any])

REFUSED = 1  # it worked, and the answer is no
FAILED = 2
INTERRUPTED = 130


def report_errors(command: Command) -> Command:
    """Decorate a command: errors for the user, missing extras and Ctrl-C become a message and an exit code."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except MbrlError as error:
            hint = write_hint(error.__cause__) if isinstance(error.__cause__, OSError) else ""
            fail(str(error) if hint in str(error) else f"{error}{hint}")
        except BrokenPipeError:  # of `mbrl ... | head`
            raise
        except OSError as error:
            fail(f"{describe_os_error(error)}{write_hint(error)}")
        except ModuleNotFoundError as error:
            message = missing_extra(error)
            if message is None:
                raise
            fail(message)
        except KeyboardInterrupt:
            error_console.print("interrupted")
            raise typer.Exit(INTERRUPTED) from None

    return wrapped  # type: ignore[return-value]


def describe_os_error(error: OSError) -> str:
    """The operating system's reason, with the file if there is one."""
    if error.strerror is None:
        return f"{type(error).__name__}: {error}"
    return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror


def warn(message: str) -> None:
    """Print `message` as a warning on stderr."""
    error_console.print(f"[yellow]warning:[/yellow] {escape(message)}", soft_wrap=True)


def fail(message: str) -> None:
    """Print `message` in red on stderr and exit with code 2."""
    error_console.print(f"[red]error:[/red] {escape(message)}", soft_wrap=True)
    raise typer.Exit(FAILED)
