# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Records arriving messages, one file per episode, on a background thread. Independent of ROS.

Episodes are the controller's, told by its episode topic, or a person's, around commands of anybody, told by the
logger's own: its events come through `offer` like all messages. `offer` never blocks: messages that the disk cannot
keep up with are dropped and counted. A disk error ends the current file; the next episode tries again.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.frames import TF_STATIC
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.announcements import Begun, Logged, make_event, read_event, short
from mbrl_controller.episodes.episode_topics import OWN_EPISODE, EpisodeTopics
from mbrl_controller.episodes.metadata import SESSION_NAME, EpisodeInfo
from mbrl_controller.episodes.recovery import recover_folder
from mbrl_controller.episodes.writer import PART, EpisodeWriter

POLL_S = 0.05
MAX_LASTING = 1000  # messages of static transforms
CONTROLLER_BEGAN, NEXT_BEGAN = "the controller's episode began", "the next episode began"


@dataclass(frozen=True)
class RecorderStatus:
    """State of the recorder, for display."""

    recording: bool = False  # an episode is open, or has been announced
    file: str = ""
    episodes: int = 0  # closed since the start
    messages: int = 0  # written since the start
    dropped: int = 0  # messages lost since the start
    silent: tuple[str, ...] = ()  # state and command topics without a message since the start
    problem: str = ""  # why nothing is written; empty without a problem
    by_others: bool = False  # the episode is a person's, around anybody's commands


