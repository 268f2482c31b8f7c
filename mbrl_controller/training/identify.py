# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From logged episodes to a version with fitted physics: the simulator that plans as the hand moves.

It takes minutes, and begins anew if it is stopped; the registry gets the version whole, or not at all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from mbrl_controller.base.cache_folder import cache_dir
from mbrl_controller.base.errors import DatasetError, MbrlError
from mbrl_controller.base.run_folder import only_process
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.episodes.data_schema import source_kinds
from mbrl_controller.models.card import IDENTIFIED_FILE, ModelCard, Version
from mbrl_controller.models.fitted import FittedParameter, IdentifiedCard
from mbrl_controller.models.identified import Identified
from mbrl_controller.models.origin import parse_mix, simulated_world
from mbrl_controller.models.registry import Registry, file_sha256
from mbrl_controller.models.spec import ModelSpec, describe_validation
from mbrl_controller.simulation.physical_parameters import find_parameters
from mbrl_controller.simulation.scene import Scene, load_scene
from mbrl_controller.training.chosen_world import world_named
from mbrl_controller.training.dataset import Dataset, files_of_log, load_dataset
from mbrl_controller.training.identify_config import IdentifyConfig
from mbrl_controller.training.identify_fit import fit_parameters
from mbrl_controller.training.identify_intervals import describe
from mbrl_controller.training.identify_report import write_report
from mbrl_controller.training.identify_windows import WindowErrors, cut_windows

LOCK_FILE = ".retraining"  # as a retrain: both take the next version's name
MIN_EPISODES = 2  # one to fit, one to judge


@dataclass(frozen=True)
class IdentifyRequest:
    """What a person asks for. None: the default."""

    task: str
    episodes: Sequence[Path] | None = None  # files and folders; None: all of this user's
    models_dir: Path | None = None
    contract: Path | None = None
    options: dict[str, Any] = field(default_factory=dict)  # of IdentifyConfig
    mix: Collection[str] = ()
    world: str = ""  # fit only its episodes, as in a retrain
    notes: str = ""
    threads: int = 1


class IdentifyCallback:
    """What a run reports; override what you want to hear of."""

    def on_stage(self, text: str) -> None:
        """A new part of the work begins."""

    def on_read_start(self, total: int) -> None:
        """`total` episode files will be read."""

    def on_file_read(self, path: Path) -> None:
        """One of them was read."""

    def on_iteration(self, number: int, error: float) -> None:
        """A step of the search ended, with the weighted root mean square error."""


@dataclass(frozen=True)
class IdentifyResult:
    """The version, its parameters, and the errors on the episodes held out, in units of one step's change."""

    version: Version
    parameters: tuple[FittedParameter, ...]
    warnings: tuple[str, ...]
    metrics: dict[str, float]


def run(request: IdentifyRequest, callback: IdentifyCallback | None = None, processes: int = 1) -> IdentifyResult:
    """Fit, judge and publish.

    Args:
        request: what to fit, to what.
        callback: hears of the progress.
        processes: that read the episodes.

    Raises:
        MbrlError: the registry is unchanged.
    """
    callback = callback or IdentifyCallback()
    registry = Registry(request.models_dir)
    contract = contract_for(request.task, request.contract)
    try:
        config = IdentifyConfig.model_validate(request.options)
    except ValidationError as error:
        raise MbrlError(
            f"identify options: {describe_validation(error, IdentifyConfig, 'mbrl options identify')}"
        ) from error
    scene = load_scene(contract)
    parameters = find_parameters(config.parameters, scene)
    registry.check_writable(request.task)
    models = registry.root / request.task
    busy = f"a retrain or an identification of this task is running ({models})"
    with only_process(models / LOCK_FILE, busy), tempfile.TemporaryDirectory() as folder:
        dataset = _read(request, contract, callback, processes)
        train, held_out = dataset.data.split_by_episode(config.holdout_fraction)
        windows = cut_windows(train, config.window, config.max_periods)
        judged = cut_windows(held_out, config.window, config.max_periods)
        errors = WindowErrors(scene, contract, train, request.threads)
        callback.on_stage(
            f"fitting {len(parameters)} parameters to {len(windows)} windows of {config.window} control periods; "
            f"judging on {len(judged)}"
        )
        fit = fit_parameters(
            errors, windows, parameters, scene, config.huber, config.max_iterations, callback.on_iteration
        )
        found, warnings = describe(fit, scene)
        before, after = errors.of(judged, [{}, fit.values])
        metrics = _figures("before", before) | _figures("after", after) | {"windows": float(len(windows))}
        if metrics["after_median"] > metrics["before_median"]:
            warnings.append("on the episodes held out, it predicts no better than the scene as it is written")
        card = _package(Path(folder), request, config, contract, scene, dataset, found, warnings, metrics,
                        errors.start.unseen, registry.next_name(request.task))  # fmt: skip
        version = registry.add(request.task, Path(folder), card)
    return IdentifyResult(version, tuple(found), tuple(warnings), metrics)


