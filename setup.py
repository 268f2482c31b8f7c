# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Package for colcon (ament_python) and for pip; both install the same code and data files."""

import re
import sys
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "mbrl_controller"
HERE = Path(__file__).resolve().parent
URL = "https://example.org/mbrl_controller"
COMMANDS = {"mbrl": "mbrl_controller.cli.main:main"}
# What `ros2 run` and launch start. Their names belong in lib/<package>: on PATH, `logger` would hide the system's.
EXECUTABLES = COMMANDS | {
    "controller": "mbrl_controller.nodes.controller:main",
    "logger": "mbrl_controller.nodes.logger:main",
    "sim": "mbrl_controller.nodes.sim:main",
    "signals": "mbrl_controller.nodes.signals:main",
    "joint_poller": "mbrl_controller.nodes.joint_poller:main",
    "panel": "mbrl_controller.panel.node:main",
    "retrain": "mbrl_controller.cli.main:retrain_main",
}
# colcon, and what makes .deb and .rpm files of ROS packages, run these two commands of setuptools, for which setup.cfg
# names lib/<package>; each executable then names the Python it was built with. pip builds a wheel instead, whose
# commands go on PATH: there lib/<package> gets the scripts.
INTO_LIB = bool({"install", "develop"} & set(sys.argv))
VIEWER = ["mjviser>=0.0.14"]
SIM = ["mujoco>=3.3", "gymnasium-robotics>=1.4", "pillow>=10"]
# Many runs, many machines: the search of settings, and the engine that spreads episodes and runs over a cluster.
SHARE = ["fsspec>=2024.10", "s3fs>=2024.10"]  # storage by URL; a hand needs no more of the extra "scale"
S3_SERVER = ["moto[s3]>=5.0.20", "flask>=3", "flask-cors>=5"]  # for tests
SCALE = ["optuna>=4.2", "ray>=2.40", *SHARE, *SIM]
EXPORT = ["pyarrow>=14", "minari>=0.5.3", "pillow>=10"]
TRAIN = ["torch==2.13.0", "array-api-compat>=1.12", "onnx>=1.17", "matplotlib>=3.8", "tensorboard>=2.16"]
POLICY = ["stable-baselines3>=2.9", *TRAIN]  # model-free learning; a robot needs none of it
# The messages and client library of ROS 2 Jazzy as wheels (Linux x86_64), for machines without a ROS installation.
# Without a wheel: tf2_msgs, which objects on /tf need.
ROS = [
    f"ros-jazzy-{name}"
    for name in (
        "rclpy",
        "rmw-fastrtps-cpp",
        "builtin-interfaces",
        "diagnostic-msgs",
        "geometry-msgs",
        "lifecycle-msgs",
        "nav-msgs",
        "rcl-interfaces",
        "rosgraph-msgs",
        "sensor-msgs",
        "std-msgs",
        "std-srvs",
        "trajectory-msgs",
        "visualization-msgs",
    )
]


def tree(folder: str) -> list[tuple[str, list[str]]]:
    """Every file below `folder` as data_files, in the same place below share/<package>."""
    rows: dict[str, list[str]] = {}
    for path in sorted((HERE / folder).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            relative = path.relative_to(HERE)
            rows.setdefault(f"share/{PACKAGE}/{relative.parent.as_posix()}", []).append(relative.as_posix())
    return list(rows.items())


def long_description() -> str:
    """README.md for a package index, which has neither pictures nor files beside it: without them, links in full."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"^\|.*!\[.*\n(\|.*\n)*", "", text, flags=re.MULTILINE)  # the table of pictures
    text = re.sub(r"^!\[[^\n]*\)\n\n", "", text, flags=re.MULTILINE)  # and the one above it
    return re.sub(r"(?<!!)\]\((?!https?:|#)", f"]({URL}/", text)


setup(
    name=PACKAGE,
    version="0.2.0",
    description="Model-predictive control of a dexterous robot hand with a learned ensemble (PDDM)",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    author="mbrl_controller authors",
    author_email="maintainers@example.org",
    maintainer="mbrl_controller maintainers",
    maintainer_email="maintainers@example.org",
    license="Apache-2.0",
    url=URL,
    project_urls={
        "Documentation": f"{URL}/docs",
        "Source": URL,
        "Changelog": f"{URL}/CHANGELOG.rst",
        "Issues": f"{URL}/issues",
    },
    classifiers=[
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    python_requires=">=3.10",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["py.typed", "scaffold/templates/*.in"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *tree("launch"),
        *tree("config"),
        *tree("models"),
        *tree("sim"),
        *([] if INTO_LIB else [(f"lib/{PACKAGE}", [f"scripts/{name}" for name in EXECUTABLES])]),
    ],
    zip_safe=False,
    install_requires=[
        "numpy>=1.24",
        "onnxruntime>=1.17",
        "pydantic>=2.5",
        "pyyaml>=6",
        "lz4>=4.0",
        "mcap>=1.5",  # the first whose writer can flush
        "rosbags>=0.10",
        "typer>=0.19",
        "rich>=13",
        "zstandard>=0.20",
    ],
    extras_require={
        "sim": SIM,
        "viewer": VIEWER,
        "train": TRAIN,
        "policy": POLICY,
        "export": EXPORT,
        "scale": SCALE,
        "share": SHARE,
        "ros": ROS,
        "test": [
            "pytest>=7.4",
            "hypothesis>=6.90",
            "mcap-ros2-support>=0.5",
            "onnx>=1.17",
            *SHARE,
            *S3_SERVER,
            *SIM,
        ],
        "dev": [
            "ruff==0.17.5",
            "mypy==2.4.1",
            "types-PyYAML",
            "codespell[toml]==2.4.1",
            "pytest-rerunfailures>=14",
            "pytest-xdist>=3.6",
            "playwright>=1.60",
        ],
        "report": ["matplotlib>=3.8"],
        "docs": ["sphinx>=7.4", "myst-parser>=3", "furo>=2024.8.6"],
        "mutation": ["mutmut==3.8.1"],
    },
    entry_points={
        "console_scripts": [f"{name} = {code}" for name, code in (EXECUTABLES if INTO_LIB else COMMANDS).items()],
        "mbrl_controller.tasks": [
            "baoding = mbrl_controller.tasks.baoding:Baoding",
            "cube = mbrl_controller.tasks.cube:Cube",
            "handwriting = mbrl_controller.tasks.handwriting:Handwriting",
            "reach = mbrl_controller.tasks.reach:Reach",
            "valve = mbrl_controller.tasks.valve:Valve",
        ],
        "mbrl_controller.planners": [
            "cem = mbrl_controller.planning.cem:CemPlanner",
            "gradient = mbrl_controller.planning.gradient:GradientPlanner",
            "hybrid = mbrl_controller.planning.hybrid:HybridPlanner",
            "icem = mbrl_controller.planning.cem:IcemPlanner",
            "ilqr = mbrl_controller.planning.ilqr:IlqrPlanner",
            "pddm = mbrl_controller.planning.pddm:PddmPlanner",
            "random = mbrl_controller.planning.random_motion:RandomPlanner",
            "random_shooting = mbrl_controller.planning.random_shooting:RandomShootingPlanner",
        ],
        "mbrl_controller.share": ["mbrl_controller = mbrl_controller.base.resources:share_dir"],
    },
)
