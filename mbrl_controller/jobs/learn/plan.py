"""Everything that decides a learning run, seed included; kept in its folder, so that resuming depends on nothing else.

What a run does follows from its plan and from nothing that may change later: configuration files are read once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mbrl_controller.control.core import CoreConfig
from mbrl_controller.dynamics.training import TrainConfig
from mbrl_controller.episodes.contract import RobotContract, parse_contract
from mbrl_controller.errors import GoalError, MbrlError
from mbrl_controller.jobs.task_defaults import contract_for, planner_defaults, task_defaults
from mbrl_controller.jobs.workers import default_processes
from mbrl_controller.model_spec import describe_validation
from mbrl_controller.planning.catalog import make_planner

# Seeds of episodes: a run's own begin at OWN_SEEDS, so that no run ever collects what it is judged on.
EVALUATION_SEEDS = 100_000
ACCEPT_SEEDS = 200_000
OWN_SEEDS = 10_000_000
MOST_ROUNDS = 900
NESTED = ("training", "warm_training", "planner", "core")  # options with options of their own


class LearnPlan(BaseModel):
    """How a run learns. Which options there are, and what they mean; a task's own values are in config/tasks.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    contract: str = Field(description="YAML text")
    seed: int = Field(default=0, ge=0, lt=100_000, description="of episodes, planner, noise and training")

    rounds: int | None = Field(default=None, ge=1, le=MOST_ROUNDS, description="trainings; None: as `points` asks for")
    points: int | None = Field(default=None, ge=1, description="control steps of experience after which it ends")

    random_episodes: int = Field(default=60, ge=2, le=2500, description="episodes of random motion, for each scale")
    random_scales: tuple[float, ...] = Field(
        default=(1.0,), min_length=1, max_length=4, description="sizes of random motion, 0 to 1"
    )
    random_seconds: float | None = Field(default=None, gt=0, description="their length, s; None: the task's")

    episodes: int = Field(default=40, ge=1, le=2500, description="episodes with the planner in a round")
    seconds: float | None = Field(default=None, gt=0, description="their length, s; None: the task's")
    explore_share: float = Field(default=0.5, ge=0, le=1, description="share of them with noise on the action")
    exploration: float = Field(default=0.2, ge=0, le=1, description="its deviation, normalised actions")
    through_ros: bool = Field(default=False, description="collect through the running nodes, in real time")
    sim: Literal["nominal", "perturbed"] = Field(default="nominal", description="simulated hand, in evaluation too")
    goal_options: dict[str, Any] = Field(default_factory=dict, description="fixed of the goals it collects with")

    # What makes collecting easier or wider than what is asked in the end; evaluation never has any of it.
    period_start: float | None = Field(default=None, gt=0.5, description="s a turn in the first round; None: its own")
    period_rounds: int = Field(default=5, ge=1, description="rounds until the goals have the task's own period")
    lead: float | None = Field(
        default=None, gt=0, lt=3.1, description="rad; targets wait when so far ahead of the balls"
    )
    start_spread: float = Field(default=0.0, ge=0, le=3.15, description="balls start turned by up to so much, rad")
    spread_share: float = Field(default=0.5, ge=0, le=1, description="share of the episodes that start so")

    training: TrainConfig = TrainConfig()
    start: Literal["fresh", "warm"] = Field(default="fresh", description="warm: from the weights that collected last")
    fresh_every: int = Field(default=0, ge=0, description="where warm: a fresh training every so many rounds; 0: never")
    warm_training: dict[str, Any] = Field(default_factory=dict, description="training options of warm rounds alone")
    recent_rounds: int = Field(default=1, ge=1, description="rounds that recent_share counts as recent")
    recent_share: float = Field(
        default=0.0, ge=0, le=1, description="least share of recent episodes in a training; older ones are left out"
    )
    precision: Literal["auto", "fp32"] = Field(default="auto", description="auto: plan in 8 bit where it plans alike")
    threads: int = Field(default=1, ge=1, description="CPU threads of training; another number rounds differently")

    planner_name: Literal["pddm", "cem", "icem", "random_shooting"] = "pddm"
    planner: dict[str, Any] = Field(default_factory=dict, description="the planner's options")
    core: CoreConfig = CoreConfig()

    accept: Literal["always", "not_worse"] = Field(
        default="always", description="not_worse: the best version collects on when a new one controls clearly worse"
    )
    accept_episodes: int = Field(default=8, ge=1, le=10_000, description="to judge that by, on seeds of their own")
    accept_margin: float = Field(default=0.1, ge=0, description="clearly worse: so much of the best return below it")

    evaluate_every: int = Field(default=1, ge=1, description="rounds between evaluations; the last is always evaluated")
    evaluate_episodes: int = Field(default=20, ge=1, le=10_000, description="on held-out seeds, without noise")
    evaluation_seed: int = Field(default=EVALUATION_SEEDS, ge=0, description="the first of the held-out seeds")

    @model_validator(mode="after")
    def _ends(self) -> LearnPlan:
        if self.rounds is None and self.points is None:
            raise ValueError("a run needs an end: rounds, points or both")
        if self.evaluation_seed + self.evaluate_episodes > OWN_SEEDS:
            raise ValueError(f"evaluation_seed: held-out seeds must lie below {OWN_SEEDS}, where collecting begins")
        return self

    def is_last(self, number: int, points: int) -> bool:
        """Whether the run ends with round `number`, which learns from `points`."""
        by_points = self.points is not None and points >= self.points
        return by_points or number >= (MOST_ROUNDS if self.rounds is None else self.rounds)

    def start_of(self, number: int) -> Literal["fresh", "warm"]:
        """What the training of round `number` starts from."""
        anew = number == 1 or (self.fresh_every and (number - 1) % self.fresh_every == 0)
        return "fresh" if anew else self.start

    def training_of(self, number: int) -> TrainConfig:
        """How round `number` trains: each with a seed of its own."""
        options = self.warm_training if self.start_of(number) == "warm" else {}
        return TrainConfig.model_validate({**self.training.model_dump(), **options, "seed": self.seed * 1000 + number})


