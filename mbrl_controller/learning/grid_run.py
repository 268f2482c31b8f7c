# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl ablate`: all cells of a grid on several processes, then one table, record and figure.

The grid's folder has its plan, a folder for each cell, and for arms that learn from nothing the run folders of
`mbrl learn`. The same command goes on where it was stopped or killed, to the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mbrl_controller.base.engine import PROCESSES, checked_engine, workers
from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.files import write_atomically, write_json
from mbrl_controller.base.os_process import usable_cores
from mbrl_controller.base.resources import home_dir
from mbrl_controller.base.run_folder import NAME, PLAN_FILE, mark_done, new_run, only_process
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.learning.grid_cell import STOP_FILE, Cell, Values, judged, run_cell
from mbrl_controller.learning.grid_plan import GridPlan, Source
from mbrl_controller.learning.grid_record import HOLD, Judged, better_of, record
from mbrl_controller.models.registry import Registry
from mbrl_controller.training.dataset import episode_files

RECORD_FILE, FIGURE_FILE = "record.json", "figure.png"


@dataclass(frozen=True)
class GridResult:
    """Where a grid is, and its record; None: it was stopped, and the same command goes on."""

    folder: Path
    record: dict[str, Any] | None


def run(
    plan: GridPlan,
    name: str,
    *,
    runs_dir: Path | None = None,
    models_dir: Path | None = None,
    processes: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    on_cell: Callable[[str, int, int], None] = lambda name, done, total: None,
    on: str = PROCESSES,
) -> GridResult:
    """Run what is missing of a grid, and write its record and figure.

    Args:
        plan: what is compared.
        name: of its folder; one that is there goes on, if it has the same plan.
        runs_dir: None: runs/ below `home_dir()`.
        models_dir: registry of a version that is judged; None: the user's.
        processes: cells at a time; None: one for each core.
        should_stop: asked several times a second.
        on_cell: called with a finished cell's name, and how many are done and in all.
        on: what cells run on, as in base/engine.py; its machines must share the grid's folder.

    Raises:
        MbrlError: something does not exist or fit, or failed; what is done is kept.
    """
    checked_engine(on)
    if not NAME.match(name):
        raise MbrlError(f"run name {name!r}: use letters, digits, '_', '.', '-'")
    folder = (runs_dir or home_dir() / "runs") / "ablate" / name
    about = begins_with(plan.task, plan.source, models_dir)
    cells = make_cells(plan, folder, models_dir, str(about.get("version", "")))
    specs = parse_contract(cells[0].plan.contract, "", cells[0].plan.contract_folder).task.metric_specs
    try:
        better_of(specs, plan.evaluate.metric)
    except ValueError as error:
        raise MbrlError(f"evaluate.metric: {error}, {', '.join(m.name for m in specs if m.better)}") from error
    begin(folder, json.dumps({**plan.model_dump(mode="json", by_alias=True), **about}, indent=2))
    with only_process(folder / ".lock", f"{folder}: this grid is active in another process"):
        if not run_cells(folder, cells, processes, should_stop, on_cell, on):
            return GridResult(folder, None)
        found = record(plan, _arms(plan, cells), judged(cells[-1]), specs, {**about, "machine": _machine()})
        write_json(folder / RECORD_FILE, found)
        from mbrl_controller.learning.grid_figure import draw

        found = json.loads((folder / RECORD_FILE).read_text())
        draw(folder / FIGURE_FILE, _with_nan(found))
        mark_done(folder)
        return GridResult(folder, found)


def make_cells(plan: GridPlan, folder: Path, models_dir: Path | None, version: str = "") -> list[Cell]:
    """The cells of a grid: seed by seed, so that a part of it is already a comparison; the baseline is the last.

    Raises MbrlError for options that do not exist or fit, whichever arm has them.
    """
    source = plan.source._replace(name=version) if version else plan.source

    def cell(name: str, arm: int, seed: int, hold: bool = False) -> Cell:
        learn_plan = plan.learn_plan(plan.arms[arm], seed)
        judging = plan.evaluate
        return Cell(folder, name, learn_plan, source, models_dir, judging.episodes, judging.seed, judging.judge, hold)

    cells = [cell(cell_name(arm.slug, seed), i, seed) for seed in plan.seeds for i, arm in enumerate(plan.arms)]
    return [*cells, cell(HOLD, 0, plan.seeds[0], hold=True)]