class Recorder:
    """Follows the episode topic; records everything from shortly before an episode's first command to its end."""

    def __init__(
        self,
        contract: RobotContract,
        folder: Path,
        topics: Mapping[str, str],
        *,
        queue_size: int = 20_000,
        before_s: float = 1.0,
        after_s: float = 0.3,
        flush_s: float = 0.2,
        max_episode_s: float = 0.0,
        silence_s: float = 5.0,
        now_ns: Callable[[], int] = time.time_ns,
        on_event: Callable[[str], None] = lambda text: None,
        offered: Callable[[str], str] = lambda topic: "",
        world: Callable[[], str] = lambda: "",
        on_end: Callable[[Path | None, str], None] = lambda path, reason: None,
        on_closed: Callable[[Path, str], None] | None = None,
    ) -> None:
        """Prepare; `start` begins to record.

        Args:
            contract: Robot contract of the episodes.
            folder: Files go to `<folder>/<session>/`.
            topics: As in EpisodeInfo.
            queue_size: Messages that may wait for the disk.
            before_s: Recorded time before the first command, s.
            after_s: Recorded time after the end event, s.
            flush_s: See EpisodeWriter.
            max_episode_s: Maximum duration of a person's episode, s; 0: none.
            silence_s: A person's episode ends after so long without a command or a state, s.
            now_ns: Time for the ends of a person's episodes, ns, by the clock of the messages' times.
            on_event: Receives lines for a log.
            offered: See EpisodeWriter; called on the recorder's thread.
            world: The hand's, as in EpisodeInfo; called on the recorder's thread.
            on_end: Called on the recorder's thread when a person's episode is over, with its file, if there is one, and
                why.
            on_closed: Called on the recorder's thread when a file was closed properly, with the episode's end's reason.
        """
        self._offered, self._on_end, self._now_ns, self._world = offered, on_end, now_ns, world
        self._on_closed = on_closed
        self._max_episode_s, self._silence_s = max_episode_s, silence_s
        self._contract, self._folder, self._topics = contract, folder, EpisodeTopics(contract, topics)
        self._before_s, self._after_s, self._flush_s, self._on_event = before_s, after_s, flush_s, on_event
        self._queue: queue.Queue[Logged | None] = queue.Queue(queue_size)
        self._recent: deque[tuple[float, Logged]] = deque(maxlen=queue_size)
        self._lasting: dict[bytes, Logged] = {}  # static transforms: heard once, and true from then on
        self._status = RecorderStatus()
        self._dropped = 0
        self._session = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
        self._writer: EpisodeWriter | None = None
        self._announced: Begun | None = None  # waiting for its first command
        self._open_episode: Begun | None = None  # of the writer
        self._closing_at = float("inf")
        self._end_reason = ""
        self._cut: set[Path] = set()  # folders with an unfinished file
        self._thread: threading.Thread | None = None

    @property
    def _episode(self) -> Begun | None:
        """The episode that is open or announced."""
        return self._announced or self._open_episode

    @property
    def status(self) -> RecorderStatus:
        """Current status."""
        episode = self._episode
        by_others, silent = episode is not None and episode.by_others, self._topics.silent(episode)
        return replace(self._status, dropped=self._dropped, silent=silent, by_others=by_others)

    def start(self) -> None:
        """Begin to record."""
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def offer(self, topic: str, type_name: str, data: bytes, time_ns: int) -> None:
        """Take a message; returns at once."""
        try:
            self._queue.put_nowait(Logged(topic, type_name, data, time_ns))
        except queue.Full:
            self._dropped += 1

    def stop(self) -> None:
        """Write what is queued, close the file, end the thread."""
        if self._thread is None:
            return
        if self.status.by_others:
            self._queue.put(self._own_event("end", reason="logger stopped"))
        self._queue.put(None)
        self._thread.join()
        self._thread = None

    def _run(self) -> None:
        while True:
            try:
                item = self._queue.get(timeout=POLL_S)
                if item is None:
                    break
                self._take(item)
                self._close_in_time()
            except queue.Empty:
                self._flush()
                self._close_in_time()
            except Exception as error:  # a defect must be reported, and must not stop the logging of later episodes
                self._fail(f"{type(error).__name__}: {error}")
        self._close(self._end_reason or "logger stopped")
        for folder in self._cut:
            self._on_event(str(recover_folder(folder)))

    def _take(self, item: Logged) -> None:
        now = time.monotonic()
        self._topics.hear(item.topic, now)
        if item.topic == self._topics.by_role.get(TF_STATIC):
            self._lasting.pop(item.data, None)  # a frame that moved there and back is where it was told to be last
            if len(self._lasting) < MAX_LASTING:
                self._lasting[item.data] = item
        if told_by := self._topics.told_by(item.topic):
            self._episode_event(item, told_by)
        elif self._announced is not None and self._topics.belongs(item, self._announced, now):
            self._open(item)
        if self._writer is not None:
            self._write(item)
        self._recent.append((now, item))
        while self._recent[0][0] < now - self._before_s:
            self._recent.popleft()

    def _episode_event(self, item: Logged, commanded_by: str) -> None:
        event = read_event(item)
        if event is None:
            return
        if event["event"] == "begin":
            self._begin(Begun(event, item, commanded_by))
        elif event["event"] == "end" and (self._episode is None or self._episode.commanded_by == commanded_by):
            never_opened, self._announced = self._announced, None
            self._end_reason = short(event.get("reason", "end"))
            # The last state and command may arrive after the event.
            self._closing_at = time.monotonic() + self._after_s
            self._set(recording=self._writer is not None)
            if never_opened is not None and never_opened.by_others:
                self._on_end(None, self._end_reason)

    def _begin(self, begun: Begun) -> None:
        before = self._episode
        its_own = before is not None and not before.by_others
        if begun.by_others and its_own and self._topics.controller_ticks(time.monotonic()):
            self._on_event("not begun: the controller's episode is being logged")
            return
        if before is not None and before.by_others:
            self._take(self._own_event("end", reason=CONTROLLER_BEGAN if not begun.by_others else NEXT_BEGAN))
        self._close(self._end_reason or NEXT_BEGAN)
        # A file is opened with the first command. A late logger also receives events of earlier episodes: these, and
        # episodes without commands, leave no files.
        self._announced = begun
        self._set(recording=True)
        if self._topics.first_command_was_among((item for _, item in self._recent), begun):
            self._open(begun.item)

    def _own_event(self, kind: str, **content: Any) -> Logged:
        return make_event(self._topics.by_role[OWN_EPISODE], self._now_ns(), kind, **content)

    def _open(self, current: Logged) -> None:
        """Open the announced episode's file and write what came before `current`."""
        assert self._announced is not None
        begun = self._announced
        self._announced, self._open_episode = None, begun
        event, item, number = begun.event, begun.item, begun.number
        session = begun.session if SESSION_NAME.fullmatch(begun.session) else self._session
        topics = dict(self._topics.by_role)
        if begun.by_others:
            topics["episode"] = topics[OWN_EPISODE]
        folder = self._folder / session
        while any((folder / (name(number) + end)).exists() for end in ("", PART)):
            number += 1
        info = EpisodeInfo(
            session=session,
            episode=number,
            model_version=short(event.get("model_version", "")),
            source="logger",
            commanded_by=begun.commanded_by,
            topics=topics,
            world=self._world(),
            extra={"announced": ros_messages.decode(item.data, ros_types.STRING).data},
        )
        try:
            self._writer = EpisodeWriter(
                folder / name(number), self._contract, info, self._flush_s, offered=self._offered
            )
        except (EpisodeError, OSError) as error:
            self._fail(str(error))
            return
        self._end_reason, self._closing_at = "", float("inf")
        self._set(recording=True, file=str(self._writer.path), problem="")
        self._on_event(f"logging to {self._writer.path}")
        recent = [past for _, past in self._recent]
        earlier = [past for past in self._lasting.values() if not any(past is item for item in recent)] + recent
        # The reader takes the last begin, so this episode's own must come after older ones.
        for past in earlier if item is current or any(past is item for past in earlier) else [*earlier, item]:
            self._write(past)
        self._flush()  # else a kill now would lose all of before_s

    def _write(self, item: Logged) -> None:
        if self._writer is None:
            return
        try:
            self._writer.write_raw(item.topic, item.type_name, item.data, item.time)
            if item.topic == self._topics.by_role.get("tick"):
                self._writer.write_signals(item.topic, item.data, item.time)
        except EpisodeError as error:
            self._fail(str(error))
        else:
            self._set(messages=self._status.messages + 1)

    def _flush(self) -> None:
        if self._writer is not None:
            try:
                self._writer.flush()
            except EpisodeError as error:
                self._fail(str(error))

    def _close_in_time(self) -> None:
        episode = self._episode
        if episode is not None and episode.by_others and self._closing_at == float("inf"):
            why = self._topics.why_over(episode, time.monotonic(), self._max_episode_s, self._silence_s)
            if why:
                self._take(self._own_event("end", reason=why))
        if time.monotonic() >= self._closing_at:
            self._close(self._end_reason)

    def _close(self, reason: str) -> None:
        self._closing_at, self._end_reason = float("inf"), ""
        writer = self._writer
        if writer is None:
            return
        try:
            writer.close(reason, dropped=str(self._dropped))
        except EpisodeError as error:
            self._fail(str(error))
            return
        episode, self._writer, self._open_episode = self._open_episode, None, None
        self._set(recording=self._announced is not None, episodes=self._status.episodes + 1, file="")
        self._on_event(f"{writer.path}: {writer.messages} messages, {reason}")
        if self._on_closed is not None:
            self._on_closed(writer.path, reason)
        if episode is not None and episode.by_others:
            self._on_end(writer.path, reason)

    def _fail(self, problem: str) -> None:
        """Give up this episode's file; its content can be recovered."""
        if self._writer is not None:
            self._writer.abandon()
            self._cut.add(self._writer.path.parent)
            self._writer = None
        episode = self._episode
        self._announced = self._open_episode = None
        self._closing_at = float("inf")
        self._set(recording=False, file="", problem=problem)
        self._on_event(f"logging stopped until the next episode: {problem}")
        if episode is not None and episode.by_others:
            self._on_end(None, problem)

    def _set(self, **changes: Any) -> None:
        self._status = replace(self._status, **changes)


def name(number: int) -> str:
    """File name of an episode."""
    return f"episode_{number:04d}.mcap"
