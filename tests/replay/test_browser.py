# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A person looks at an episode in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mjviser")

from mbrl_controller.replay.outlook import Outlooks
from mbrl_controller.replay.playlist import find_episodes
from mbrl_controller.replay.view import ReplayView

from ..browser import FEW_FRAMES
from .conftest import STEPS

pytestmark = pytest.mark.slow
TIMEOUT_MS = 180_000  # a busy machine without a GPU draws slowly


@pytest.fixture
def page(chromium: Any, make, tmp_path) -> Iterator[tuple[Any, ReplayView]]:
    make(ticks={"reward": np.arange(STEPS, dtype=float)})
    view = ReplayView(find_episodes("valve/s", tmp_path), Outlooks(tmp_path), port=0)
    context = chromium.new_context(viewport={"width": 900, "height": 800})
    context.add_init_script(FEW_FRAMES)
    found = context.new_page()
    found.set_default_timeout(TIMEOUT_MS)
    found.goto(view.url)
    yield found, view
    context.close()
    view.close()


def press(page: Any, label: str) -> None:
    page.get_by_role("button", name=label, exact=True).first.evaluate("element => element.click()")


def test_steps_jumps_and_playing_are_seen_on_the_page(page: tuple[Any, ReplayView]) -> None:
    browser, view = page
    browser.get_by_text("claw, valve, s/0").wait_for()
    browser.get_by_text("0.00 s", exact=True).wait_for()
    press(browser, "+1")
    browser.get_by_text("0.10 s", exact=True).wait_for()
    press(browser, "next")
    browser.get_by_text(re.compile(rf"^{view.recording.duration:.2f} s$")).first.wait_for()
    press(browser, "Play")  # from the begin, since it was at the end
    browser.get_by_role("button", name="Pause", exact=True).wait_for()
