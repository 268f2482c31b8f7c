# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Metadata of an episode file: which episode it is, and its topics by role."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.contract.reward_label import ROLE as REWARD

RECORD = "mbrl_controller"  # name of the MCAP metadata record that begins every episode
CLOSED_RECORD = "mbrl_controller_closed"  # ends every episode that was closed or recovered
FORMAT_VERSION = "1"
CONTROLLER, OTHERS = "controller", "others"  # who commanded
LOCKSTEP = "lockstep"  # `source` of episodes from simulation without ROS
SESSION_NAME = re.compile(r"\w[\w.-]{0,99}")  # a folder's name


@dataclass(frozen=True)
class EpisodeInfo:
    """Identity of an episode.

    `topics` maps the keys of the contract's sources (their topics), and `reward`, `command`, `goal`, `tick`, `episode`,
    to their names in the file, so that readers need not know namespaces and remappings.
    """

    session: str
    episode: int
    seed: int | None = None
    model_version: str = ""
    model_digest: str = ""
    source: str = LOCKSTEP  # writer: lockstep or logger
    commanded_by: str = CONTROLLER  # or OTHERS: the commands are those on the hand's command topics, from whomever
    topics: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)
    task: str = ""
    robot: str = ""
    started: str = ""  # UTC, ISO 8601
    world: str = ""  # as in models/origin.py; empty: nobody knew

    def of_contract(self, contract: RobotContract) -> EpisodeInfo:
        """Copy with task, robot, time and default topic names filled in."""
        names = {source.key: absolute(source.topic) for source in contract.sources}
        if contract.file.reward is not None:
            names[REWARD] = absolute(contract.file.reward.topic)
        names |= {name: f"/controller/{name}" for name in ("command", "goal", "tick", "episode")}
        started = self.started or datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        topics = names | dict(self.topics)
        return replace(self, task=contract.task.name, robot=contract.file.robot, topics=topics, started=started)

    @property
    def key(self) -> str:
        """Permanent name of this recording, wherever its file is."""
        return f"{self.robot}/{self.session}/{self.episode:04d}"

    def to_metadata(self, contract: RobotContract) -> dict[str, str]:
        """Entries of the metadata record, including the contract's text."""
        return {
            "format_version": FORMAT_VERSION,
            "task": self.task,
            "robot": self.robot,
            "session": self.session,
            "episode": str(self.episode),
            "seed": "" if self.seed is None else str(self.seed),
            "model_version": self.model_version,
            "model_digest": self.model_digest,
            "source": self.source,
            "commanded_by": self.commanded_by,
            "started": self.started,
            "world": self.world,
            "topics": json.dumps(dict(self.topics)),
            "extra": json.dumps(dict(self.extra)),
            "contract_digest": contract.digest,
            "contract": contract.text,
        }

    @classmethod
    def from_metadata(cls, entries: Mapping[str, str], where: str) -> EpisodeInfo:
        """Inverse of `to_metadata`; raises EpisodeError naming file `where` and the fault."""
        version = entries.get("format_version")
        if version != FORMAT_VERSION:
            raise EpisodeError(f"{where}: episode format {version!r}, this version reads {FORMAT_VERSION!r}")
        try:
            topics, extra = json.loads(entries["topics"]), json.loads(entries["extra"])
            if not isinstance(topics, dict) or not isinstance(extra, dict):
                raise ValueError("topics and extra must be JSON objects")
            return cls(
                session=entries["session"],
                episode=int(entries["episode"]),
                seed=int(entries["seed"]) if entries["seed"] else None,
                model_version=entries["model_version"],
                model_digest=entries["model_digest"],
                source=entries["source"],
                commanded_by=entries.get("commanded_by", CONTROLLER),
                topics={str(k): str(v) for k, v in topics.items()},
                extra={str(k): str(v) for k, v in extra.items()},
                task=entries["task"],
                robot=entries["robot"],
                started=entries["started"],
                world=entries.get("world", ""),  # new in 0.3
            )
        except KeyError as error:
            raise EpisodeError(f"{where}: its metadata lacks {error}") from error
        except (ValueError, RecursionError) as error:
            raise EpisodeError(f"{where}: its metadata is damaged: {error}") from error


def absolute(topic: str) -> str:
    """`topic` as named outside any namespace."""
    return topic if topic.startswith("/") else f"/{topic}"
