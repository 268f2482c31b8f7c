# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Writes an episode from arrays, exactly as the logger writes one live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.reward_label import ROLE as REWARD
from mbrl_controller.contract.state_assembly import split_state
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.source_messages import source_message
from mbrl_controller.episodes.writer import EpisodeWriter
from mbrl_controller.tasks.spaces import Array

SourceValues = tuple[str, Array, float]  # key of a source, its values [n], s since tick 0 at which they were measured
START_NS = 1_000_000_000  # a stamp of 0 means "unset" to ROS


def write_trajectory(
    path: str | Path,
    contract: RobotContract,
    info: EpisodeInfo,
    states: Array,
    commands: Array,
    goals: Array | None = None,
    ticks: Mapping[str, Sequence[float] | Array] | None = None,
    reason: str = "timeout",
    events: Sequence[Mapping[str, Any]] = (),
    measured: Sequence[float] | Array | None = None,
    start_ns: int = START_NS,
    fsync: bool = False,
    measurements: Sequence[Sequence[SourceValues]] | None = None,
    rewards: Sequence[float] | Array | None = None,
) -> Path:
    """Write an episode; raises EpisodeError for wrong sizes or if it cannot be written.

    Tick k, with state k and command k, is stamped `start_ns` + k control periods.

    Args:
        path: File to write.
        contract: Robot contract of the data.
        info: Identity of the episode.
        states: [T+1, S].
        commands: [T, A] rad.
        goals: [T+1, G].
        ticks: Tick statistics, label -> [T].
        reason: Why the episode ended.
        events: JSON objects for the episode topic, besides begin and end.
        measured: [T+1] s since tick 0 at which the states were measured, if not at their ticks.
        start_ns: Stamp of tick 0, ns.
        fsync: Wait until the file is on disk.
        measurements: [T+1] what the sources sent from tick to tick, instead of one message each with its part of
            `states`: where these hold velocities that a reader makes of more than is measured at the ticks.
        rewards: [T] labels of the steps, for a contract that says where they come from.
    """
    states, commands = np.asarray(states, dtype=float), np.asarray(commands, dtype=float)
    T = len(commands)
    _check_sizes(path, contract, states, commands, goals, ticks or {})
    stamps = start_ns + np.round(np.arange(T + 1) * contract.action.period * ros_messages.NANO).astype(np.int64)
    seconds = (stamps - start_ns) / ros_messages.NANO if measured is None else np.asarray(measured, dtype=float)
    for what, given in (("measurement times", seconds), ("lists of measurements", measurements)):
        if given is not None and len(given) != T + 1:
            raise EpisodeError(f"{path}: {len(given)} {what} for {T + 1} states")
    if rewards is not None and (contract.file.reward is None or len(rewards) != T):
        raise EpisodeError(f"{path}: {len(rewards)} rewards for {T} steps of a contract with `reward`, or without it")
    sent = measurements if measurements is not None else _at_ticks(contract, states, seconds)
    sources = {source.key: source for source in contract.sources}
    writer = EpisodeWriter(path, contract, info, flush_s=1e9, fsync=fsync)
    name = writer.info.topics
    try:
        writer.write(name["episode"], _event(writer.info, "begin", start_ns, ""), start_ns)
        for content in events:
            writer.write(name["episode"], ros_messages.json_string(content), start_ns)
        for k, stamp in enumerate(stamps.tolist()):
            for key, values, time in sent[k]:
                at = start_ns + ros_messages.to_ns(time)
                writer.write(name[key], source_message(sources[key], values, at), stamp)
            if goals is not None:
                goal = ros_messages.trajectory(contract.task.goal.names, goals[k : k + 1], (0.0,), stamp)
                writer.write(name["goal"], goal, stamp)
            if rewards is not None and k:
                writer.write(name[REWARD], _label(contract, float(rewards[k - 1])), stamp)
            if k < T:
                writer.write(
                    name["command"], ros_messages.joint_state(contract.action.names, commands[k], stamp), stamp
                )
                if ticks:
                    row = ros_messages.multi_array([column[k] for column in ticks.values()], list(ticks))
                    writer.write(name["tick"], row, stamp)
                    writer.write_signals(name["tick"], ros_messages.encode(row), stamp)
        end = int(stamps[-1])
        writer.write(name["episode"], _event(writer.info, "end", end, reason), end)
        return writer.close(reason)
    except BaseException:
        writer.discard()
        raise


def _label(contract: RobotContract, value: float) -> Any:
    """A message with the label of a step."""
    label = contract.file.reward
    assert label is not None
    if label.type == ros_types.FLOAT64:
        return ros_messages.float64(value)
    return ros_messages.multi_array([0.0] * label.entry + [value], (), label.type)


def _at_ticks(contract: RobotContract, states: Array, seconds: Array) -> list[list[SourceValues]]:
    """Every source's part of each state, at its time (s since tick 0)."""
    parts = split_state(contract, states)
    return [
        [(source.key, values[k], at) for source, values in zip(contract.sources, parts, strict=True)]
        for k, at in enumerate(seconds.tolist())
    ]


def _check_sizes(
    path: str | Path,
    contract: RobotContract,
    states: Array,
    commands: Array,
    goals: Array | None,
    ticks: Mapping[str, Sequence[float] | Array],
) -> None:
    T, S, A = len(commands), len(contract.task.state), len(contract.action)
    if states.shape != (T + 1, S) or commands.shape != (T, A):
        raise EpisodeError(
            f"{path}: states {states.shape} and commands {commands.shape} must be [T+1, {S}] and [T, {A}]"
        )
    if goals is not None and np.shape(goals) != (T + 1, len(contract.task.goal)):
        raise EpisodeError(f"{path}: goals {np.shape(goals)} must be [{T + 1}, {len(contract.task.goal)}]")
    for label, column in ticks.items():
        if len(column) != T:
            raise EpisodeError(f"{path}: tick entry {label!r} has {len(column)} values for {T} ticks")


def _event(info: EpisodeInfo, event: str, stamp: int, reason: str) -> Any:
    return ros_messages.json_string(
        {
            "event": event,
            "episode": info.episode,
            "session": info.session,
            "task": info.task,
            "robot": info.robot,
            "stamp": stamp / ros_messages.NANO,
            "reason": reason,
            "model_version": info.model_version,
        }
    )
