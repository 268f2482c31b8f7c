# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Who else commands the hand: two controllers on one command topic would fight over it."""

from __future__ import annotations

from mbrl_controller.nodes.graph import Publishers


class Commanders(Publishers):
    """Publishers on the hand's command topic."""

    def contested(self, own: bool) -> str:
        """Why this node must not command; empty if it is alone."""
        others = self.others(own)
        return f"{self.topic} is already commanded by {', '.join(others)}: one hand, one master" if others else ""
