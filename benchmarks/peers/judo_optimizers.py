# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""judo's Controller with its MPPI and CEM optimizers; the ensemble takes the place of the MuJoCo rollout."""

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
)

PERIOD = 0.125  # a power of two, so that the horizon is 7 periods exactly


def planners() -> Iterator[tuple[str, Plan, Rows]]:
    import mujoco
    import numpy as np
    import torch
    from judo.controller import Controller, ControllerConfig
    from judo.optimizers.cem import CrossEntropyMethod, CrossEntropyMethodConfig
    from judo.optimizers.mppi import MPPI, MPPIConfig
    from judo.tasks.base import Task, TaskConfig
    from judo.utils.rollout_backend import RolloutBackend

    ensemble = Ensemble()

    class Backend(RolloutBackend):
        """States of all members side by side: (candidates, horizon, members * state)."""

        def __init__(self) -> None:
            self.num_threads = CANDIDATES

        @torch.no_grad()
        def rollout(self, x0, controls, last_policy_output=None):
            start = torch.from_numpy(x0.astype(np.float32))
            actions = torch.from_numpy(controls.astype(np.float32))
            visited = torch.empty(CANDIDATES, HORIZON, MEMBERS, STATE)
            for member in range(MEMBERS):
                states = start.expand(CANDIDATES, STATE)
                for t in range(HORIZON):
                    states = ensemble.step(member, states, actions[:, t])
                    visited[:, t, member] = states
            return visited.reshape(CANDIDATES, HORIZON, -1).numpy(), np.zeros((CANDIDATES, HORIZON, 0)), None

        def update(self, num_threads: int) -> None:
            raise NotImplementedError

    class Learned(Task[TaskConfig]):
        """A model of 23 sliding joints and 24 motors only gives the sizes; it is never simulated."""

        config_t = TaskConfig

        def __init__(self) -> None:  # the base class would download meshes
            self.config = TaskConfig()
            joint = '<body><joint name="j{0}" type="slide"/><geom size="0.01" contype="0" conaffinity="0"/></body>'
            motor = f'<motor joint="j{{}}" ctrlrange="{-LIMIT} {LIMIT}" ctrllimited="true"/>'
            joints = STATE // 2
            self.model = mujoco.MjModel.from_xml_string(
                f'<mujoco><option timestep="{PERIOD}"/><worldbody>'
                + "".join(joint.format(j) for j in range(joints))
                + "</worldbody><actuator>"
                + "".join(motor.format(j % joints) for j in range(ACTION))
                + "</actuator></mujoco>"
            )
            self.data = mujoco.MjData(self.model)

        def reward(self, states, sensors, controls, system_metadata=None):
            by_member = states.reshape(CANDIDATES, HORIZON, MEMBERS, STATE)
            return reward(by_member).mean(2).sum(1)

    sizes = {"num_rollouts": CANDIDATES, "num_nodes": HORIZON}
    for name, optimizer in (
        ("MPPI", MPPI(MPPIConfig(sigma=SIGMA, temperature=0.1, **sizes), ACTION)),
        ("CEM", CrossEntropyMethod(CrossEntropyMethodConfig(num_elites=ELITES, **sizes), ACTION)),
    ):
        config = ControllerConfig(horizon=HORIZON * PERIOD, spline_order="zero", max_opt_iters=1)
        controller = Controller(config, Learned(), optimizer, rollout_backend=Backend())
        controller.current_state = initial_state().astype(np.float64)

        def plan(controller: Controller = controller) -> np.ndarray:
            controller.time += PERIOD
            controller.update_action()
            return controller.action(controller.time)

        yield name, plan, lambda: ensemble.rows


if __name__ == "__main__":
    report("judo", "judo-rai", planners, "splines of 7 knots, numpy in double precision around the rollout")
