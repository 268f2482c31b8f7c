# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl fit`: from a log to a version with models of windows beside its model.

It takes seconds to minutes and begins anew if it is stopped; the registry gets the version whole, or not at all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from mbrl_controller.base.cache_folder import cache_dir
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.dynamics.head_config import HeadTrainConfig
from mbrl_controller.dynamics.head_export import export_head
from mbrl_controller.dynamics.head_trainer import FittedHead, train_head
from mbrl_controller.dynamics.window_config import WindowFitConfig
from mbrl_controller.dynamics.window_data import WindowData
from mbrl_controller.models.card import HEAD_FILES, Version
from mbrl_controller.models.heads import HeadCard, HeadKind, HeadSpec
from mbrl_controller.models.new_heads import add_heads
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.models.window_kinds import KINDS, WindowName
from mbrl_controller.training.dataset import Dataset, files_of_log, load_dataset

REPORT = "report.md"


@dataclass(frozen=True)
class FitRequest:
    """What a person asks for. None: the default."""

    task: str
    kinds: Sequence[WindowName]
    model: str = "current"
    episodes: Sequence[Path] | None = None  # files and folders; None: all of this user's
    models_dir: Path | None = None
    contract: Path | None = None
    options: dict[str, Any] = field(default_factory=dict)  # of WindowFitConfig
    mix: Collection[str] = ()
    notes: str = ""
    threads: int = 1


@dataclass(frozen=True)
class FitResults:
    """The version, and each kind's metrics on the episodes held out."""

    version: Version
    metrics: dict[WindowName, dict[str, float]]


def run(request: FitRequest, on_stage: Callable[[str], None] = lambda text: None, processes: int = 1) -> FitResults:
    """Read, train and publish.

    Args:
        request: which kinds, from which episodes.
        on_stage: hears of each part of the work.
        processes: that read the episodes.

    Raises:
        MbrlError: the registry is unchanged.
    """
    config = fit_config(request.options)
    registry = Registry(request.models_dir)
    contract = contract_for(request.task, request.contract)
    registry.check_writable(request.task)
    version = registry.resolve(request.task, request.model)
    version.check_digest()
    specs = {kind: window_spec(kind, contract, config) for kind in dict.fromkeys(request.kinds)}
    dataset = read_log(request.task, request.episodes, contract, request.mix, on_stage, processes)
    train, held_out = dataset.data.split_by_episode(config.holdout_fraction)  # as for a model of dynamics
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory() as name:
        files, cards = Path(name), dict[HeadKind, HeadCard]()
        old = version.folder / REPORT
        report = [old.read_text()] if old.is_file() else []
        for kind, spec in specs.items():
            on_stage(f"training {kind}: {KINDS[kind].question}")
            fitted, count = fit_window(kind, spec, train, held_out, contract, config, request.threads)
            update = {"created": created, "limit": fitted.metrics.get("limit")}
            file = export_head(fitted.network, files / HEAD_FILES[kind], spec.model_copy(update=update))
            figures = fitted.metrics | {"windows": float(count)}
            cards[kind] = HeadCard(
                sha256=file.sha256,
                kind="log",
                command=command_of(request, config),
                figures={key: value for key, value in figures.items() if np.isfinite(value)},
                created=created,
            )
            report.append(_section(kind, spec, figures))
        (files / REPORT).write_text("\n".join(report))
        added = add_heads(
            registry,
            request.task,
            version.name,
            files,
            cards,
            created=created,
            command=command_of(request, config),
            notes=request.notes,
        )
    return FitResults(added, {kind: cards[kind].figures for kind in specs})


def fit_config(options: dict[str, Any]) -> WindowFitConfig:
    """Checked options; raises MbrlError."""
    try:
        return WindowFitConfig.model_validate(options)
    except ValidationError as error:
        raise MbrlError(f"fit options: {describe_validation(error, WindowFitConfig, 'mbrl options fit')}") from error


def window_spec(kind: WindowName, contract: RobotContract, config: WindowFitConfig) -> HeadSpec:
    """What is to be fitted; raises ModelError."""
    of = KINDS[kind]
    return HeadSpec.of(
        kind,
        contract.task,
        contract.file.robot,
        contract.action,
        (),
        () if of.is_density else config.hidden,
        horizon=config.steps or of.steps,
        components=config.components or of.components,
        members=config.members,
    )


def read_log(
    task: str,
    episodes: Sequence[Path] | None,
    contract: RobotContract,
    mix: Collection[str] = (),
    on_stage: Callable[[str], None] = lambda text: None,
    processes: int = 1,
) -> Dataset:
    """The transitions of a log, None: of this user's; raises EpisodeError and DatasetError."""
    files = files_of_log(task, episodes)
    on_stage(f"reading {len(files)} episodes")
    return load_dataset(files, contract, processes=processes, mix=mix, cache=cache_dir())


def fit_window(
    kind: WindowName,
    spec: HeadSpec,
    train: TransitionSet,
    held_out: TransitionSet | None,
    contract: RobotContract,
    config: WindowFitConfig,
    threads: int = 1,
) -> tuple[FittedHead, int]:
    """The fitted network, and from how many windows; raises DatasetError.

    Args:
        kind: what is given and asked.
        spec: of the network.
        train: to learn from.
        held_out: when to stop, and what the metrics are of; None: a share of `train`.
        contract: of the robot.
        config: of the training.
        threads: torch threads.
    """
    if held_out is None:
        train, held_out = train.split_by_episode(config.holdout_fraction)
    data, apart = WindowData.split(train, held_out, kind, spec.horizon)
    rate = config.learning_rate or (0.01 if KINDS[kind].is_density else 0.001)
    training = HeadTrainConfig(
        learning_rate=rate,
        batch=config.batch,
        max_epochs=config.max_epochs,
        patience=config.patience,
        seed=config.seed,
    )
    symmetries = tuple(contract.task.symmetries) if config.symmetries else ()
    return train_head(data, spec, training, held_out=apart, symmetries=symmetries, threads=threads), len(data)


def command_of(request: FitRequest, config: WindowFitConfig) -> str:
    """The command line, for the card."""
    given = config.model_dump(mode="json", exclude_defaults=True)
    settings = "".join(f" --set {name}={value}".replace(", ", ",") for name, value in given.items())
    kinds = "".join(f" --kind {kind}" for kind in request.kinds)
    mix = f" --mix {','.join(sorted(request.mix))}" if request.mix else ""
    return f"mbrl fit {request.task}{kinds} --model {request.model}{mix}{settings}"


def _section(kind: WindowName, spec: HeadSpec, figures: dict[str, float]) -> str:
    rows = "".join(f"| {name} | {value:.4g} |\n" for name, value in figures.items())
    of = f"Windows of {spec.horizon} control periods, {spec.members} members of {spec.components} components"
    title = f"\n## {kind}: {KINDS[kind].question}\n"
    return f"{title}\n{of}. On episodes held out:\n\n| figure | value |\n|---|---|\n{rows}"
