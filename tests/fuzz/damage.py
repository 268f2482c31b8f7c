# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Ways to damage what is right: documents by their structure, files by their bytes."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

share = st.floats(0, 1, exclude_max=True)

# --- documents ------------------------------------------------------------------------------------------------------

odd_numbers = st.one_of(
    st.sampled_from([0, -1, 1, math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 2**31, 2**63, 10**400, -0.0]),
    st.integers(),
    st.floats(),
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    odd_numbers,
    st.text(max_size=12),
    st.sampled_from(["", "~", "/", "a/b", "valve", "inf", "\0"]),
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@dataclass(frozen=True)
class Edit:
    """One change of a document. `way`: which child to go down to, level by level; `how`: what is done there."""

    way: tuple[float, ...]
    how: str
    value: Any

    def apply(self, document: Any) -> Any:
        """The document, changed in place where it can be."""
        holder, key, node = None, None, document
        for turn in self.way:
            keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
            if not keys:
                break
            holder, key = node, keys[int(turn * len(keys))]
            node = holder[key]
        if holder is None:
            return copy.deepcopy(self.value) if self.how == "replace" else document
        if self.how == "replace":
            holder[key] = copy.deepcopy(self.value)
        elif self.how == "delete":
            del holder[key]
        elif self.how == "scale" and isinstance(node, int | float) and not isinstance(node, bool):
            holder[key] = -node if isinstance(self.value, bool) else node * 3
        elif self.how == "as text":
            holder[key] = str(node)
        elif self.how == "twice" and isinstance(holder, list):
            holder.append(copy.deepcopy(node))
        elif self.how == "add" and isinstance(holder, dict):
            holder[str(self.value)] = copy.deepcopy(node)
        elif self.how == "nest":
            holder[key] = [node]
        elif self.how == "reverse" and isinstance(node, list):
            node.reverse()
        return document


edits = st.lists(
    st.builds(
        Edit,
        st.lists(share, min_size=1, max_size=5).map(tuple),
        st.sampled_from(["replace", "replace", "delete", "scale", "as text", "twice", "add", "nest", "reverse"]),
        values,
    ),
    min_size=1,
    max_size=3,
)


def edited(document: Any, changes: Sequence[Edit]) -> Any:
    """A changed copy."""
    document = copy.deepcopy(document)
    for change in changes:
        document = change.apply(document)
    return document


# --- bytes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cut:
    """One change of bytes at a `place` (share of their length). `other`: a place in the donor, or a length."""

    place: float
    how: str
    data: bytes
    other: float

    def apply(self, content: bytes, donor: bytes) -> bytes:
        """The content, changed."""
        at = int(self.place * len(content))
        rest = content[at:]
        if self.how == "overwrite":
            return content[:at] + self.data + rest[len(self.data) :]
        if self.how == "insert":
            return content[:at] + self.data + rest
        if self.how == "flip" and rest:
            return content[:at] + bytes([rest[0] ^ (1 << int(self.other * 8))]) + rest[1:]
        if self.how == "delete":
            return content[:at] + rest[1 + int(self.other * 64) :]
        if self.how == "cut":
            return content[:at]
        if self.how == "repeat":
            return content[:at] + rest[: 1 + int(self.other * 256)] + rest
        if self.how == "splice":
            return content[:at] + donor[int(self.other * len(donor)) :]
        return content


odd_bytes = st.one_of(
    st.binary(min_size=1, max_size=8),
    st.sampled_from(
        [b"\xff" * 4, b"\xff" * 8, b"\x00" * 8, b"\x00\x00\x00\x80", b"\x00\x00\xf8\x7f", b"\x00" * 6 + b"\xf0\x7f"]
    ),
)
cuts = st.lists(
    st.builds(
        Cut,
        share,
        st.sampled_from(["overwrite", "overwrite", "flip", "flip", "insert", "delete", "cut", "repeat", "splice"]),
        odd_bytes,
        share,
    ),
    min_size=1,
    max_size=4,
)


def damaged(content: bytes, changes: Sequence[Cut], donor: bytes = b"") -> bytes:
    """Changed bytes; `donor` is what a splice goes on with."""
    for change in changes:
        content = change.apply(content, donor or content)
    return content
