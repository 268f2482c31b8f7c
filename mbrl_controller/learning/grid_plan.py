# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What an ablation compares: sets of options ("arms") that differ in one thing, on the same seeds and episodes.

Options have the names that they have in a learning plan (`mbrl learn --set`), whatever an arm begins with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.overrides import deep_merge, unflatten
from mbrl_controller.base.yaml_text import load_yaml
from mbrl_controller.learning.config import ACCEPTANCE_SEEDS, EVALUATION_SEEDS, OWN_SEEDS, LearnPlan
from mbrl_controller.learning.task_plan import make_plan
from mbrl_controller.models.spec import describe_validation

# First seeds of the episodes by which grids judge: no learning run evaluates, accepts or collects with them.
ABLATION_SEEDS = 400_000
SEARCH_SEEDS = 500_000  # a sweep chooses by these,
CONFIRMATION_SEEDS = 600_000  # and what it chose is judged on these

Expectation = Literal["", "better", "worse", "not_worse", "alike"]  # than the first arm
Kind = Literal["nothing", "episodes", "version"]
# What an arm may change where nothing is learnt, and where only a model is: names in a learning plan.
ACTING = frozenset({"planner_name", "planner", "core", "sim", "sim_options", "precision"})
TRAINING = ACTING | {"training", "threads", "mix"}
# Without options: one rounding on every machine, and no second file that might act.
ALWAYS = {"threads": 1, "precision": "fp32"}


class Source(NamedTuple):
    """What an arm begins with: nothing, the episodes at a path, or a model version."""

    kind: Kind
    name: str = ""  # path of the episodes, or the version

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


def parse_source(text: object) -> object:
    """`nothing`, `episodes PATH` or `version NAME`; without a name, the command line gives it. Raises ValueError."""
    if not isinstance(text, str):
        return text
    word, _, name = text.strip().partition(" ")
    kind = next((kind for kind in get_args(Kind) if kind == word), None)
    if kind is None or (kind == "nothing" and name):
        raise ValueError(f"expected nothing, episodes PATH or version NAME, got {text!r}")
    return Source(kind, name.strip() or ("current" if kind == "version" else ""))


class StrictModel(BaseModel):
    """Part of a plan in a file: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


class Arm(StrictModel):
    """One set of options, and what the claim expects of it."""

    name: str = Field(min_length=1, max_length=60)
    options: dict[str, Any] = Field(default_factory=dict, alias="set")
    expect: Expectation = ""

    @property
    def slug(self) -> str:
        """The name as part of a folder's."""
        return re.sub(r"[^\w.-]+", "-", self.name).strip("-.") or "arm"


class Evaluation(StrictModel):
    """The episodes by which arms are judged, all on the same seeds, which nothing may have been chosen by."""

    episodes: int = Field(default=50, ge=1, le=10_000)
    seed: int = Field(default=ABLATION_SEEDS, ge=0)
    metric: str = "return_mean"  # kept_rate, goal_rate, success_<level>, or a metric of the task
    margin: float = Field(default=0.0, ge=0)  # differences up to this do not matter, in the metric's unit
    judge: Literal["last", "best"] = "last"  # which version of a run; the best is chosen on the run's own seeds

    @model_validator(mode="after")
    def _unused(self) -> Evaluation:
        for what, taken in (("evaluates", EVALUATION_SEEDS), ("tests acceptance", ACCEPTANCE_SEEDS)):
            if self.seed < taken + 10_000 and self.seed + self.episodes > taken:
                raise ValueError(f"seed: a learning run {what} with the seeds from {taken} on")
        if self.seed + self.episodes > OWN_SEEDS:
            raise ValueError(f"seed: learning runs collect with the seeds from {OWN_SEEDS} on")
        return self


