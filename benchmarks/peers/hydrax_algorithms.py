# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""hydrax's MPPI and CEM; the ensemble takes the place of the MuJoCo step, a member that of a domain randomization."""

from collections.abc import Iterator

from common import (
    ACTION,
    CANDIDATES,
    ELITES,
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

PERIOD = 0.125


def planners() -> Iterator[tuple[str, Plan, Rows]]:
    import flax.struct
    import hydrax.algs
    import jax
    import jax.numpy as jnp
    import mujoco
    import numpy as np
    import torch
    from hydrax.alg_base import SamplingBasedController, Trajectory
    from hydrax.task_base import Task

    jax.config.update("jax_compilation_cache_dir", None)  # hydrax sets a folder of its own
    layers = [(jnp.asarray(w), jnp.asarray(b)) for w, b in weights()]
    state = jnp.asarray(initial_state())
    traced_rows = 0  # of one step, counted while it is compiled
    plans = 0

    def networks(states: jax.Array, actions: jax.Array) -> jax.Array:
        """Next states (members, candidates, 46)."""
        nonlocal traced_rows
        traced_rows = states.shape[0] * states.shape[1]
        after = []
        for member in range(MEMBERS):
            (w1, b1), (w2, b2), (w3, b3) = [(w[member], b[member]) for w, b in layers]
            hidden = jax.nn.relu(jnp.concatenate((states[member], actions), 1) @ w1 + b1)
            hidden = jax.nn.relu(hidden @ w2 + b2)
            after.append(states[member] + hidden @ w3 + b3)
        return jnp.stack(after)

    class Learned(Task):
        """A model of 24 motors on one joint only gives the sizes; it is never simulated."""

        def __init__(self) -> None:
            motor = f'<motor joint="j" ctrlrange="{-LIMIT} {LIMIT}" ctrllimited="true"/>'
            body = '<body><joint name="j" type="slide"/><geom size="0.01"/></body>'
            options = f'<option timestep="{PERIOD}"/>'
            super().__init__(
                mujoco.MjModel.from_xml_string(
                    f"<mujoco>{options}<worldbody>{body}</worldbody><actuator>{motor * ACTION}</actuator></mujoco>"
                )
            )

        def running_cost(self, state, control):
            return -reward(state)

        def terminal_cost(self, state):
            return jnp.zeros(state.shape[:-1])

    class OnEnsemble(SamplingBasedController):
        def rollout_with_randomizations(self, state, tk, knots, rng):
            controls = self.interp_func(jnp.linspace(tk[0], tk[-1], self.ctrl_steps), tk, knots)

            def step(states: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
                after = networks(states, action)
                return after, self.task.running_cost(after, action)

            start = jnp.broadcast_to(state.states, (MEMBERS, CANDIDATES, STATE))
            final, costs = jax.lax.scan(step, start, controls.swapaxes(0, 1))
            costs = jnp.append(
                costs, self.task.terminal_cost(final)[None], axis=0
            )  # (horizon + 1, members, candidates)
            costs = self.risk_strategy.combine_costs(jnp.moveaxis(costs, 1, 0)).T
            return Trajectory(controls=controls, knots=knots, costs=costs, trace_sites=jnp.zeros((CANDIDATES, 0, 3)))

    @flax.struct.dataclass
    class Measured:
        time: jax.Array
        states: jax.Array

    class OnEnsembleMPPI(OnEnsemble, hydrax.algs.MPPI):
        pass

    class OnEnsembleCEM(OnEnsemble, hydrax.algs.CEM):
        pass

    task = Learned()
    sizes = {"num_samples": CANDIDATES, "plan_horizon": HORIZON * PERIOD, "num_knots": HORIZON, "spline_type": "zero"}
    reference = Ensemble(onednn=False)
    for name, controller in (
        ("MPPI", OnEnsembleMPPI(task, noise_level=SIGMA, temperature=0.1, **sizes)),
        ("CEM", OnEnsembleCEM(task, num_elites=ELITES, sigma_start=SIGMA, sigma_min=0.1, **sizes)),
    ):
        optimize = jax.jit(controller.optimize)
        params = controller.init_params()
        _, rollouts = optimize(Measured(jnp.float32(0.0), state), params)
        actions = torch.from_numpy(np.array(rollouts.controls))
        returns = reference.returns(torch.from_numpy(initial_state()), actions).numpy()
        if not np.allclose(-np.asarray(rollouts.costs).sum(1), returns, atol=1e-5):
            raise AssertionError("the rollout in jax is not that in torch")
        now = {"params": params, "time": 0.0}

        def plan(optimize=optimize, controller=controller, now=now) -> np.ndarray:
            nonlocal plans
            now["time"] += PERIOD
            now["params"], _ = optimize(Measured(jnp.float32(now["time"]), state), now["params"])
            plans += 1
            return np.asarray(controller.get_action(now["params"], now["time"]))

        yield name, plan, lambda: plans * traced_rows * HORIZON


if __name__ == "__main__":
    report("hydrax", "hydrax", planners, "rollout compiled by XLA, not in torch")
