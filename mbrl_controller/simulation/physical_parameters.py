# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The physical parameters that can be fitted to a log. They are options of the simulated hand, by the same names."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.simulation.contact_physics import ContactPhysics
from mbrl_controller.simulation.randomise import Nominal, randomise_physics
from mbrl_controller.simulation.scene import Scene
from mbrl_controller.simulation.sim_options import SimOptions, checked_options

LATENCY = "command_latency"


@dataclass(frozen=True)
class PhysicalParameter:
    """One number of the physics, and the range in which it is searched for.

    `is_scale`: it is searched for by its logarithm, because twice as much and half as much are equally far. `nominal`:
    what the scene has.
    """

    name: str
    lower: float
    upper: float
    unit: str = ""
    is_scale: bool = True
    nominal: Callable[[Scene], float] = lambda scene: 1.0

    def to_search(self, value: float) -> float:
        """The coordinate in which it is searched for: steps of 0.01 change little anywhere."""
        return math.log(value) if self.is_scale else value / self.upper

    @property
    def ends(self) -> tuple[float, float]:
        """Its range in search coordinates."""
        return self.to_search(self.lower), self.to_search(self.upper)

    def from_search(self, x: float) -> float:
        """Inverse of `to_search`, within the range."""
        value = math.exp(x) if self.is_scale else x * self.upper
        return min(max(value, self.lower), self.upper)


def _of_geoms(field: str, column: int) -> Callable[[Scene], float]:
    def nominal(scene: Scene) -> float:
        return float(np.median(getattr(scene.model, field)[:, column]))

    return nominal


def _of_objects(column: int) -> Callable[[Scene], float]:
    def nominal(scene: Scene) -> float:
        geoms = np.isin(scene.model.geom_bodyid, list(scene.objects.values()))
        return float(np.median(scene.model.geom_friction[geoms, column])) if geoms.any() else 0.01

    return nominal


PARAMETERS: Mapping[str, PhysicalParameter] = {
    parameter.name: parameter
    for parameter in (
        PhysicalParameter("mass_factor", 0.2, 5.0),
        PhysicalParameter("friction_factor", 0.2, 5.0),
        PhysicalParameter("gain_factor", 0.2, 5.0),
        PhysicalParameter("damping_factor", 0.1, 10.0),
        PhysicalParameter("loose_friction_factor", 0.1, 10.0),
        PhysicalParameter(LATENCY, 0.0, 0.1, "s", is_scale=False, nominal=lambda scene: 0.0),
        # From 0.01 s on: MuJoCo takes no less than two of its steps.
        PhysicalParameter("contact_time", 0.01, 0.2, "s", nominal=_of_geoms("geom_solref", 0)),
        PhysicalParameter("contact_damping", 0.1, 5.0, nominal=_of_geoms("geom_solref", 1)),
        PhysicalParameter("contact_impedance", 0.3, 0.99, nominal=_of_geoms("geom_solimp", 0)),
        PhysicalParameter("torsional_friction", 1e-4, 1.0, "m", nominal=_of_objects(1)),
        PhysicalParameter("rolling_friction", 1e-5, 0.1, "m", nominal=_of_objects(2)),
    )
}


def find_parameters(names: tuple[str, ...], scene: Scene) -> list[PhysicalParameter]:
    """Parameters by name; raises MbrlError for one that is unknown, or outside its range in this scene."""
    unknown = [name for name in names if name not in PARAMETERS]
    if unknown:
        raise MbrlError(f"parameters: {', '.join(unknown)} cannot be fitted; known: {', '.join(PARAMETERS)}")
    found = [PARAMETERS[name] for name in names]
    for parameter in found:
        nominal = parameter.nominal(scene)
        if not parameter.lower <= nominal <= parameter.upper:
            raise MbrlError(
                f"parameters: {parameter.name} is {nominal:.4g} in {scene.path}, outside of the range in which it is "
                f"searched for, {parameter.lower:g} to {parameter.upper:g}: leave it out"
            )
    return found


def fitted_options(values: Mapping[str, float]) -> SimOptions:
    """The simulated hand with these parameters, and nothing drawn; raises MbrlError for what is no parameter."""
    unknown = [name for name in values if name not in PARAMETERS]
    if unknown:
        raise MbrlError(f"fitted parameters: {', '.join(unknown)} is not known; known: {', '.join(PARAMETERS)}")
    return checked_options(values, "fitted parameters")


class FittedModels:
    """Models of a scene with other parameters."""

    def __init__(self, scene: Scene) -> None:
        self._scene, self._nominal = scene, Nominal.of(scene.model)
        self._contacts = ContactPhysics.of(scene.model)

    def model(self, values: Mapping[str, float]) -> mujoco.MjModel:
        """A copy of the scene's model with these parameters; raises MbrlError."""
        options, model = fitted_options(values), copy.copy(self._scene.model)
        rng = np.random.default_rng(0)  # nothing is drawn: all ranges are zero
        randomise_physics(model, self._nominal, self._scene, options, rng)
        self._contacts.set(model, self._scene, options, rng)
        return model
