# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Sets a model's contact physics from the options, anew for each episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import mujoco
import numpy as np

from mbrl_controller.simulation.contact_options import ContactOptions
from mbrl_controller.simulation.scene import Scene
from mbrl_controller.tasks.spaces import Array

T = TypeVar("T")
OPTIONS = ("cone", "noslip_iterations", "timestep", "integrator", "impratio")  # of mjOption
TORSIONAL, ROLLING = 1, 2  # columns of a geom's friction
PAIR_TORSIONAL, PAIR_ROLLING = slice(2, 3), slice(3, 5)  # of a pair's, which has both directions


@dataclass(frozen=True)
class ContactPhysics:
    """The physics that the scene gives a model, so that draws do not accumulate over resets."""

    options: dict[str, int | float]
    geom_condim: Array
    geom_solref: Array
    geom_solimp: Array
    pair_condim: Array
    pair_solref: Array
    pair_solimp: Array

    @staticmethod
    def of(model: mujoco.MjModel) -> ContactPhysics:
        """Copies of `model`'s parameters."""
        return ContactPhysics(
            {name: getattr(model.opt, name) for name in OPTIONS},
            model.geom_condim.copy(),
            model.geom_solref.copy(),
            model.geom_solimp.copy(),
            model.pair_dim.copy(),
            model.pair_solref.copy(),
            model.pair_solimp.copy(),
        )

    def set(self, model: mujoco.MjModel, scene: Scene, options: ContactOptions, rng: np.random.Generator) -> None:
        """Draw `model`'s contact physics. `model.geom_friction` and `pair_friction` are those of the scene, or drawn.

        The number of draws does not depend on the options, so that one option does not change another's.

        Args:
            model: Changed in place.
            scene: The model's scene.
            options: What is drawn from.
            rng: Source of the draws, of nothing else.
        """
        for name, value in self.options.items():
            setattr(model.opt, name, value)
        model.geom_condim[:], model.pair_dim[:] = self.geom_condim, self.pair_condim
        model.geom_solref[:], model.pair_solref[:] = self.geom_solref, self.pair_solref
        model.geom_solimp[:], model.pair_solimp[:] = self.geom_solimp, self.pair_solimp
        if (cone := _drawn(options.cone, rng)) is not None:
            model.opt.cone = getattr(mujoco.mjtCone, f"mjCONE_{cone.upper()}")
        if (integrator := _drawn(options.integrator, rng)) is not None:
            model.opt.integrator = getattr(mujoco.mjtIntegrator, f"mjINT_{integrator.upper()}")
        if (iterations := _drawn(options.noslip_iterations, rng)) is not None:
            model.opt.noslip_iterations = iterations
        if (step := _drawn(options.physics_step, rng)) is not None:
            model.opt.timestep = step
        if (ratio := _drawn(options.impedance_ratio, rng)) is not None:
            model.opt.impratio = ratio
        if (seconds := _drawn(options.contact_time, rng)) is not None:
            model.geom_solref[:, 0] = model.pair_solref[:, 0] = seconds
        if (damping := _drawn(options.contact_damping, rng)) is not None:
            model.geom_solref[:, 1] = model.pair_solref[:, 1] = damping
        if (impedance := _drawn(options.contact_impedance, rng)) is not None:
            model.geom_solimp[:, :2] = model.pair_solimp[:, :2] = impedance
        self._set_objects(model, scene, options, rng)

    def _set_objects(
        self, model: mujoco.MjModel, scene: Scene, options: ContactOptions, rng: np.random.Generator
    ) -> None:
        bodies = list(scene.objects.values())
        geoms = np.flatnonzero(np.isin(model.geom_bodyid, bodies))
        pairs = np.flatnonzero(np.isin(model.pair_geom1, geoms) | np.isin(model.pair_geom2, geoms))
        if (dimensions := _drawn(options.condim, rng)) is not None:
            # Of two geoms that touch, the larger one counts: a hand with more than the objects keeps it.
            model.geom_condim[geoms] = model.pair_dim[pairs] = dimensions
        if (torsional := _drawn(options.torsional_friction, rng)) is not None:
            model.geom_friction[geoms, TORSIONAL] = torsional
            model.pair_friction[pairs, PAIR_TORSIONAL] = torsional
        if (rolling := _drawn(options.rolling_friction, rng)) is not None:
            model.geom_friction[geoms, ROLLING] = rolling
            model.pair_friction[pairs, PAIR_ROLLING] = rolling


def _drawn(values: Sequence[T], rng: np.random.Generator) -> T | None:
    """One of `values`; None where there is none."""
    at = rng.random()
    return values[int(at * len(values))] if values else None
