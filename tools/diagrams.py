# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Draws the diagrams of the documentation's pages, once: the site shows the pictures.

    python tools/diagrams.py                                 # takes mermaid from npm
    python tools/diagrams.py --mermaid mermaid.min.js

It needs playwright and Chromium; without `--mermaid`, also npm and a network.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).resolve().parents[1] / "docs"
sys.path.insert(0, str(DOCS))

from sitegen.diagrams import FOLDER, picture_name, sources  # noqa: E402

MERMAID = "mermaid@11.12.1"
SCRIPT = "package/dist/mermaid.min.js"
SETTINGS = {
    "startOnLoad": False,
    "theme": "neutral",
    "deterministicIds": True,
    "fontFamily": "sans-serif",
    "htmlLabels": False,
    "flowchart": {"htmlLabels": False, "useMaxWidth": False, "wrappingWidth": 400},
}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def from_npm() -> str:
    """Mermaid's script."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", MERMAID], cwd=folder, check=True)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as files:
            member = files.extractfile(SCRIPT)
            assert member is not None
            return member.read().decode()


def main() -> None:
    """Draw what has no picture yet, and remove pictures that no page has any more."""
    parser = argparse.ArgumentParser(description="The diagrams of the documentation.")
    parser.add_argument("--mermaid", type=Path, help="its mermaid.min.js (default: from npm)")
    given = parser.parse_args()
    folder = DOCS / FOLDER
    folder.mkdir(exist_ok=True)
    wanted = {
        picture_name(page.stem, source): source
        for page in sorted(DOCS.glob("*.md"))
        for source in sources(page.read_text(encoding="utf-8"))
    }
    for stale in {file.name for file in folder.glob("*.svg")} - set(wanted):
        (folder / stale).unlink()
    missing = {name: source for name, source in wanted.items() if not (folder / name).is_file()}
    if not missing:
        return
    script = given.mermaid.read_text(encoding="utf-8") if given.mermaid else from_npm()
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content("<body></body>")
        page.add_script_tag(content=script)
        page.evaluate(f"mermaid.initialize({json.dumps(SETTINGS)})")
        for name, source in missing.items():
            drawn = page.evaluate("source => mermaid.render('diagram', source).then(found => found.svg)", source)
            drawn = drawn.replace("<svg ", '<svg style="background:white" ', 1)  # pages may be dark
            (folder / name).write_text(f"{drawn}\n", encoding="utf-8")
            print(f"{folder / name}: {len(drawn) / 1e3:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main()
