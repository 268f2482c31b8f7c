# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which of a version's heads a controller uses: its policy to act, to propose and to fall back on, its value behind the
horizon, its reward in place of the task's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from mbrl_controller.base.errors import ModelError
from mbrl_controller.control.config import ControllerConfig
from mbrl_controller.models.heads import PolicyHead, RewardHead, ValueHead
from mbrl_controller.planning.base import Planner
from mbrl_controller.planning.linearise import SteppingModel

if TYPE_CHECKING:  # options are read where ONNX Runtime is not loaded
    from mbrl_controller.models.onnx_window import OnnxWindow

Acting = Literal["controller", "distilled"]  # the planner, or the version's policy alone
Asked = Literal["auto", "controller", "distilled"]  # auto: the policy, where the version has one
ASKED: tuple[str, ...] = get_args(Asked)


def who_acts(asked: Asked, model: object) -> Acting:
    """Who is to act with `model`, which has a `policy` if there is one."""
    if asked == "auto":
        return "controller" if getattr(model, "policy", None) is None else "distilled"
    return asked


@dataclass(frozen=True)
class UsedHeads:
    """The heads that a controller plans with; None: not there, or not used."""

    policy: PolicyHead | None = None
    value: ValueHead | None = None
    reward: RewardHead | None = None
    proposes: bool = False  # the policy's plan is a proposal to the planner
    inverse: tuple[OnnxWindow, ...] = ()  # propose, too: commands that lead towards the goal
    replaces: bool = False  # the policy's command replaces a late or failed plan

    def rows(self, horizon: int) -> int:
        """How many control periods ahead the goal must be known, to plan `horizon` steps."""
        rows = horizon
        if self.policy is not None:
            rows = max(rows, self.policy.spec.reach)
        return rows if self.value is None else max(rows, horizon + self.value.spec.reach)


def used_heads(model: object, planner: Planner, config: ControllerConfig, acting: Acting) -> UsedHeads:
    """The heads of `model` that these options use; raises ModelError for one that is asked for and not there.

    Models that are no versions, such as the simulator itself, have no heads.

    Args:
        model: with `policy`, `value`, `reward` and `proposers`, if it has any.
        planner: searches, unless the policy acts.
        config: the controller's options.
        acting: who acts.
    """
    policy: PolicyHead | None = getattr(model, "policy", None)
    value: ValueHead | None = getattr(model, "value", None)
    name = getattr(model, "version", "") or "the model"
    _check_feedback(planner, config, acting)
    if acting == "distilled":
        if policy is None:
            raise ModelError(
                f"policy distilled: {name} has no policy: mbrl distil makes a version with one (mbrl models list)"
            )
        return UsedHeads(policy)
    if not planner.needs_model:
        return UsedHeads()
    if not getattr(model, "predicts", True):
        raise ModelError(f"planner {planner.name}: {name} has no model to plan with; set policy to distilled")
    _check_local_model(model, planner, name)
    if config.fallback == "policy" and policy is None:
        raise ModelError(
            f"fallback policy: {name} has no policy: mbrl distil makes a version with one; or choose fallback auto"
        )
    if config.terminal == "none":
        value = None
    elif value is None:
        raise ModelError(
            f"terminal value: {name} has no value: mbrl distil makes a version with one; or choose terminal none"
        )
    elif not value.spec.discount < 1:
        raise ModelError(f"terminal value: {name} has a value without discount, which has no bound")
    reward = _used_reward(model, planner, config, name)
    proposes = policy is not None and planner.config.uses_proposals
    replaces = policy is not None and config.fallback != "previous_plan"
    inverse = getattr(model, "proposers", ()) if planner.config.uses_proposals else ()
    return UsedHeads(policy if proposes or replaces else None, value, reward, proposes, inverse, replaces)


def _check_feedback(planner: Planner, config: ControllerConfig, acting: Acting) -> None:
    """Raises ModelError where feedback is asked for and there will be no gains."""
    if config.feedback and acting == "distilled":
        raise ModelError("feedback: it corrects plans, and with policy distilled there are none; set feedback to false")
    if config.feedback and not planner.gives_gains:
        raise ModelError(
            f"feedback: planner {planner.name} has no feedback gains; take planner ilqr, or set feedback to false"
        )


def _check_local_model(model: object, planner: Planner, name: str) -> None:
    """Raises ModelError where the planner linearises and the model cannot be."""
    if planner.linearises and not (
        isinstance(model, SteppingModel) and getattr(model, "delta_scale", None) is not None
    ):
        raise ModelError(
            f"planner {planner.name}: it linearises a learned model about any state, and {name} predicts from the "
            "present one alone; take dynamics learned, or another planner"
        )


def _used_reward(model: object, planner: Planner, config: ControllerConfig, name: str) -> RewardHead | None:
    if config.reward == "task":
        return None
    reward: RewardHead | None = getattr(model, "reward", None)
    if reward is None:
        raise ModelError(
            f"reward learned: {name} has no reward: mbrl retrain --set reward=learned makes a version with one; or "
            "choose reward task"
        )
    if planner.needs_gradients or planner.linearises:
        raise ModelError(
            f"reward learned: planner {planner.name} asks for gradients, which a learned reward does not have; choose "
            "one that samples, such as pddm"
        )
    if config.terminal != "none":
        raise ModelError("reward learned: the value behind the horizon is of the task's reward; choose terminal none")
    return reward
