# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The documentation site: `make docs`. rosdoc2, which builds that of ROS packages, finds it by rosdoc2.yaml."""

import sys
from importlib.util import find_spec
from pathlib import Path

import mbrl_controller
from mbrl_controller.base.resources import checkout_dir

# rosdoc2 runs a copy of this file in another folder.
PAGES = Path(__file__).resolve().parent if "__file__" in globals() else Path()
if not (PAGES / "sitegen").is_dir():
    PAGES = (checkout_dir() or Path()) / "docs"
sys.path.insert(0, str(PAGES))

project = "mbrl_controller"
author = "mbrl_controller authors"
copyright = f"2026 {author}"
version = release = mbrl_controller.__version__
repository_url = "https://example.org/mbrl_controller"  # as in setup.py; what is no page is shown there

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sitegen",
]
exclude_patterns = ["_build"]
root_doc = "index"
default_role = "code"  # docstrings have single backticks
suppress_warnings = ["misc.highlighting_failure"]  # a scene's and a contract's fragments are not whole documents

myst_heading_anchors = 5
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_mock_imports = [name for name in ("torch", "mujoco") if find_spec(name) is None]
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo" if find_spec("furo") else "alabaster"
html_title = f"{project} {version}"
html_show_sphinx = False
