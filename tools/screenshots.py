# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The pictures of the panel in README and docs.

    python tools/screenshots.py [--folder docs] [--wait 45]

It needs the extras viewer and ros, playwright, and Chromium. Without a GPU, each picture takes a minute.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from panel_page import open_panel, press, show_tab
from PIL import Image

COLORS = 192  # of a picture: small files


def take(page: Any, file: Path) -> None:
    """Save the page as a PNG with few colours."""
    page.screenshot(path=file, timeout=0)
    Image.open(file).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file}: {file.stat().st_size / 1e3:.0f} kB")


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description="The pictures of the panel.")
    parser.add_argument("--folder", type=Path, default=Path("docs"))
    parser.add_argument("--wait", type=float, default=45.0, help="s until the plots are full and all is drawn")
    parser.add_argument("--only", choices=("panel", "settings", "joints", "stopped"))
    given = parser.parse_args()
    wanted = {given.only} if given.only else {"panel", "settings", "joints", "stopped"}
    with open_panel("baoding", 1400, 820) as page:
        time.sleep(given.wait)
        for note in page.locator("[data-mantine-stop-propagation], .mantine-Notification-closeButton").all():
            note.evaluate("element => element.click()")  # what the browser says of its missing GPU
        time.sleep(10.0)
        if "panel" in wanted:
            take(page, given.folder / "panel.png")
        show_tab(page, "Settings")
        show_tab(page, "Joints")
        time.sleep(5.0)
        if wanted & {"settings", "joints"}:
            take(page, given.folder / "panel_settings.png")
        show_tab(page, "Goals")
        show_tab(page, "Signals")
        press(page.get_by_role("button", name="EMERGENCY STOP"))
        page.locator('#safety-bar[data-state="stopped"]').wait_for()
        time.sleep(5.0)
        if "stopped" in wanted:
            take(page, given.folder / "panel_stopped.png")


if __name__ == "__main__":
    main()
