# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The documentation site builds without a warning, and no link within it is broken."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (DOCS / "conf.py").is_file(), reason="runs in a checkout"),
]
for module in ("sphinx", "myst_parser", "furo", "rclpy", "mujoco", "matplotlib"):
    pytest.importorskip(module)


class Page(HTMLParser):
    """Links and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.loaded: set[str] = set()  # what a browser fetches without being asked
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.anchors.add(str(given["id"]))
        for name in ("href", "src"):
            if (link := given.get(name)) and tag in ("a", "img", "link", "script"):
                self.links.add(link)
                if tag in ("img", "script") or given.get("rel") == "stylesheet":
                    self.loaded.add(link)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    path = os.pathsep.join([str(DOCS.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "sphinx", "-q", "-E", "-b", "html", "-W", "--keep-going", str(DOCS), str(folder)]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=300, cwd=DOCS.parent
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_every_page_is_there(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert len(pages) > 20
    assert not {page for page in pages if not (site / page).is_file()}
    assert "mbrl-evaluate" in Page(site / "reference" / "commands.html").anchors


def test_links_within_the_site_lead_somewhere(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            address, _, anchor = link.partition("#")
            if "://" in address or address.startswith(("mailto:", "data:")):
                continue
            target = (path.parent / unquote(address.partition("?")[0])).resolve() if address else path
            known = pages[target].anchors if target in pages else None
            if not target.exists() or (anchor and known is not None and unquote(anchor) not in known):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert not broken


def test_pages_load_nothing_from_elsewhere_and_diagrams_are_pictures(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html")}
    assert not {link for page in pages.values() for link in page.loaded if "://" in link or link.startswith("//")}
    assert not [path for path in pages if "mermaid" in path.read_text(encoding="utf-8") and path.stem != "changes"]
    drawn = {link for link in pages[site / "architecture.html"].loaded if link.endswith(".svg")}
    assert len(drawn) == 2