class GridPlan(StrictModel):
    """An ablation, as its YAML file has it."""

    claim: str = ""
    task: str
    contract: Path | None = None
    source: Annotated[Source, BeforeValidator(parse_source)] = Field(alias="from")
    options: dict[str, Any] = Field(default_factory=dict, alias="set")  # of all arms
    arms: tuple[Arm, ...] = Field(min_length=1, max_length=40)
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1, max_length=100)
    evaluate: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _compares(self) -> GridPlan:
        slugs = [arm.slug for arm in self.arms]
        if len(set(slugs)) < len(slugs) or "hold" in slugs:
            raise ValueError(f"arms: names must differ in their letters and digits, and none be hold: {slugs}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: the same seed twice is no second run")
        if self.source.kind == "version" and len(self.seeds) > 1:
            raise ValueError(
                "seeds: nothing is learnt from a version, so episodes alone repeat: give evaluate.episodes"
            )
        if self.arms[0].expect:
            raise ValueError(f"arms: {self.arms[0].name}: the others are compared with the first; expect nothing of it")
        if not self.evaluate.margin and any(arm.expect == "alike" for arm in self.arms):
            raise ValueError("evaluate.margin: `expect: alike` needs a difference up to which arms are alike")
        return self

    def learn_plan(self, arm: Arm, seed: int) -> LearnPlan:
        """All options of an arm at `seed`; raises MbrlError naming the arm for what does not exist or fit."""
        try:
            return arm_plan(self.task, self.source.kind, [self.options, arm.options], seed, self.contract)
        except MbrlError as error:
            raise MbrlError(f"arm {arm.name!r}: {error}") from error


def arm_plan(task: str, kind: Kind, layers: list[dict[str, Any]], seed: int, contract: Path | None) -> LearnPlan:
    """The learning plan of layers of options, later ones first.

    Args:
        task: to learn.
        kind: what it begins with; from a version, only what acts may be changed, and so on.
        layers: options with dotted or nested names.
        seed: of the run.
        contract: of the robot; None: the task's.

    Raises:
        MbrlError: an option does not exist or fit, or cannot matter.
    """
    settings: dict[str, Any] = {}
    for layer in (ALWAYS, *layers):
        settings = deep_merge(settings, unflatten(layer))
    allowed = {"version": ACTING, "episodes": TRAINING}.get(kind)
    if allowed is not None and (idle := sorted(set(settings) - allowed - set(ALWAYS))):
        raise MbrlError(f"option {idle[0]}: changes nothing {_from(kind)}; possible: {', '.join(sorted(allowed))}")
    if allowed is not None:  # nothing is collected: the task's behaviours may be of another planner
        settings["collect"] = [{"name": "none", "episodes": 1}]
    return make_plan(task, seed=seed, contract=contract, settings=settings)


def read_grid(path: Path, source_name: str = "") -> GridPlan:
    """The plan in a YAML file; paths in it are relative to the file. Raises MbrlError.

    Args:
        path: the file.
        source_name: takes the place of the path of the episodes, or of the version's name.
    """
    given = read_mapping(path)
    try:
        plan = GridPlan.model_validate(given)
    except ValidationError as error:
        raise MbrlError(f"{path}: {describe_validation(error)}") from error
    source, contract = with_paths(path, plan.source, plan.contract, source_name)
    return plan.model_copy(update={"source": source, "contract": contract})


def with_paths(file: Path, source: Source, contract: Path | None, source_name: str) -> tuple[Source, Path | None]:
    """Source and contract of a plan, with whole paths; raises MbrlError where a path is missing or of no use.

    Args:
        file: of the plan, to which its paths are relative.
        source: as the plan has it.
        contract: as the plan has it.
        source_name: takes the place of the path of the episodes, or of the version's name; empty: it does not.
    """
    if source_name:
        if source.kind == "nothing":
            raise MbrlError(f"{file}: its runs learn from nothing: there is no use for {source_name}")
        source = source._replace(name=source_name)
    if source.kind == "episodes":
        if not source.name:
            raise MbrlError(f"{file}: from: episodes: of which folder? Write it there, or give --from PATH")
        episodes = Path(source.name) if source_name else file.parent / source.name
        source = source._replace(name=str(episodes.expanduser().resolve()))
    return source, None if contract is None else (file.parent / contract).resolve()


def read_mapping(path: Path) -> Mapping[str, Any]:
    """The mapping in a YAML file; raises MbrlError."""
    try:
        given = load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MbrlError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # UnicodeDecodeError is one
        raise MbrlError(f"{path}: not YAML: {error}") from error
    if not isinstance(given, dict):
        raise MbrlError(f"{path}: expected a mapping with task, from and so on")
    return given


def _from(kind: Kind) -> str:
    return "where a version only acts" if kind == "version" else "where the episodes are given"
