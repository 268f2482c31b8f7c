# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from ..ros.conftest import foreign_node, ros, ros_env  # noqa: F401 (fixtures)
