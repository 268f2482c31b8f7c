# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""mbrl-lib's optimizers under its TrajectoryOptimizerAgent, on the ensemble of the other peers.

The last row is MPPI on what the library itself has for this: GaussianMLP, ModelEnv and TS-infinity propagation.
"""

import types
from collections.abc import Callable, Iterator
from typing import Any

from common import (
    ACTION,
    CANDIDATES,
    ELITES,
    HIDDEN,
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
    weights,
)

Evaluation = Callable[[Any, Any], Any]

KEPT = 7  # elites that iCEM adds to the next plan's candidates


def planners() -> Iterator[tuple[str, Plan, Rows]]:
    import numpy as np
    import omegaconf
    import torch
    from mbrl.planning import TrajectoryOptimizerAgent

    ensemble = Ensemble()

    common = {"num_iterations": 1, "lower_bound": "???", "upper_bound": "???", "device": "cpu"}
    elites = {"elite_ratio": ELITES / CANDIDATES, "alpha": 0.1, "return_mean_elites": True}
    options = {
        "MPPI": {"population_size": CANDIDATES, "gamma": 10.0, "sigma": SIGMA, "beta": 0.7},
        "CEM": {"population_size": CANDIDATES, **elites},
        "ICEM": {
            "population_size": CANDIDATES - KEPT,
            "population_decay_factor": 1.3,
            "colored_noise_exponent": 2.0,
            "keep_elite_frac": KEPT / ELITES,
            **elites,
        },
    }

    def agent_of(kind: str, evaluate: Evaluation) -> TrajectoryOptimizerAgent:
        target = {"_target_": f"mbrl.planning.{kind}Optimizer"}
        agent = TrajectoryOptimizerAgent(
            omegaconf.OmegaConf.create({**target, **common, **options[kind]}),
            [-LIMIT] * ACTION,
            [LIMIT] * ACTION,
            HORIZON,
        )
        agent.set_trajectory_eval_fn(evaluate)
        return agent

    @torch.no_grad()
    def on_ensemble(start: np.ndarray, actions: torch.Tensor) -> torch.Tensor:
        return ensemble.returns(torch.from_numpy(start), actions)

    state = initial_state()
    for kind in options:
        agent = agent_of(kind, on_ensemble)
        yield kind.replace("ICEM", "iCEM"), lambda agent=agent: agent.act(state), lambda: ensemble.rows
    own, rows = library_rollout()
    agent = agent_of("MPPI", own)
    yield "MPPI on its ModelEnv", lambda: agent.act(state), rows


def library_rollout() -> tuple[Evaluation, Rows]:
    """Returns of action sequences by the library's own ensemble and environment, and the rows it took."""
    import torch
    from mbrl.models import GaussianMLP, ModelEnv, OneDTransitionRewardModel

    network = GaussianMLP(
        STATE + ACTION,
        STATE,
        "cpu",
        num_layers=2,
        ensemble_size=MEMBERS,
        hid_size=HIDDEN,
        deterministic=True,
        propagation_method="fixed_model",
    )
    linear = [network.hidden_layers[0][0], network.hidden_layers[1][0], network.mean_and_logvar]
    for layer, (w, b) in zip(linear, weights(), strict=True):
        layer.weight.data = torch.from_numpy(w)
        layer.bias.data = torch.from_numpy(b[:, None])

    rows = 0

    def count(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        nonlocal rows
        rows += inputs[0].shape[0] * inputs[0].shape[1]

    network.hidden_layers.register_forward_pre_hook(count)

    def never(_actions: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(states), 1, dtype=torch.bool)

    env = ModelEnv(
        types.SimpleNamespace(observation_space=None, action_space=None),
        OneDTransitionRewardModel(network, target_is_delta=True, learned_rewards=False),
        never,
        lambda _actions, states: reward(states)[:, None],
    )

    def evaluate(start: Any, actions: torch.Tensor) -> torch.Tensor:
        return env.evaluate_action_sequences(actions, start, num_particles=MEMBERS)

    return evaluate, lambda: rows


if __name__ == "__main__":
    report("mbrl-lib", "mbrl", planners, "its ModelEnv deals candidates to members at random")
