# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The first look at a bag: its topics, when commands were given, what rules' topics tell, and how far time is in order.

It keeps times, not messages.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mbrl_controller.base.errors import EpisodeError, MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.frames import TF_STATIC
from mbrl_controller.contract.reward_label import ROLE as REWARD
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.command_intervals import Stamps
from mbrl_controller.episodes.cutting import SERVICE_EVENT, CutRules, Span, Told, TopicRule, merged
from mbrl_controller.episodes.foreign_bag import BagMessage, ForeignBag
from mbrl_controller.episodes.metadata import absolute

CLOCK_BACK = "the bag's clock went back: times that it passed twice"
OTHER_CLOCK_NS = ros_messages.NANO  # a stamp further from when its message came is another clock's
_STAMPED = (ros_types.JOINT_STATE, ros_types.TRAJECTORY)
_HEADER_FIRST = (*_STAMPED, ros_types.ODOMETRY, ros_types.POSE)


class BagTopics:
    """Which of a bag's topics are the contract's."""

    def __init__(self, contract: RobotContract, remap: Mapping[str, str]) -> None:
        """`remap`: the contract's topic -> the bag's."""
        known = {source.topic for source in contract.sources} | {to.topic for to in contract.destinations}
        label = contract.file.reward
        known |= {label.topic} if label is not None else set()
        known |= {absolute(name) for name in known}
        if unknown := sorted(set(remap) - known):
            raise EpisodeError(
                f"--remap {', '.join(unknown)}: no topic of the contract; it has {', '.join(sorted(known))}"
            )

        def name(topic: str) -> str:
            return remap.get(topic) or remap.get(absolute(topic)) or absolute(topic)

        self.sources = {source.key: name(source.topic) for source in contract.sources}
        self.commands = {to.role: name(to.topic) for to in contract.destinations}
        if both := set(self.sources.values()) & set(self.commands.values()):
            raise EpisodeError(f"{', '.join(both)}: named for a state and for a command; check --remap")
        self.types: dict[str, str] = {self.sources[source.key]: source.type for source in contract.sources}
        self.types |= {self.commands[to.role]: to.type for to in contract.destinations}
        self.optional: set[str] = set()  # what a bag may lack
        if contract.looks_up_frames:
            self.types[TF_STATIC] = ros_types.TRANSFORMS
        self.labels: dict[str, str] = {}  # of the reward, by role
        if label is not None:
            self.labels[REWARD] = name(label.topic)
            if self.labels[REWARD] not in self.types:
                self.types[self.labels[REWARD]] = label.type
                self.optional.add(self.labels[REWARD])


@dataclass
class Survey:
    """What is known of a bag after the first look."""

    types: dict[str, Counter[str]] = field(default_factory=dict)  # topic -> type -> messages
    commands: Stamps = field(default_factory=lambda: np.zeros(0, np.int64))  # ascending, ns
    sent: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # command topic -> (time, number of message)
    told: list[Told] = field(default_factory=list)
    back: list[Span] = field(default_factory=list)  # passed twice
    disorder: int = 0  # ns: how much older a message may be than one before it
    oldest: int = 0
    newest: int = 0
    frames: list[BagMessage] = field(default_factory=list)  # on /tf_static
    problems: Counter[str] = field(default_factory=Counter)

    def missing(self, topics: BagTopics) -> list[str]:
        """What the contract asks for and the bag does not have, with what it has instead."""
        wrong = []
        for topic, wanted in topics.types.items():
            found = self.types.get(topic, Counter())
            if wanted in found or topic == TF_STATIC or (topic in topics.optional and not found):
                continue
            if found:
                wrong.append(f"{topic} holds {', '.join(found) or 'nothing'}, the contract says {wanted}")
                continue
            alike = [name for name, kinds in self.types.items() if wanted in kinds]
            hint = f" (of this type: {', '.join(alike)}; --remap {topic}=...)" if alike else ""
            wrong.append(f"no {wanted} on {topic}{hint}")
        return wrong


def survey(bag: ForeignBag, topics: BagTopics, rules: CutRules) -> Survey:
    """Read a bag once."""
    found = Survey()
    times = array("q")
    newest_on: dict[str, int] = {}
    beliefs: dict[TopicRule, bool] = {}
    offsets: dict[str, int] = {}
    events: dict[str, dict[int, list[Told]]] = {}
    commanded = set(topics.commands.values())
    for number, message in enumerate(bag.messages()):
        topic, kind, time, data = message
        found.types.setdefault(topic, Counter())[kind] += 1
        found.oldest = min(found.oldest or time, time)
        found.disorder = max(found.disorder, found.newest - time)
        found.newest = max(found.newest, time)
        for rule, begins in ((rules.begin, True), (rules.end, False)):
            if rule is not None and rule.topic == topic:
                _hear(rule, begins, message, rules, beliefs, events, found)
        if topics.types.get(topic) != kind:
            continue
        if topic == TF_STATIC:
            found.frames.append(message)
            continue
        before = newest_on.get(topic, time)
        if time < before - OTHER_CLOCK_NS:
            found.back.append(Span(time, before, CLOCK_BACK))
        newest_on[topic] = max(before, time)
        stamp = ros_messages.peek_stamp_ns(data) if kind in _HEADER_FIRST else None
        if stamp is not None and stamp > 0:
            offsets[topic] = min(offsets.get(topic, stamp - time), stamp - time, key=abs)
        if topic in commanded:
            near = kind in _STAMPED and stamp is not None and abs(stamp - time) <= OTHER_CLOCK_NS
            times.append(min(stamp, time) if near and stamp else time)
            found.sent.setdefault(topic, []).append((time, number))
    found.told += [t for kinds in events.values() for t in kinds[max(kinds)]]
    found.commands = np.sort(np.array(times, dtype=np.int64))
    found.back = merged(found.back)
    for topic, offset in offsets.items():
        if abs(offset) > OTHER_CLOCK_NS:
            found.problems[
                f"all stamps on {topic} are {abs(offset) / ros_messages.NANO:.4g} s "
                f"{'after' if offset > 0 else 'before'} their times in the bag: another clock (in simulated time, "
                "`ros2 bag record --use-sim-time`)"
            ] += found.types[topic].total()
    return found


def _hear(
    rule: TopicRule,
    begins: bool,
    message: BagMessage,
    rules: CutRules,
    beliefs: dict[TopicRule, bool],
    events: dict[str, dict[int, list[Told]]],
    found: Survey,
) -> None:
    """What a rule's topic tells: with a value when it begins to say it, and, without another rule, ends to."""
    try:
        says = rule.says_so(message.data, message.type_name)
    except MessageError as error:
        found.problems[str(error)] += 1
        return
    if message.type_name.endswith(SERVICE_EVENT):  # both sides may tell of one request: the server's counts
        if says:
            kinds = events.setdefault(f"{message.topic} {begins}", {})
            kinds.setdefault(message.data[4], []).append(Told(message.time, begins))
        return
    before, beliefs[rule] = beliefs.get(rule, False), says
    if says and (rule.value is None or not before):
        found.told.append(Told(message.time, begins))
    elif before and not says and begins and rules.end is None:
        found.told.append(Told(message.time, False))
