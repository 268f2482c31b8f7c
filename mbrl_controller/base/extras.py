# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Optional parts of the package: which extra a missing module belongs to, and how to install it here."""

from __future__ import annotations

import re
from importlib import metadata

from mbrl_controller.base.resources import PACKAGE, checkout_dir

# Top-level modules of each extra of setup.py.
EXTRAS = {
    "sim": ("mujoco", "gymnasium_robotics", "gymnasium", "PIL"),
    "train": ("torch", "array_api_compat", "onnx", "matplotlib", "tensorboard"),
    "policy": ("stable_baselines3",),
    "report": ("matplotlib",),
    "share": ("fsspec", "s3fs"),
    "scale": ("optuna", "ray"),
    "viewer": ("mjviser", "viser"),
    "export": ("pyarrow", "minari"),
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


def extra_of(module: str) -> str | None:
    """The extra that a module (or a module within it) comes with; None where none has it."""
    top = module.partition(".")[0]
    return next((extra for extra, modules in EXTRAS.items() if top in modules), None)


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """What to install for the module that is missing; None where no extra has it."""
    module = (error.name or "").partition(".")[0]
    extra = extra_of(module)
    return extra and f"this needs {module}, which is not installed: {how_to_install(extra)}"


def how_to_install(extra: str) -> str:
    """The command that installs an extra of this package.

    Never by the package's name: on an index, that may be another package. In a checkout the command installs from the
    checkout, elsewhere it installs the requirements in the installed metadata.
    """
    checkout = checkout_dir()
    if checkout is not None:
        command = f"pip install '.[{extra}]' in {checkout}"
    else:
        command = f"pip install {' '.join(_packages(extra))}"
    return f"source the setup file of your ROS 2, or {command}" if extra == "ros" else command


def _packages(extra: str) -> list[str]:
    """Requirements of an extra, quoted for a shell; its modules' names where there is no metadata."""
    try:
        required = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        required = []
    wanted = re.compile(rf"\bextra\s*==\s*['\"]{extra}['\"]")
    found = [text.partition(";")[0].strip() for text in required if wanted.search(text.partition(";")[2])]
    return [f"'{text}'" if re.search(r"[<>=!~ \[]", text) else text for text in found] or list(EXTRAS[extra])
