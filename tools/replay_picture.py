# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The picture of the replay in docs/replay.md.

    mbrl demo baoding --headless --seconds 15
    python tools/replay_picture.py baoding --at 4.2

It needs what tools/screenshots.py needs.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from panel_page import CHROMIUM, FLAGS, SOFTWARE
from playwright.sync_api import sync_playwright
from screenshots import take

from mbrl_controller.base.resources import home_dir
from mbrl_controller.replay.outlook import Outlooks
from mbrl_controller.replay.playlist import find_episodes
from mbrl_controller.replay.view import ReplayView

SIZE = {"width": 1300, "height": 800}


def main() -> None:
    """Take it."""
    parser = argparse.ArgumentParser(description="The picture of the replay.")
    parser.add_argument("episodes", help="as of mbrl replay")
    parser.add_argument("--at", type=float, default=4.2, help="s since the episode's begin")
    parser.add_argument("--wait", type=float, default=20.0, help="s until all is drawn")
    parser.add_argument("--out", type=Path, default=Path("docs/replay.png"))
    given = parser.parse_args()
    view = ReplayView(find_episodes(given.episodes, home_dir() / "episodes"), Outlooks(), port=0)
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *SOFTWARE])
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(180_000)
        page.goto(view.url)
        view.ask(lambda: view.seek(given.at))
        page.get_by_text(f"{given.at:.2f} s", exact=True).wait_for()
        time.sleep(given.wait)
        for note in page.locator(".mantine-Notification-closeButton").all():
            note.evaluate("element => element.click()")  # what the page says of a missing GPU
        time.sleep(5.0)
        take(page, given.out)
        browser.close()
    view.close()


if __name__ == "__main__":
    main()
