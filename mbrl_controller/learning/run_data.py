# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What a run has collected and will collect, and what of it each round learns from."""

from __future__ import annotations

from pathlib import Path

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.learning.config import LearnPlan
from mbrl_controller.learning.log import RunLog, StepKind
from mbrl_controller.learning.ros_collection import batch_folders
from mbrl_controller.learning.schedule import EpisodeBatch, random_batches, recent, rehearsal_batches, round_batches
from mbrl_controller.learning.start_version import old_files
from mbrl_controller.training.dataset import episode_files


class RunData:
    """The episodes of a run by round: all follows from its plan and the experience in its log."""

    def __init__(self, plan: LearnPlan, contract: RobotContract, log: RunLog, sessions: Path) -> None:
        """`sessions`: the folder of its sessions."""
        self._plan, self._contract, self._log, self._sessions = plan, contract, log, sessions

    def batches(self, number: int) -> list[EpisodeBatch]:
        """The batches of round `number`; they follow from the experience that it learnt from.

        Round 0, which nothing was trained for, is that of a version to start from.
        """
        trained = self._log.find(StepKind.TRAIN, number) if number else None
        assert number == 0 or trained is not None  # a round trains before it collects
        return round_batches(self._plan, self._contract, number, trained.env_steps if trained else 0)

    def folders(self, batches: list[EpisodeBatch]) -> list[Path]:
        """Where the episodes of batches are: interrupted ones through the nodes have several folders."""
        return [folder for batch in batches for folder in batch_folders(self._sessions, batch)]

    def files(self, number: int) -> list[Path]:
        """The files that round `number` learns from: the batches before it, whatever else lies there."""
        plan = self._plan
        if plan.base.version:
            first, before = self._old(), range(number)
        else:
            first, before = self._collected(random_batches(plan)), range(1, number)
        return recent(plan, number, [first, *(self._collected(self.batches(n)) for n in before)])

    def weights(self, files: list[Path]) -> dict[Path, float]:
        """The weight of each of `files` with old data, where it is not that of new data."""
        weight = self._plan.base.old_weight
        if not self._plan.base.version or weight == 1.0:
            return {}
        old = set(self._old())
        return {path: weight for path in files if path in old}

    def _old(self) -> list[Path]:
        return [*old_files(self._plan.base), *self._collected(rehearsal_batches(self._plan))]

    def _collected(self, batches: list[EpisodeBatch]) -> list[Path]:
        return episode_files(self.folders(batches))
