"""How commands speak: results on stdout, errors in one red line on stderr with an exit code, never a traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from mbrl_controller.errors import MbrlError

Command = TypeVar("Command", bound=Callable[..., Any])

REFUSED = 1  # it worked, and the answer is no
FAILED = 2
INTERRUPTED = 130
# Top-level modules of each extra: what is missing says what to install.
EXTRAS = {
    "sim": ("mujoco", "gymnasium_robotics", "PIL"),
    "train": ("torch", "onnx", "matplotlib", "tensorboard"),
    "viewer": ("mjviser", "viser"),
    "ros": (
        "rclpy",
        "builtin_interfaces",
        "diagnostic_msgs",
        "geometry_msgs",
        "lifecycle_msgs",
        "nav_msgs",
        "rcl_interfaces",
        "rosgraph_msgs",
        "sensor_msgs",
        "std_msgs",
        "std_srvs",
        "trajectory_msgs",
    ),
}

console = Console()
error_console = Console(stderr=True)


def report_errors(command: Command) -> Command:
    """Turns errors meant for a person, missing extras and Ctrl-C into a message and an exit code."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except MbrlError as error:
            fail(str(error))
        except ModuleNotFoundError as error:
            message = missing_extra(error)
            if message is None:
                raise
            fail(message)
        except KeyboardInterrupt:
            error_console.print("interrupted")
            raise typer.Exit(INTERRUPTED) from None

    return wrapped  # type: ignore[return-value]


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """What to install for the module that is missing; None where no extra has it."""
    module = (error.name or "").partition(".")[0]
    extra = next((name for name, modules in EXTRAS.items() if module in modules), None)
    return extra and f"this needs {module}, which is not installed: pip install 'mbrl_controller[{extra}]'"


def fail(message: str) -> None:
    """Print `message` in red on stderr and exit with code 2."""
    error_console.print(f"[red]error:[/red] {escape(message)}", soft_wrap=True)
    raise typer.Exit(FAILED)
