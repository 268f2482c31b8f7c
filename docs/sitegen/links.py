# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Links from a page to what is no page: to the file in the repository, as a host of repositories shows it."""

from __future__ import annotations

import logging
import re
from pathlib import Path

# A picture, which is left alone, or the end of a link.
LINK = re.compile(r"!\[[^\]]*\]\([^)]*\)|\]\((?P<path>\.\.?/[^)\s#]*)(?P<anchor>#[^)\s]*)?\)")

try:
    from sphinx.util.logging import getLogger
except ModuleNotFoundError:  # the tests of these functions do without
    from logging import getLogger


def outside(text: str, page: Path | str, pages: Path | str, url: str) -> str:
    """`text` of the file `page` in which links that leave the folder `pages` lead to `url`; warns of broken ones."""
    folder, root = Path(page).resolve().parent, Path(pages).resolve()
    log: logging.Logger | logging.LoggerAdapter[logging.Logger] = getLogger(__name__)

    def follow(found: re.Match[str]) -> str:
        if found["path"] is None:
            return found[0]
        target = (folder / found["path"]).resolve()
        if target.is_relative_to(root):
            return found[0]
        if not target.exists():
            log.warning("%s: link to %s, which is not there", page, found["path"])
        return f"]({url}/{target.relative_to(root.parent).as_posix()}{found['anchor'] or ''})"

    return LINK.sub(follow, text)
