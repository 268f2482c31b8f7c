# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Writes what was cut from a bag as episodes, reads them again, and keeps those that can be learnt from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes import ros_messages
from mbrl_controller.episodes.announcements import make_event
from mbrl_controller.episodes.cutting import CutRules, Span, between_drops
from mbrl_controller.episodes.foreign_bag import BagMessage
from mbrl_controller.episodes.metadata import OTHERS, EpisodeInfo
from mbrl_controller.episodes.reader import Episode, read_episode
from mbrl_controller.episodes.transitions import used_periods
from mbrl_controller.episodes.writer import EpisodeWriter

SOURCE = "import"  # `source` of imported episodes
EVENTS = "/mbrl_import/episode"
ROUNDED_NS = 1_000  # events carry floats of seconds: the end must not come out later than it is
AROUND_NS = ros_messages.NANO  # of what came before and after an episode, kept with it

Row = tuple[int, int, BagMessage]  # when it was received (ns), its number in the bag


class ImportedEpisodes:
    """The episodes of one bag."""

    def __init__(
        self,
        folder: Path,
        contract: RobotContract,
        rules: CutRules,
        frames: list[BagMessage],
        counts: Counter[str],
        extra: Mapping[str, str],
        **about: Any,
    ) -> None:
        """Args:
        folder: where they go.
        contract: what is what in them.
        rules: with which the bag was cut.
        frames: messages on /tf_static, which each episode needs.
        counts: reason -> what was left out, to which is added.
        extra: about the bag, for the episodes' metadata.
        about: fields of EpisodeInfo.
        """
        self._folder, self._contract, self._rules = folder, contract, rules
        self._frames, self._counts = frames, counts
        self._about = {"source": SOURCE, "commanded_by": OTHERS, "extra": dict(extra)} | about
        self.episodes = self.transitions = 0

    def add(self, span: Span, rows: list[Row]) -> None:
        """Write one cut of the bag, given its messages in any order."""
        rows = sorted(rows, key=_in_time)
        episode = self._written(span, rows)
        if episode is None:
            return
        parts, lost = between_drops(episode, span) if self._rules.drops else ([span], 0)
        if parts == [span]:
            self._keep(episode)
            return
        episode.path.unlink()
        self._counts["control periods: from a drop until the object was back"] += lost
        for part in parts:
            piece = self._written(part, _around(part, rows))
            if piece is not None:
                self._keep(piece)

    def _written(self, span: Span, rows: list[Row]) -> Episode | None:
        """An episode as it is read again; None, and counted, where it cannot be."""
        path = self._write(span, rows)
        try:
            return read_episode(path)
        except EpisodeError as error:
            self._counts[f"episodes: {str(error).removeprefix(f'{path}: ')}"] += 1
            path.unlink()
            return None

    def _keep(self, episode: Episode) -> None:
        used = used_periods(episode)
        for reason, count in episode.rejected.items():
            if not reason.startswith("command:"):  # those are among the skipped
                self._counts[f"messages: {reason}"] += count
        for reason, count in used.skipped.items():
            what = "messages" if reason.startswith("command:") else "control periods"
            self._counts[f"{what}: {reason}"] += count
        if len(used):
            self.episodes += 1
            self.transitions += len(used)
        else:
            self._counts["episodes: without a usable transition"] += 1
            episode.path.unlink()

    def _write(self, span: Span, rows: list[Row]) -> Path:
        started = datetime.fromtimestamp(span.begin / ros_messages.NANO, timezone.utc)
        info = EpisodeInfo(episode=self.episodes, started=started.isoformat(timespec="milliseconds"), **self._about)
        path = self._folder / f"episode_{self.episodes:04d}.mcap"
        writer = EpisodeWriter(path, self._contract, info, flush_s=1e9, fsync=False)
        try:
            for message in [*self._frames, *(message for _, _, message in rows)]:
                writer.write_raw(message.topic, message.type_name, message.data, message.time)
            for kind, time, why in (("begin", span.begin, ""), ("end", span.end - ROUNDED_NS, span.reason)):
                event = make_event(EVENTS, time, kind, reason=why)
                writer.write_raw(event.topic, event.type_name, event.data, time)
            return writer.close(span.reason)
        except BaseException:
            writer.discard()
            raise


def _in_time(row: Row) -> tuple[int, int]:
    return row[:2]


def _around(span: Span, rows: list[Row]) -> list[Row]:
    """Of sorted messages those of an episode, and the last of each topic before it."""
    before = {row[2].topic: row for row in rows if row[0] < span.begin - AROUND_NS}
    inside = [row for row in rows if span.begin - AROUND_NS <= row[0] <= span.end + AROUND_NS]
    return [*sorted(before.values(), key=_in_time), *inside]
