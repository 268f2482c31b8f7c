# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""YAML that others wrote: contracts, and options in parameters."""

from __future__ import annotations

from typing import Any

import yaml

DEPTH = 20  # of lists and mappings in one another
NODES = 20_000  # of a document, each alias counted as what it stands for


class _Loader(yaml.SafeLoader):
    """Refuses nesting so deep that Python's own stack would end."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self._depth == DEPTH:
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {DEPTH} levels", mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def load_yaml(text: str) -> Any:
    """The document in `text`; raises ValueError saying in one line what is wrong and where."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > NODES:
            raise ValueError(f"more than {NODES} values")
        return loader.construct_document(node)
    except Exception as error:  # a date or number that is none raises whatever Python's own constructors raise
        raise ValueError(" ".join(str(error).split())[:300] or type(error).__name__) from error


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Nodes below and with this one; ten aliases of ten aliases and so on make a few lines unfold into any number."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = NODES + 1  # while it is counted: an alias to what it is a part of has no end
        children = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_size(child, known) for child in children)
    return known[id(node)]
