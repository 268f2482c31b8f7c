# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from ..episodes.conftest import claw, contract, made_up  # noqa: F401 (fixtures)
