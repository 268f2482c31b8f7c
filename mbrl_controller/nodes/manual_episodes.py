# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Episodes that a person begins and ends, around commands of anybody: teleoperation, a script, the driver's demo."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from std_srvs.srv import Trigger

from mbrl_controller.base.errors import EpisodeError, MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.command_messages import read_command
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.destinations import Destination
from mbrl_controller.contract.frames import TF_STATIC, StaticFrames
from mbrl_controller.contract.observed import ObservedSource
from mbrl_controller.contract.sources import Source
from mbrl_controller.control.doubt import Doubt
from mbrl_controller.control.loop import start_thread
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.announcements import make_event
from mbrl_controller.episodes.episode_topics import OWN_EPISODE
from mbrl_controller.episodes.exclusions import DOUBT
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.recorder import Recorder
from mbrl_controller.episodes.transitions import transitions
from mbrl_controller.nodes.contract_check import why_silent
from mbrl_controller.nodes.disputed_states import DisputedStates
from mbrl_controller.nodes.graph import Unheard
from mbrl_controller.nodes.lifecycle import ManagedNode
from mbrl_controller.nodes.polling import SlowService

DISCOVERY_S = 3.0  # from the logger's start, in which who is there, and what they say, may still be found out
BEGIN_S = 1.0  # that the recorder may take to begin
SUMMARY_S = 60.0  # that may pass until the transitions of an episode are counted
SILENT_S = 1.0  # a state that came longer ago is not there any more
LOWEST = 19  # priority of who counts transitions: control may run on the same machine
POLL_S = 0.01


class _Heard(NamedTuple):
    data: bytes
    clock: float  # s, node's clock, at receipt
    steady: float  # s, time.monotonic


