# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Domain randomisation: draws a simulated hand's physics."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from mbrl_controller.simulation.scene import Scene
from mbrl_controller.simulation.sim_options import SimOptions
from mbrl_controller.tasks.spaces import Array


@dataclass(frozen=True)
class Nominal:
    """The model's parameters before randomisation, so that draws do not accumulate over resets."""

    body_mass: Array
    body_inertia: Array
    geom_friction: Array
    pair_friction: Array
    gainprm: Array
    biasprm: Array
    dof_damping: Array
    dof_frictionloss: Array

    @staticmethod
    def of(model: mujoco.MjModel) -> Nominal:
        """Copies of `model`'s parameters."""
        return Nominal(
            model.body_mass.copy(),
            model.body_inertia.copy(),
            model.geom_friction.copy(),
            model.pair_friction.copy(),
            model.actuator_gainprm.copy(),
            model.actuator_biasprm.copy(),
            model.dof_damping.copy(),
            model.dof_frictionloss.copy(),
        )


def randomise_physics(
    model: mujoco.MjModel, nominal: Nominal, scene: Scene, options: SimOptions, rng: np.random.Generator
) -> None:
    """Draw `model`'s object masses, friction and position gains around `nominal`, and set its joints' damping.

    The number of draws does not depend on the options, so a seed's start pose does not either.

    Args:
        model: Changed in place.
        nominal: Parameters to draw around.
        scene: The model's scene.
        options: Ranges of the draws.
        rng: Source of the draws.
    """
    model.body_mass[:], model.body_inertia[:] = nominal.body_mass, nominal.body_inertia
    for name in sorted(scene.objects):
        body = scene.objects[name]
        factor = options.mass_factor * (1 + options.mass * rng.uniform(-1, 1))
        model.body_mass[body] *= factor
        model.body_inertia[body] *= factor
    factor = options.friction_factor * (1 + options.friction * rng.uniform(-1, 1))
    model.geom_friction[:] = nominal.geom_friction * factor
    model.pair_friction[:] = nominal.pair_friction * factor
    gains = options.gain_factor * (1 + options.gain * rng.uniform(-1, 1, model.nu))
    model.actuator_gainprm[:], model.actuator_biasprm[:] = nominal.gainprm, nominal.biasprm
    model.actuator_gainprm[:, 0] *= gains
    model.actuator_biasprm[:, 1] *= gains
    _set_damping(model, nominal, scene, options)
    mujoco.mj_setConst(model, mujoco.MjData(model))  # derived from the masses: inverse weights, subtree masses


def _set_damping(model: mujoco.MjModel, nominal: Nominal, scene: Scene, options: SimOptions) -> None:
    loose = np.array([int(model.jnt_dofadr[joint]) for joint in scene.loose_joints], dtype=np.intp)
    free = np.array([at + i for at in scene.free_qvel.values() for i in range(6)], dtype=np.intp)
    factors = np.full(model.nv, options.damping_factor)
    factors[loose] = options.loose_friction_factor
    factors[free] = 1.0
    model.dof_damping[:] = nominal.dof_damping * factors
    model.dof_frictionloss[:] = nominal.dof_frictionloss
    model.dof_frictionloss[loose] *= options.loose_friction_factor
    model.actuator_biasprm[:, 2] *= options.damping_factor  # of servos with a velocity gain
