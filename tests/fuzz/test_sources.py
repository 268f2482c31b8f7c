# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Messages of each kind of source of format 2, of any content, in any order: only what can be a state becomes one."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from mbrl_controller.base.errors import MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.contract.frames import TF_STATIC
from mbrl_controller.contract.source_reader import MAX_MAGNITUDE
from mbrl_controller.control.state_input import StateInput
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.source_messages import source_message
from mbrl_controller.tasks.orientation import IDENTITY

from .damage import cuts, damaged
from .hand import STATES, probed

with probed():
    CONTRACT = parse_contract(STATES)
SOURCES = {source.key: source for source in CONTRACT.sources}
KINDS = {source.key: source.type for source in CONTRACT.sources} | {TF_STATIC: ros_types.TRANSFORMS}
START = 1_000_000_000_000  # ns
number = st.one_of(st.floats(), st.floats(-2, 2), st.floats(-2, 2))


def good(key: str, stamp: int, value: float = 0.0) -> bytes:
    """A message that is taken."""
    if key == TF_STATIC:
        return ros_messages.encode(ros_messages.transforms(0, "palm", "camera", np.ones(3)))
    values = [
        IDENTITY[index % 6] if ".orientation." in entry else value
        for index, entry in zip(_within(SOURCES[key].entries()), SOURCES[key].entries(), strict=True)
    ]
    return ros_messages.encode(source_message(SOURCES[key], np.array(values), stamp))


def _within(entries: list[str]) -> list[int]:
    """Place of each entry among its quantity's."""
    seen: dict[str, int] = {}
    found = []
    for entry in entries:
        quantity = entry.split(".")[1]
        found.append(seen.get(quantity, 0))
        seen[quantity] = found[-1] + 1
    return found


def any_values(key: str, stamp: int, values: list[float]) -> bytes:
    """A message of a source with any numbers."""
    if key == TF_STATIC:
        return ros_messages.encode(ros_messages.transforms(0, "palm", "camera", np.array(values[:3]), values[3:7]))
    row = np.resize(np.array(values), len(SOURCES[key].entries()))
    return ros_messages.encode(source_message(SOURCES[key], row, stamp))


def receive(inputs: StateInput, key: str, data: bytes, clock: float) -> None:
    """As the controller does; raises MessageError for what is refused."""
    before = inputs.rejected_total
    message: Any = ros_messages.decode(data, KINDS[key])
    if key == TF_STATIC:
        inputs.receive_frames(message)
    else:
        inputs.receive(key, message, clock, clock)
    if inputs.rejected_total > before:
        assert (key.partition("#")[0]) in inputs.last_rejection
        raise MessageError(inputs.last_rejection)


def look(inputs: StateInput, clock: float) -> None:
    """As each tick does; what is from the future is forgotten then."""
    with contextlib.suppress(MessageError):
        assert np.isfinite(inputs.observation(clock, clock).state).all()


sent = st.tuples(
    st.sampled_from(list(KINDS)),
    st.integers(-3, 3),  # control periods from the clock
    st.one_of(st.none(), st.lists(number, min_size=7, max_size=15)),
    st.one_of(st.just([]), cuts),
)


def test_all_kinds(fuzz) -> None:
    counted, states = fuzz("messages: format 2"), []

    @counted.settings(inputs_an_example=6)
    @given(st.lists(sent, min_size=1, max_size=14))
    @example([])
    def run(messages) -> None:
        inputs, clock = StateInput(CONTRACT), START
        for key, late, values, changes in messages:
            clock += 10_000_000
            stamp = clock - late * 50_000_000
            with np.errstate(all="ignore"):
                data = good(key, stamp) if values is None else any_values(key, stamp, values)
                with counted.one():
                    receive(inputs, key, damaged(data, changes), 1e-9 * clock)
                    look(inputs, 1e-9 * clock)
        inputs.reset()  # as an episode begins: whatever came before, good messages make a state
        clock += 1_000_000_000
        with np.errstate(all="ignore"):
            for key in KINDS:
                with counted.one():
                    receive(inputs, key, good(key, clock), 1e-9 * clock)
            state = inputs.observation(None, None).state
        assert np.isfinite(state).all()
        assert (np.abs(state) <= MAX_MAGNITUDE).all()
        states.append(state)

    run()
    assert states
