# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The topics that a recorder hears: which tell of episodes, which commands belong to one, and which fell silent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes.announcements import Begun, Logged
from mbrl_controller.episodes.metadata import CONTROLLER, OTHERS

FIRST_COMMAND_S = 1.0  # longest time from an episode's begin to its first command
SETTLE_S = 0.3  # wait after an older begin, in which the next begin would come
CONTROLLER_SILENT_S = 1.0  # without its tick a controller is gone: it ticks as long as it is active
OWN_EPISODE = "logger's episode"  # role of the topic that tells a person's episodes


class EpisodeTopics:
    """Topics by role, and when each was heard last. Times are of time.monotonic (s)."""

    def __init__(self, contract: RobotContract, topics: Mapping[str, str]) -> None:
        self.by_role = dict(topics)
        self._states = [source.key for source in contract.sources]
        self._hand_commands = [to.role for to in contract.destinations]
        self._period = contract.action.period
        self._heard: dict[str, float] = {}

    def hear(self, topic: str, now: float) -> None:
        """A message came."""
        self._heard[topic] = now

    def told_by(self, topic: str) -> str:
        """Whose episodes a topic tells of: CONTROLLER, OTHERS, or empty."""
        told = {self.by_role["episode"]: CONTROLLER, self.by_role.get(OWN_EPISODE, ""): OTHERS}
        return told.get(topic, "")

    def silent(self, episode: Begun | None) -> tuple[str, ...]:
        """State and command topics of which nothing was heard yet."""
        topics = [*(self.by_role[role] for role in self._states), *self._commands(episode)]
        return tuple(topic for topic in topics if topic not in self._heard)

    def controller_ticks(self, now: float) -> bool:
        """Whether the controller is there, and active."""
        return now - self._heard.get(self.by_role["tick"], -float("inf")) < CONTROLLER_SILENT_S

    def belongs(self, item: Logged, begun: Begun, now: float) -> bool:
        """Whether this is a command of an announced episode: a late logger receives begins of earlier ones."""
        if item.topic not in self._commands(begun):
            return False
        after = None if begun.by_others else begun.after_begin(item)
        return after is None or after < FIRST_COMMAND_S or now >= begun.since + SETTLE_S

    def first_command_was_among(self, recent: Iterable[Logged], begun: Begun) -> bool:
        """Whether a command of the episode came before its begin: one of others is in force until the next."""
        commands = [item for item in recent if item.topic in self._commands(begun)]
        if begun.by_others:
            return bool(commands)
        after = [begun.after_begin(item) for item in commands]
        return any(s is not None and -1e-3 <= s < 2 * self._period for s in after)

    def why_over(self, begun: Begun, now: float, max_episode_s: float, silence_s: float) -> str:
        """Why a person's episode ends by itself now; empty if it does not. `max_episode_s` 0: it may last for ever."""
        if 0 < max_episode_s <= now - begun.since:
            return "timeout"
        heard = {topic: max(self._heard.get(topic, 0.0), begun.since) for topic in self.by_role.values()}
        newest_command = max(self._commands(begun), key=heard.__getitem__)  # a joint may rest on its own topic
        for topic in (*(self.by_role[role] for role in self._states), newest_command):
            if now - heard[topic] >= silence_s:
                return f"nothing on {topic} for {silence_s:g} s"
        return ""

    def _commands(self, episode: Begun | None) -> list[str]:
        """The topics whose messages are an episode's commands."""
        by_others = episode is not None and episode.by_others
        return [self.by_role[role] for role in (self._hand_commands if by_others else ["command"])]
