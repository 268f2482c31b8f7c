# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Records arriving messages, one file per episode, on a background thread. Independent of ROS.

`offer` never blocks: messages that the disk cannot keep up with are dropped and counted. A disk error ends the current
file; the next episode tries again.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from mbrl_controller.base.errors import EpisodeError, MessageError
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.frames import TF_STATIC
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.metadata import SESSION_NAME, EpisodeInfo
from mbrl_controller.episodes.recovery import recover_folder
from mbrl_controller.episodes.writer import PART, EpisodeWriter

POLL_S = 0.05
MAX_LASTING = 1000  # messages of static transforms
FIRST_COMMAND_S = 1.0  # longest time from an episode's begin to its first command
SETTLE_S = 0.3  # wait after an older begin, in which the next begin would come


class Logged(NamedTuple):
    """A message as received; `time` in ns."""

    topic: str
    type_name: str
    data: bytes
    time: int


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
        on_event: Callable[[str], None] = lambda text: None,
        offered: Callable[[str], str] = lambda topic: "",
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
            on_event: Receives lines for a log.
            offered: See EpisodeWriter; called on the recorder's thread.
        """
        self._offered = offered
        self._contract, self._folder, self._topics = contract, folder, dict(topics)
        self._before_s, self._after_s, self._flush_s, self._on_event = before_s, after_s, flush_s, on_event
        self._queue: queue.Queue[Logged | None] = queue.Queue(queue_size)
        self._recent: deque[tuple[float, Logged]] = deque(maxlen=queue_size)
        self._lasting: dict[bytes, Logged] = {}  # static transforms: heard once, and true from then on
        self._status = RecorderStatus()
        self._dropped = 0
        self._heard: set[str] = set()
        self._session = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
        self._writer: EpisodeWriter | None = None
        self._announced: tuple[dict[str, Any], Logged] | None = None  # a begin waiting for its first command
        self._announced_at = 0.0
        self._closing_at = float("inf")
        self._end_reason = ""
        self._cut: set[Path] = set()  # folders with an unfinished file
        self._thread: threading.Thread | None = None

    @property
    def status(self) -> RecorderStatus:
        """Current status."""
        roles = [*(source.key for source in self._contract.sources), "command"]
        silent = tuple(self._topics[role] for role in roles if self._topics[role] not in self._heard)
        return replace(self._status, dropped=self._dropped, silent=silent)

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
        self._heard.add(item.topic)
        if item.topic == self._topics.get(TF_STATIC) and len(self._lasting) < MAX_LASTING:
            self._lasting.setdefault(item.data, item)
        if item.topic == self._topics["episode"]:
            self._episode_event(item)
        elif item.topic == self._topics["command"] and self._announced is not None and self._belongs(item, now):
            self._open(item)
        if self._writer is not None:
            self._write(item)
        self._recent.append((now, item))
        while self._recent[0][0] < now - self._before_s:
            self._recent.popleft()

    def _episode_event(self, item: Logged) -> None:
        try:
            event = json.loads(ros_messages.decode(item.data, ros_types.STRING).data)
            kind = event["event"]
        except (MessageError, ValueError, TypeError, KeyError, RecursionError):
            return
        if kind == "begin":
            self._close(self._end_reason or "the next episode began")
            # A file is opened with the first command. A late logger also receives events of earlier episodes: these,
            # and episodes without commands, leave no files.
            self._announced = (event, item)
            self._announced_at = time.monotonic()
            self._set(recording=True)
            if self._first_command_was_here(event):
                self._open(item)
        elif kind == "end":
            self._announced = None
            self._end_reason = _text(event.get("reason", "end"))
            # The last state and command may arrive after the event.
            self._closing_at = time.monotonic() + self._after_s
            self._set(recording=self._writer is not None)

    def _belongs(self, command: Logged, now: float) -> bool:
        """Whether a command belongs to the announced episode: a late logger receives begins of earlier ones."""
        assert self._announced is not None
        after = self._after_begin(command, self._announced[0])
        return after is None or after < FIRST_COMMAND_S or now >= self._announced_at + SETTLE_S

    def _after_begin(self, command: Logged, event: dict[str, Any]) -> float | None:
        """Time (s) from an episode's begin to a command; None if unknown."""
        begin = event.get("stamp")
        if not ros_messages.is_stamp(begin):
            return None
        try:
            return (
                ros_messages.stamp_ns(ros_messages.decode(command.data, command.type_name)) / ros_messages.NANO - begin
            )
        except MessageError:
            return None

    def _first_command_was_here(self, event: dict[str, Any]) -> bool:
        """Whether the episode's first command arrived before its begin event."""
        for _, item in self._recent:
            if item.topic == self._topics["command"]:
                after = self._after_begin(item, event)
                if after is not None and -1e-3 <= after < 2 * self._contract.action.period:
                    return True
        return False

    def _open(self, current: Logged) -> None:
        """Open the announced episode's file and write what came before `current`."""
        assert self._announced is not None
        (event, item), self._announced = self._announced, None
        wanted = event.get("session")
        session = wanted if isinstance(wanted, str) and SESSION_NAME.fullmatch(wanted) else self._session
        number = event.get("episode")
        number = number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 10**8 else 0
        folder = self._folder / session
        while any((folder / (name(number) + end)).exists() for end in ("", PART)):
            number += 1
        info = EpisodeInfo(
            session=session,
            episode=number,
            model_version=_text(event.get("model_version", "")),
            source="logger",
            topics=self._topics,
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
        self._writer = None
        self._set(recording=self._announced is not None, episodes=self._status.episodes + 1, file="")
        self._on_event(f"{writer.path}: {writer.messages} messages, {reason}")

    def _fail(self, problem: str) -> None:
        """Give up this episode's file; its content can be recovered."""
        if self._writer is not None:
            self._writer.abandon()
            self._cut.add(self._writer.path.parent)
            self._writer = None
        self._announced, self._closing_at = None, float("inf")
        self._set(recording=False, file="", problem=problem)
        self._on_event(f"logging stopped until the next episode: {problem}")

    def _set(self, **changes: Any) -> None:
        self._status = replace(self._status, **changes)


def _text(value: Any) -> str:
    """A JSON value as a short text; JSON may hold lone surrogates, which a file cannot."""
    return str(value)[:200].encode(errors="replace").decode()


def name(number: int) -> str:
    """File name of an episode."""
    return f"episode_{number:04d}.mcap"
