# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""torchrl's MPPIPlanner and CEMPlanner on a ModelBasedEnvBase whose observation holds the states of all members."""

from collections.abc import Iterator

from common import (
    ACTION,
    CANDIDATES,
    ELITES,
    HORIZON,
    LIMIT,
    MEMBERS,
    STATE,
    Ensemble,
    Plan,
    Rows,
    initial_state,
    report,
    reward,
)


def planners() -> Iterator[tuple[str, Plan, Rows]]:
    import torch
    from tensordict import TensorDict, TensorDictBase
    from tensordict.nn import TensorDictModule
    from torchrl.data import Bounded, Composite, Unbounded
    from torchrl.envs.model_based import ModelBasedEnvBase
    from torchrl.modules import CEMPlanner, MPPIPlanner

    ensemble = Ensemble()

    def world(states: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        after = torch.stack([ensemble.step(m, states[..., m, :], action) for m in range(MEMBERS)], -2)
        return after, reward(after).mean(-1, keepdim=True)

    class Env(ModelBasedEnvBase):
        def __init__(self) -> None:
            super().__init__(TensorDictModule(world, in_keys=["states", "action"], out_keys=["states", "reward"]))
            self.observation_spec = Composite(states=Unbounded((MEMBERS, STATE)))
            self.state_spec = Composite(states=Unbounded((MEMBERS, STATE)))
            self.action_spec = Bounded(-LIMIT, LIMIT, (ACTION,))
            self.reward_spec = Unbounded((1,))

        def _reset(self, tensordict: TensorDictBase | None = None, **_: object) -> TensorDictBase:
            raise NotImplementedError

    class ReturnAsAdvantage(torch.nn.Module):
        """What a trajectory is worth by its rewards alone; a value network would be work that no other peer does."""

        def forward(self, rollout: TensorDictBase) -> TensorDictBase:
            rewards = rollout["next", "reward"]
            return rollout.set("advantage", rewards.sum(-2, keepdim=True).expand_as(rewards))

    env = Env()
    start = TensorDict({"states": torch.from_numpy(initial_state()).expand(MEMBERS, STATE).clone()})
    start["done"] = start["terminated"] = torch.zeros(1, dtype=torch.bool)
    sizes = {
        "planning_horizon": HORIZON,
        "optim_steps": 1,
        "num_candidates": CANDIDATES,
        "top_k": ELITES,
    }
    mppi = MPPIPlanner(env, ReturnAsAdvantage(), temperature=1.0, **sizes)
    cem = CEMPlanner(env, **sizes)
    for name, planner in (("MPPI", mppi), ("CEM", cem)):

        @torch.no_grad()
        def plan(planner: torch.nn.Module = planner) -> torch.Tensor:
            return planner(start.clone())["action"]

        yield name, plan, lambda: ensemble.rows


if __name__ == "__main__":
    report("torchrl", "torchrl", planners, "returns instead of a value network; every plan starts from a mean of zero")
