# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""pytorch-mppi's MPPI and KMPPI; a member is one of its rollout samples."""

from collections.abc import Iterator

from common import (
    ACTION,
    CANDIDATES,
    HORIZON,
    LIMIT,
    MEMBERS,
    SIGMA,
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
    from pytorch_mppi import KMPPI, MPPI

    ensemble = Ensemble()
    state = torch.from_numpy(initial_state())

    def dynamics(states: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Rows come member after member."""
        parts = zip(states.chunk(MEMBERS), actions.chunk(MEMBERS), strict=True)
        return torch.cat([ensemble.step(member, s, a) for member, (s, a) in enumerate(parts)])

    def cost(states: torch.Tensor, _actions: torch.Tensor) -> torch.Tensor:
        return -reward(states)

    for name, kind in (("MPPI", MPPI), ("KMPPI", KMPPI)):
        planner = kind(
            dynamics,
            cost,
            STATE,
            SIGMA**2 * torch.eye(ACTION),
            num_samples=CANDIDATES,
            horizon=HORIZON,
            lambda_=0.1,
            u_min=torch.full((ACTION,), -LIMIT),
            u_max=torch.full((ACTION,), LIMIT),
            rollout_samples=MEMBERS,
        )

        @torch.no_grad()
        def plan(planner: MPPI = planner) -> torch.Tensor:
            return planner.command(state)

        yield name, plan, lambda: ensemble.rows


if __name__ == "__main__":
    report("pytorch-mppi", "pytorch-mppi", planners, "also computes the variance of costs over the members")
