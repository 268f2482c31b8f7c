# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the controller answers to whoever resets it or takes the hand back: what really follows."""

from __future__ import annotations

from mbrl_controller.control.episode_manager import Phase
from mbrl_controller.control.session import ControlSession
from mbrl_controller.control.standing import Standing


def what_follows(
    standing: Standing, session: ControlSession | None, *, active: bool, ticking: bool, problem: str, reset_service: str
) -> str:
    """In words. `session`: None while unconfigured; `problem`: why the state could not be used until now."""
    obstacles = []
    if standing.stop is not None:
        obstacles.append(f"stopped until ~/reset: {standing.stop.reason}")
    if standing.hand_over is not None:
        obstacles.append(f"handed over until ~/hand_over with false: {standing.hand_over.reason}")
    if session is None:
        obstacles.append("not configured")
    elif not active:
        obstacles.append("not active")
    elif not ticking:
        obstacles.append("the control loop has ended: deactivate and activate")
    if obstacles or session is None:
        return f"nothing is sent: {'; '.join(obstacles)}"
    if session.episodes.phase is Phase.RESETTING:
        return f"a new episode begins with the next good state after the scene's reset by {reset_service}"
    return f"a new episode begins with the next good state{f'; until now: {problem}' if problem else ''}"
