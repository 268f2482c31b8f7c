"""Package for colcon (ament_python) and for pip; both install the same code, data files and commands."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "mbrl_controller"
HERE = Path(__file__).resolve().parent
VIEWER = ["mjviser>=0.0.14"]
SIM = ["mujoco>=3.3", "gymnasium-robotics>=1.4", "pillow>=10"]
TRAIN = ["torch==2.13.0", "onnx>=1.17", "matplotlib>=3.8", "tensorboard>=2.16"]
# The messages and client library of ROS 2 Jazzy as wheels (Linux x86_64), for machines without a ROS installation.
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


setup(
    name=PACKAGE,
    version="0.1.0",
    description="Model-predictive control of a dexterous robot hand with a learned ensemble (PDDM)",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="mbrl_controller authors",
    author_email="maintainers@example.org",
    maintainer="mbrl_controller maintainers",
    maintainer_email="maintainers@example.org",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *tree("launch"),
        *tree("config"),
        *tree("models"),
        *tree("sim"),
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
        "ros": ROS,
        "test": ["pytest>=7.4", "hypothesis>=6.90", "mcap-ros2-support>=0.5", *SIM],
        "dev": ["ruff==0.17.5", "mypy==2.4.1", "types-PyYAML"],
        "mutation": ["mutmut==3.8.1"],
    },
    entry_points={
        "console_scripts": [
            "mbrl = mbrl_controller.jobs.cli:main",
            "controller = mbrl_controller.nodes.controller:main",
            "logger = mbrl_controller.nodes.logger:main",
            "sim = mbrl_controller.nodes.sim:main",
            "retrain = mbrl_controller.jobs.cli:retrain_main",
        ],
    },
)
