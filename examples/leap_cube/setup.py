# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Package for pip and for colcon (ament_python)."""

from setuptools import find_packages, setup

PACKAGE = "leap_cube"

setup(
    name=PACKAGE,
    version="0.1.0",
    description="Example of mbrl_controller: a 16-joint hand turns a cube",
    author="mbrl_controller authors",
    author_email="maintainers@example.org",
    maintainer="mbrl_controller maintainers",
    maintainer_email="maintainers@example.org",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    # With this, `pip install -e` puts this folder on Python's path. Otherwise Python, started in the folder above,
    # would take this one for the package, because it has its name.
    package_dir={"": "."},
    package_data={PACKAGE: ["share/*/*", "share/*/*/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"share/{PACKAGE}/launch", ["launch/sim.launch.py", "launch/robot.launch.py"]),
    ],
    zip_safe=False,
    install_requires=["mbrl_controller"],
    entry_points={
        "mbrl_controller.tasks": ["leap_cube = leap_cube.task:LeapCube"],
        "mbrl_controller.share": ["leap_cube = leap_cube:share_dir"],
    },
)
