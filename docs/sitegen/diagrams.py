# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Diagrams as pictures, so that a page needs no network and no script.

A page has a diagram's Mermaid source, which the repository's host draws by itself. The site shows the picture that
`tools/diagrams.py` made of the same source; its name has the source's digest, so an old one is never shown.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path

try:
    from sphinx.util.logging import getLogger
except ModuleNotFoundError:  # tools/diagrams.py and tests do without
    from logging import getLogger

FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOLDER = "diagrams"  # below docs/


def sources(text: str) -> Iterator[str]:
    """Mermaid sources of a page's text, in order."""
    return (found[1] for found in FENCE.finditer(text))


def picture_name(page: str, source: str) -> str:
    """File name of a diagram's picture; `page`: the page's name without suffix."""
    return f"{page}-{hashlib.sha256(source.encode()).hexdigest()[:8]}.svg"


def with_pictures(text: str, page: Path, docs: Path) -> str:
    """A page's text with pictures for its diagrams; a missing one is a warning, and stays as source."""

    log: logging.Logger | logging.LoggerAdapter[logging.Logger] = getLogger(__name__)

    def picture(found: re.Match[str]) -> str:
        name = picture_name(page.stem, found[1])
        if not (docs / FOLDER / name).is_file():
            log.warning("%s: no picture %s: run tools/diagrams.py", page, name)
            return found[0].replace("```mermaid", "```text", 1)
        return f"![diagram](/{FOLDER}/{name})"

    return FENCE.sub(picture, text)