class ManualEpisodes:
    """Services ~/begin_episode and ~/end_episode, and why an episode could not be learnt from."""

    def __init__(self, node: ManagedNode, contract: RobotContract) -> None:
        """Offer the services; they refuse until `begin_listening`."""
        self._node, self._contract = node, contract
        self._recorder: Recorder | None = None
        self._topics: dict[str, str] = {}  # role -> topic
        self._unheard: dict[str, Unheard] = {}
        self._states: DisputedStates | None = None
        self._discovered = 0.0  # s, time.monotonic: by then the others are known
        self._newest: dict[str, _Heard] = {}
        self._frames = StaticFrames()
        self._begun = self._summed_up = 0  # episodes so far
        self._told: tuple[str, ...] = ()
        self.last = ""  # what became of the last episode
        self.last_has_transitions = True
        self._begin = SlowService(node, Trigger, "~/begin_episode", self._on_begin)
        self._end = SlowService(node, Trigger, "~/end_episode", self._on_end)

    def close(self) -> None:
        """Leave the services."""
        self._begin.close()
        self._end.close()

    def begin_listening(
        self, recorder: Recorder, topics: dict[str, str], unheard: dict[str, Unheard], states: DisputedStates
    ) -> None:
        """The logger is active: its recorder, topics by role, who cannot be heard, by topic, and who sends states."""
        self._newest.clear()
        self._topics, self._unheard, self._states = topics, unheard, states
        self._discovered = time.monotonic() + DISCOVERY_S
        self._recorder = recorder

    def stop_listening(self) -> None:
        """The logger is not active any more."""
        self._recorder = self._states = None

    def hear(self, topic: str, data: bytes, now_ns: int) -> None:
        """Remember a topic's newest message, received at `now_ns`."""
        self._newest[topic] = _Heard(data, now_ns / ros_messages.NANO, time.monotonic())
        if topic == self._topics.get(TF_STATIC):
            with suppress(MessageError):  # a transform that is none is missed where a pose needs it
                self._frames.take(ros_messages.decode(data, ros_types.TRANSFORMS))

    def mark_disputed(self) -> None:
        """A state has several publishers now: what is being logged must not be learnt from."""
        recorder = self._recorder
        if recorder is not None and recorder.status.by_others:
            self._offer(recorder, DOUBT, why=Doubt.DISPUTED.name)

    # --- why not ------------------------------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """Why nothing could be learnt from what is heard now."""
        found = [text for source in self._contract.sources for text in self._of_source(source)]
        found += self._states.problems() if self._states is not None else []
        return found + [text for to in self._contract.destinations if (text := self._of_commands(to))]

    def missing_commands(self) -> list[str]:
        """Command topics on which nothing was heard yet."""
        topics = [self._topics[to.role] for to in self._contract.destinations]
        return [topic for topic in topics if topic not in self._newest]

    def unlogged(self) -> str:
        """Where commands are heard that nobody logs; empty if none are. Said once."""
        recorder, now = self._recorder, time.monotonic()
        if recorder is None or recorder.status.recording or recorder.status.by_others:
            return ""
        if (own := self._newest.get(self._topics["command"])) and now - own.steady < SILENT_S:
            return ""  # the controller's
        for to in self._contract.destinations:
            heard = self._newest.get(self._topics[to.role])
            if heard is not None and now - heard.steady < SILENT_S:
                return f"commands on {self._topics[to.role]} are not logged: no episode was begun (~/begin_episode)"
        return ""

    def _of_source(self, source: Source) -> list[str]:
        topic = self._topics[source.key]
        heard = self._newest.get(topic)
        if heard is None:
            finding = why_silent(self._node, source)
            return [f"no state on {finding.where}: {finding.problem}; {finding.change}"]
        if (silent := time.monotonic() - heard.steady) > SILENT_S:
            return [f"no state on {topic} for {silent:.1f} s"]
        observed = ObservedSource(self._contract, source, self._frames)
        try:
            message = ros_messages.decode(heard.data, source.type)
        except MessageError as error:
            return [f"{topic}: {error}"]
        observed.hear(message, heard.steady, heard.clock)
        return [f"{topic}: {finding.problem}; {finding.change}" for finding in observed.unusable()]

    def _of_commands(self, to: Destination) -> str:
        topic = self._topics[to.role]
        heard = self._newest.get(topic)
        if heard is None:
            return str(self._unheard[topic]) if self._unheard[topic].found() else ""
        try:
            read_command(self._contract, to.topic, ros_messages.decode(heard.data, to.type))
        except MessageError as error:
            return f"{topic}: {error}"
        return ""

    # --- services -----------------------------------------------------------------------------------------------

    def _on_begin(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = self._try_to_begin()
        self._log(f"~/begin_episode: {response.message}", response.success)
        return response

    def _try_to_begin(self) -> tuple[bool, str]:
        recorder = self._recorder
        if recorder is None:
            return False, "not begun: the logger is not active"
        if recorder.status.by_others:
            return False, f"an episode is being logged already ({recorder.status.file}): ~/end_episode ends it"
        while (problems := self.problems()) and time.monotonic() < self._discovered and self._recorder is recorder:
            time.sleep(POLL_S)
        if self._recorder is not recorder:
            return False, "not begun: the logger is not active"
        if problems:
            return False, f"not begun: {'; '.join(problems)}"
        self._begun += 1
        self._offer(recorder, "begin")
        if not _within(BEGIN_S, lambda: recorder.status.by_others):
            return False, (
                "not begun: the controller's episode is being logged; hand over (~/hand_over) or deactivate it first"
            )
        if file := recorder.status.file:
            return True, f"logging to {file}"
        return (
            True,
            f"begun; logged from the first command on: none is heard yet on {', '.join(self.missing_commands())}",
        )

    def _on_end(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Answers when the file is closed and its transitions are counted."""
        recorder = self._recorder
        if recorder is None or not recorder.status.by_others:
            why = "the logger is not active" if recorder is None else "none was begun, or it has ended"
            response.message = f"no episode to end: {why}{f'. The last one: {self.last}' if self.last else ''}"
            return response
        begun = self._begun
        self._offer(recorder, "end", reason="~/end_episode")
        if _within(SUMMARY_S, lambda: self._summed_up >= begun):
            response.success, response.message = self.last_has_transitions, self.last
        else:
            response.success, response.message = True, "ended; its transitions are still being counted: see the log"
        return response

    def _offer(self, recorder: Recorder, kind: str, **content: Any) -> None:
        now = self._node.get_clock().now().nanoseconds
        task, robot = self._contract.task.name, self._contract.file.robot
        recorder.offer(*make_event(self._topics[OWN_EPISODE], now, kind, task=task, robot=robot, **content))

    # --- ends ---------------------------------------------------------------------------------------------------

    def over(self, path: Path | None, reason: str) -> None:
        """An episode has ended, with its file if one was opened. On the recorder's thread, which must not wait."""
        number = self._begun
        start_thread(lambda: self._sum_up(number, path, reason), "summary")

    def _sum_up(self, number: int, path: Path | None, reason: str) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST)
        count, text = self._summary(path, reason)
        self.last, self.last_has_transitions = text, count > 0
        self._log(text, count > 0)
        self._summed_up = max(self._summed_up, number)

    def _summary(self, path: Path | None, reason: str) -> tuple[int, str]:
        """The number of transitions, and what to say of the episode."""
        if path is None:
            missing = self.missing_commands()
            return 0, f"no episode was logged ({reason}): no command came{f' on {missing[0]}' if missing else ''}"
        try:
            rows = transitions(read_episode(path, self._contract, only_for_transitions=True))
        except EpisodeError as error:
            return 0, f"nothing can be learnt: {error}"
        left_out = ", ".join(f"{count} {why}" for why, count in rows.skipped.items())
        text = f"{path} ({reason}): {len(rows) or 'no'} transitions{f'; left out: {left_out}' if left_out else ''}"
        return len(rows), text

    def _log(self, text: str, good: bool) -> None:
        if good:
            self._node.get_logger().info(text)
        else:
            self._node.get_logger().error(text)

    def tell(self) -> list[str]:
        """What is wrong with a person's episode that runs, or that none does; new things go to the log."""
        recorder = self._recorder
        if recorder is None:
            return []
        found = self.problems() if recorder.status.by_others else [text for text in [self.unlogged()] if text]
        for text in found:
            if text not in self._told:
                self._node.get_logger().warning(text, throttle_duration_sec=1.0)
        self._told = tuple(found)
        return found


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether `condition` is true within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True