def make_plan(
    task: str, *, seed: int = 0, contract: Path | None = None, settings: dict[str, Any] | None = None
) -> LearnPlan:
    """The plan for `task`: the plan's own defaults, below config/tasks.yaml's, below `settings`.

    In `settings` an option of an option has a dotted name (`training.max_epochs`). Raises MbrlError naming what does
    not exist or fit.
    """
    asked = nested(settings or {})
    robot, defaults = contract_for(task, contract), task_defaults(task)
    given = merged(nested(defaults.learning), asked)
    if "points" in asked and "rounds" not in asked:
        given.pop("rounds", None)  # the task's own number of rounds is an end for those who name none
    name = given.get("planner_name", "pddm")
    planning = planner_defaults(task, name)
    base = {
        "training": defaults.training,
        "planner": planning.planner_options,
        "core": planning.core.model_dump(),
        "threads": default_processes(),
    }
    try:
        plan = LearnPlan.model_validate(
            {**merged(base, given), "task": task, "contract": robot.text, "seed": seed}, strict=False
        )
    except ValidationError as error:
        raise MbrlError(f"learning options: {describe_validation(error)}") from error
    planner = make_planner(plan.planner_name, len(robot.action), plan.planner)
    _check(plan, robot)
    return plan.model_copy(update={"planner": planner.config.model_dump(mode="json")})


def _check(plan: LearnPlan, robot: RobotContract) -> None:
    """Raises MbrlError for what would fail only rounds later."""
    try:
        for number in (1, 2, MOST_ROUNDS):
            robot.task.sample_goal(np.random.default_rng(0), **goal_options(plan, number))
            plan.training_of(number)
        if plan.start_spread:
            robot.task.turn_objects(np.zeros((2, 3)), 0.0)
    except ValidationError as error:
        raise MbrlError(f"learning options: warm_training: {describe_validation(error)}") from error
    except (MbrlError, TypeError, ValueError) as error:
        raise MbrlError(f"learning options: {error}") from error


def goal_options(plan: LearnPlan, number: int) -> dict[str, Any]:
    """What is fixed of the goals that round `number` collects with; raises GoalError where the task has no period."""
    options = dict(plan.goal_options)
    if plan.period_start is not None and number <= plan.period_rounds:
        own = getattr(parse_contract(plan.contract).task, "period", None)
        if own is None:
            raise GoalError(f"period_start: the goals of {plan.task} have no period")
        options["period"] = plan.period_start + (own - plan.period_start) * (number - 1) / plan.period_rounds
    return options if plan.lead is None else {**options, "lead": plan.lead}


def nested(settings: dict[str, Any]) -> dict[str, Any]:
    """`{"training.batch": 64}` as `{"training": {"batch": 64}}`."""
    result: dict[str, Any] = {}
    for name, value in settings.items():
        outer, dot, inner = name.partition(".")
        result = merged(result, {outer: nested({inner: value})} if dot else {name: value})
    return result


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Options of both, `above` winning; those of NESTED and of their options are merged likewise."""
    result = dict(below)
    for name, value in above.items():
        both = isinstance(value, dict) and isinstance(result.get(name), dict) and name in (*NESTED, "risk")
        result[name] = merged(result[name], value) if both else value
    return result