def cell_name(arm: str, seed: int) -> str:
    """The name of an arm's cell at a seed, and of its learning run."""
    return f"{arm}-s{seed}"


def begin(folder: Path, plan: str) -> None:
    """Make the folder of a grid with the JSON text `plan`; raises MbrlError where there is one with another plan."""
    path = folder / PLAN_FILE
    if not path.exists():
        new_run(folder.parent, plan, folder.name)
    elif json.loads(path.read_text()) != json.loads(plan):
        raise MbrlError(f"{folder}: another plan, version or data has this name; give this one another with --run NAME")


def run_cells(
    folder: Path,
    cells: Sequence[Cell],
    processes: int | None,
    should_stop: Callable[[], bool],
    on_cell: Callable[[str, int, int], None],
    on: str = PROCESSES,
) -> bool:
    """Run all cells; whether they have finished. Raises MbrlError.

    Args:
        folder: of the grid.
        cells: what to run.
        processes: cells at a time.
        should_stop: asked several times a second.
        on_cell: called with a finished cell's name, and how many are done and in all.
        on: what they run on.
    """
    finished = 0
    amount = min(processes or usable_cores(), len(cells))
    with stop_file(folder / STOP_FILE, should_stop), workers(run_cell, amount, on) as pool:
        for cell, values in zip(cells, pool.results(cells), strict=True):
            if values is not None:
                finished += 1
                on_cell(cell.name, finished, len(cells))
            if finished < len(cells) and should_stop():
                break
    return finished == len(cells)


@contextmanager
def stop_file(path: Path, should_stop: Callable[[], bool]) -> Iterator[None]:
    """Lets other processes know when to stop: `path` exists from the moment at which `should_stop` says so."""
    path.unlink(missing_ok=True)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            if should_stop():
                path.touch()
                return

    watching = threading.Thread(target=watch, name="stop-file", daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
        path.unlink(missing_ok=True)


def keep(folder: Path, target: Path, name: str) -> list[Path]:
    """Copy record and figure of the grid in `folder` to `target` as NAME.json and NAME.png; raises MbrlError."""
    kept = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for file in (RECORD_FILE, FIGURE_FILE):
            path = target / f"{name}{Path(file).suffix}"
            write_atomically(path, (folder / file).read_bytes())
            kept.append(path)
    except OSError as error:
        raise MbrlError(f"{target}: cannot be written: {error.strerror}") from error
    return kept


def begins_with(task: str, source: Source, models_dir: Path | None) -> dict[str, Any]:
    """What runs begin with, told apart by content: a path may hold something else tomorrow. Raises MbrlError."""
    if source.kind == "version":
        version = Registry(models_dir).resolve(task, source.name)
        return {"version": version.name, "digest": version.card().model_sha256}
    if source.kind == "episodes":
        files = episode_files([Path(source.name)])
        sha = hashlib.sha256()
        for file in files:
            sha.update(hashlib.sha256(file.read_bytes()).digest())
        return {"files": len(files), "digest": sha.hexdigest()}
    return {}


def _arms(plan: GridPlan, cells: Sequence[Cell]) -> list[Judged]:
    by_name: dict[str, list[Values]] = {cell.name: judged(cell) for cell in cells}
    return [Judged(arm.name, {s: by_name[cell_name(arm.slug, s)] for s in plan.seeds}) for arm in plan.arms]


def _machine() -> str:
    return f"{platform.machine()}, Python {platform.python_version()}"


def _with_nan(value: Any) -> Any:
    """A record as it was before JSON, which has no NaN."""
    if isinstance(value, dict):
        return {key: _with_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [float("nan") if item is None else _with_nan(item) for item in value]
    return value
