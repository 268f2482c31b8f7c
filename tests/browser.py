# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A headless Chromium for tests of pages: one in a run, because playwright allows one in a process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",  # the tests may run as root
    "--use-angle=swiftshader",  # there may be no GPU, and the page does not open without WebGL
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Without a GPU each frame takes much of a core; what is tested needs few of them.
FEW_FRAMES = """window.requestAnimationFrame = draw => setTimeout(() => draw(performance.now()), 250)
window.cancelAnimationFrame = clearTimeout"""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser; skipped, with the reason, where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, which is not installed")
    if CHROMIUM is None:
        pytest.skip("needs Chromium (apt-get install chromium)")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
