# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""How many frames a second the panel's page draws, and how its memory grows: one line for each spell.

    python tools/page_frames.py --minutes 10 --gpu     # 24 joints at 10 Hz, all plots shown

Without --gpu the page is drawn by the CPU, as fast as that goes.
"""

from __future__ import annotations

import argparse
import time

from panel_page import open_panel, show_tab

FRAMES = """seconds => new Promise(done => {
  let frames = 0; const began = performance.now();
  const draw = () => {
    frames += 1;
    const passed = (performance.now() - began) / 1e3;
    passed < seconds ? requestAnimationFrame(draw) : done(frames / passed);
  };
  requestAnimationFrame(draw);
})"""
HEAP = "() => performance.memory.usedJSHeapSize / 1e6"
SPELL_S = 20.0
MEASURED_S = 10.0  # of each spell


def main() -> None:
    """Measure until the time is over."""
    parser = argparse.ArgumentParser(description="Frames a second of the panel's page.")
    parser.add_argument("--task", default="baoding")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--gpu", action="store_true", help="let Chromium draw with the machine's GPU")
    parser.add_argument("--width", type=int, default=1400, help="of the window, pixels")
    parser.add_argument("--height", type=int, default=820)
    given = parser.parse_args()
    with open_panel(given.task, given.width, given.height, gpu=given.gpu) as page:
        show_tab(page, "Joints")
        session = page.context.new_cdp_session(page)
        time.sleep(SPELL_S)
        began = time.monotonic()
        print("minute  frames/s  heap MB")
        while (passed := time.monotonic() - began) < 60 * given.minutes:
            frames = page.evaluate(FRAMES, MEASURED_S)
            session.send("HeapProfiler.collectGarbage")
            print(f"{passed / 60:6.2f}  {frames:8.1f}  {page.evaluate(HEAP):7.1f}", flush=True)
            time.sleep(SPELL_S - MEASURED_S)


if __name__ == "__main__":
    main()
