# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""One exchange with the storage, as a hand or as who trains; and exchanges for ever.

The log folder is the queue: while the storage is away, episodes stay there, and the next pass sends them in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.run_folder import only_process
from mbrl_controller.models.registry import Registry
from mbrl_controller.sharing.episodes import pull_episodes, push_episodes, remove_sent
from mbrl_controller.sharing.ledger import Ledger
from mbrl_controller.sharing.store import Store
from mbrl_controller.sharing.versions import pull_versions, push_versions
from mbrl_controller.tasks.catalog import TASKS

Role = Literal["hand", "trainer"]
LONGEST_WAIT_S = 600.0  # between passes that fail


@dataclass(frozen=True)
class ShareSettings:
    """Who exchanges what with which storage."""

    role: Role
    url: str
    tasks: tuple[str, ...] = ()  # empty: all installed ones
    episodes_dir: Path | None = None
    models_dir: Path | None = None
    keep_bytes: int | None = None  # a hand removes sent episodes while a task's log is larger; None: it keeps all


@dataclass
class Exchanged:
    """What a pass did, and what could not be used."""

    episodes: int = 0
    versions: int = 0
    current: dict[str, str] = field(default_factory=dict)  # task -> version that was made current here
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        moved = "".join(f"; {task}: {version} is current" for task, version in self.current.items())
        return f"{self.episodes} episodes, {self.versions} versions{moved}"


def exchange(settings: ShareSettings) -> Exchanged:
    """One pass: a hand sends episodes and gets versions, a trainer gets episodes and sends versions.

    Raises:
        MbrlError: the storage failed, another process exchanges with it, or nothing can be written here. Nothing is
            lost, and the next pass goes on from there.
    """
    home = home_dir() / "share"
    store, done = Store(settings.url), Exchanged()
    for task in settings.tasks:
        if task not in TASKS:
            raise MbrlError(f"unknown task {task!r}; known tasks: {', '.join(sorted(TASKS))}")
    with only_process(home / f".{settings.role}", f"another process exchanges as {settings.role} ({home})"):
        for task in settings.tasks or tuple(sorted(TASKS)):
            _of_task(settings, store, home, task, done)
    return done


def _of_task(settings: ShareSettings, store: Store, home: Path, task: str, done: Exchanged) -> None:
    episodes = settings.episodes_dir or home_dir() / "episodes"
    registry = Registry(settings.models_dir)
    if settings.role == "trainer":
        came, faults = pull_episodes(store, episodes, task, Ledger(home, settings.url, "episodes_fetched"))
        sent, refused = push_versions(store, registry, task)
        done.episodes, done.versions = done.episodes + came, done.versions + sent
        done.faults += faults + refused
        return
    ledger = Ledger(home, settings.url, "episodes_sent")
    sent, faults = push_episodes(store, episodes, task, ledger)
    done.episodes, done.faults = done.episodes + sent, done.faults + faults
    if settings.keep_bytes is not None and (over := remove_sent(episodes, task, ledger, settings.keep_bytes)):
        done.faults.append(f"{episodes / task}: {over} bytes too large, and nothing in it was sent")
    came_versions, current, faults = pull_versions(
        store, registry, task, Ledger(home, settings.url, f"{task}_versions")
    )
    done.versions += len(came_versions)
    done.faults += faults
    if current:
        done.current[task] = current


def watch(
    settings: ShareSettings,
    every_s: float,
    on_pass: Callable[[Exchanged], None],
    on_failure: Callable[[str, float], None],
    should_stop: Callable[[float], bool],
) -> None:
    """Exchange again and again, less often while the storage is away.

    Args:
        settings: of each pass.
        every_s: s between passes; after failures twice that, four times, and so on, up to ten minutes.
        on_pass: hears of each pass that was made.
        on_failure: hears why one was not, and how long until the next (s).
        should_stop: waits for so long (s), and says whether to end.
    """
    wait = every_s
    while True:
        begun = time.monotonic()
        try:
            on_pass(exchange(settings))
            wait = every_s
        except MbrlError as error:
            wait = min(2 * wait, max(LONGEST_WAIT_S, every_s))
            on_failure(str(error), wait)
        if should_stop(max(wait - (time.monotonic() - begun), 0.0)):
            return
