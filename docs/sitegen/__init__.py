# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Sphinx extension of this site: the reference is generated from the code, and links work as they do on the host.

A page says `<!-- generated: NAME -->` where a part of the reference belongs; nothing is written to the source tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sitegen import commands, diagrams, keys, links, options, parameters, python_api, topics

PARTS: dict[str, Callable[[], str]] = {
    "commands": commands.markdown,
    "contract": keys.contract,
    "options": options.markdown,
    "parameters": parameters.markdown,
    "python": python_api.markdown,
    "entry_points": python_api.entry_points,
    "topics": topics.markdown,
    "world": keys.world,
}
MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def fill_in(text: str) -> str:
    """A page's text with its generated parts; raises KeyError for a part that nobody makes."""
    return MARK.sub(lambda found: PARTS[found[1]](), text)


def _read(app: Any, docname: str, source: list[str]) -> None:
    page = app.env.doc2path(docname)
    if str(page).endswith(".md"):
        text = diagrams.with_pictures(fill_in(source[0]), Path(page), Path(app.srcdir))
        source[0] = links.outside(text, page, app.srcdir, app.config.repository_url)


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_config_value("repository_url", "", "env")
    app.connect("source-read", _read)
    return {"version": "1", "parallel_read_safe": True}