def _read(request: IdentifyRequest, contract: RobotContract, callback: IdentifyCallback, processes: int) -> Dataset:
    files = files_of_log(request.task, request.episodes)
    if request.world:
        from mbrl_controller.episodes.reader import read_info

        world = world_named(request.world, contract)
        files = [path for path in files if read_info(path).world == world]
        if not files:
            raise DatasetError(f"no episode is of world {world}")
    callback.on_stage("reading episodes")
    callback.on_read_start(len(files))
    dataset = load_dataset(files, contract, callback.on_file_read, processes, parse_mix(request.mix), None, cache_dir())
    dataset.data.require(MIN_EPISODES, MIN_EPISODES, "data")
    return dataset


def _figures(name: str, errors: np.ndarray) -> dict[str, float]:
    """Root mean square, and median size, of errors [W, H, S]."""
    return {
        f"{name}_nrmse": float(np.sqrt(np.mean(np.square(errors)))),
        f"{name}_median": float(np.median(np.sqrt(np.mean(np.square(errors), axis=(1, 2))))),
    }


def _package(
    files: Path,
    request: IdentifyRequest,
    config: IdentifyConfig,
    contract: RobotContract,
    scene: Scene,
    dataset: Dataset,
    found: list[FittedParameter],
    warnings: list[str],
    metrics: dict[str, float],
    unseen: tuple[str, ...],
    name: str,
) -> ModelCard:
    """Write the version's files to the folder `files`; its card."""
    content = Identified(
        task=request.task, robot=contract.file.robot, world=scene.digest, parameters=tuple(found)
    ).model_dump_json(indent=2)
    (files / IDENTIFIED_FILE).write_text(content + "\n")
    spec = ModelSpec.of(contract.task, contract.file.robot, contract.action, 0, ()).model_copy(
        update={
            "version": name,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "data_digest": dataset.data.digest(),
            "transitions": len(dataset.data),
            "metrics": metrics,
        }
    )
    card = ModelCard(
        spec=spec,
        command=command_of(request, config),
        notes=request.notes,
        origins=dataset.origins,
        measured=source_kinds(contract),
        identified=IdentifiedCard(
            sha256=file_sha256(files / IDENTIFIED_FILE),
            world=simulated_world(scene.digest),
            parameters=tuple(found),
            warnings=tuple(warnings),
            unseen=unseen,
        ),
    )
    write_report(files, card, dataset)
    return card


def command_of(request: IdentifyRequest, config: IdentifyConfig) -> str:
    """The command line, for the card."""
    given = config.model_dump(mode="json", exclude_defaults=True)
    settings = "".join(
        f" --set {name}=[{','.join(value)}]" if isinstance(value, list) else f" --set {name}={value}"
        for name, value in given.items()
    )
    mix = f" --mix {','.join(sorted(request.mix))}" if request.mix else ""
    world = f" --world {request.world}" if request.world else ""
    return f"mbrl identify {request.task}{mix}{world}{settings}"
