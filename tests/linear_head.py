# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A policy or value in ONNX whose numbers a test can work out, written without the package `onnx`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mbrl_controller.models.heads import HeadSpec

from .linear_model import _array, _field, _node, _tensor

INT64 = 7  # TensorProto.INT64


def linear_head_bytes(
    spec: HeadSpec,
    of_state: np.ndarray,
    of_goal: np.ndarray | None = None,
    offset: float = 0.0,
    *,
    metadata: Mapping[str, str] | None = None,
    limited: bool = True,
) -> bytes:
    """A file of state @ of_state + goal @ of_goal + offset, a policy's within [-1, 1] if `limited`.

    `of_state` [S, P * A] or [S, V], `of_goal` [K * G, P * A] or [K * G, V] (None: zeros). `metadata`: other than the
    spec's.
    """
    S, K, G, A = (len(spec.state_names), len(spec.goal_steps), len(spec.goal_names), len(spec.action_names))
    of_goal = np.zeros((K * G, of_state.shape[1])) if of_goal is None else of_goal
    parts = [
        _node("Reshape", ("goal", "flat"), "goals"),
        _node("MatMul", ("state", "of_state"), "a"),
        _node("MatMul", ("goals", "of_goal"), "b"),
        _node("Add", ("a", "b"), "c"),
        _node("Add", ("c", "offset"), "d"),
        _field(2, "linear"),
        _field(5, _integers("flat", (-1, K * G))),
        *(_field(5, _tensor(n, v)) for n, v in (("of_state", of_state), ("of_goal", of_goal))),
        _field(5, _tensor("offset", np.array([offset]))),
        _field(11, _array("state", ("N", S))),
        _field(11, _array("goal", ("N", K, G))),
    ]
    if spec.kind == "policy":
        parts += [_field(5, _tensor("one", np.array([1.0]))), _field(5, _tensor("minus", np.array([-1.0])))]
        parts += [_node("Min", ("d", "one"), "e"), _node("Max", ("e", "minus"), "f")]
        parts += [_field(5, _integers("plan", (-1, spec.horizon, A)))]
        parts += [_node("Reshape", ("f" if limited else "d", "plan"), "action")]
        parts += [_field(12, _array("action", ("N", spec.horizon, A)))]
    else:
        parts += [_node("Transpose", ("d",), "value"), _field(12, _array("value", (spec.members, "N")))]
    notes = spec.to_metadata() if metadata is None else metadata
    said = [_field(14, _field(1, key) + _field(2, value)) for key, value in notes.items()]
    return b"".join([_field(1, 7), _field(7, b"".join(parts)), _field(8, _field(1, "") + _field(2, 13)), *said])


def _integers(name: str, values: tuple[int, ...]) -> bytes:
    content = np.array(values, dtype="<i8").tobytes()
    return _field(1, len(values)) + _field(2, INT64) + _field(8, name) + _field(9, content)
