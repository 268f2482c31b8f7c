# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Why a tick's log must not be used for training: written by the controller, read by `episodes.exclusions`."""

from __future__ import annotations

from enum import IntEnum


class Doubt(IntEnum):
    """Why the log of a tick may not be what happened to the hand: the tick's entry `doubt`."""

    NONE = 0
    UNHEARD = 1  # nobody took the commands
    DISPUTED = 2  # a state came from several publishers
    CORRECTED = 3  # feedback may change the command until the next tick: it is not the one in force


REASONS = {
    Doubt.UNHEARD: "nobody took the commands",
    Doubt.DISPUTED: "a state had several publishers",
    Doubt.CORRECTED: "feedback corrected the commands",
}
CLOCK_WENT_BACK = "the clock went back"
