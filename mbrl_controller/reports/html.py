# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""HTML in which every text is escaped: names in logs are anybody's."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence

# Characters that no HTML document may have.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76em; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { font-size: 1.6em; } h2 { margin-top: 2em; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 1em 0; display: block; overflow-x: auto; }
th, td { padding: .2em .8em; text-align: left; border-bottom: 1px solid #e4e4e4; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bad { color: #a40000; } .dim { color: #666; } svg { max-width: 100%; height: auto; }
"""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()

    def __add__(self, other: str) -> Html:
        """With what follows, which is escaped unless it is HTML."""
        return Html(str(self) + str(text(other)))


def text(value: object) -> Html:
    """Any text as HTML."""
    return value if isinstance(value, Html) else Html(html.escape(FORBIDDEN.sub("\ufffd", str(value))))


def element(name: str, *children: object, **attributes: str) -> Html:
    """An element; `cls` is its class."""
    given = "".join(f' {k.replace("cls", "class")}="{text(v)}"' for k, v in attributes.items())
    return Html(f"<{name}{given}>{''.join(map(text, children))}</{name}>")


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """A table; cells that begin with a digit or a sign are set as numbers."""
    head = element("tr", *(element("th", cell) for cell in header))
    body = [element("tr", *(_cell(cell) for cell in row)) for row in rows]
    return element("table", element("thead", head), element("tbody", *body))


def _cell(value: object) -> Html:
    is_number = not isinstance(value, Html) and re.match(r"[-\u2212+]?\.?\d", str(value)) is not None
    return element("td", value, cls="n") if is_number else element("td", value)


def number(value: float | None, unit: str = "", decimals: int = 2) -> str:
    """A number as a person reads it; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "\u2013"
    return f"{value:.{decimals}f} {unit}".rstrip()


def percent(share: float) -> str:
    """A share in percent."""
    return number(100 * share, "%", 0 if share in (0, 1) else 1)


def document(title: str, *parts: Html) -> str:
    """A whole document. It loads nothing and runs nothing, and says so to the browser."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = (
        Html('<meta charset="utf-8">')
        + Html(f'<meta http-equiv="Content-Security-Policy" content="{text(policy)}">')
        + element("title", title)
        + Html(f"<style>{STYLE}</style>")
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{chr(10).join(parts)}</body></html>\n'
