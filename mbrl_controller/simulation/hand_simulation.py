# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A simulated hand without ROS: reset, command, step, and true measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.simulation.contact_physics import ContactPhysics
from mbrl_controller.simulation.disturbance import CommandDisturbance
from mbrl_controller.simulation.randomise import Nominal, randomise_physics
from mbrl_controller.simulation.scene import Scene, load_scene, steps_in
from mbrl_controller.simulation.sim_options import NOMINAL, SimOptions
from mbrl_controller.simulation.start import draw_start, held_controls, start_qpos
from mbrl_controller.tasks.spaces import Array

START_ATTEMPTS = 20
CONTACT_DRAWS = 2  # their stream of a seed; 1 is the first measurement's noise
DIVERGED = (
    mujoco.mjtWarning.mjWARN_BADQPOS,
    mujoco.mjtWarning.mjWARN_BADQVEL,
    mujoco.mjtWarning.mjWARN_BADQACC,
)


@dataclass(frozen=True)
class Snapshot:
    """Everything that determines how the simulation continues, except the physics' parameters."""

    time: float  # s
    qpos: Array  # [nq]
    qvel: Array  # [nv]
    act: Array  # [na]
    ctrl: Array  # [nu]
    warmstart: Array  # [nv], the solver's
    sensors: Array  # [nsensordata], of the last physics step


@dataclass(frozen=True)
class ObjectState:
    """Pose and twist of a free object, all in the world frame."""

    position: Array  # [3] m
    orientation: Array  # [4] w, x, y, z
    velocity: Array  # [3] m/s
    angular_velocity: Array  # [3] rad/s


class HandSimulation:
    """The contract's hand in its task's world. Time is 0 when the objects have settled."""

    def __init__(self, contract: RobotContract, options: SimOptions = NOMINAL) -> None:
        self.contract = contract
        self.options = options
        self.scene: Scene = load_scene(contract, keep_tendons=options.tendons == "kept")
        for step in options.physics_step:
            steps_in(contract.action.period, step)
        self.model = self.scene.model
        self.data = mujoco.MjData(self.model)
        self._nominal = Nominal.of(self.model)
        self._contacts = ContactPhysics.of(self.model)
        self._due = 0.0
        self._disturbance = CommandDisturbance(options, len(contract.action))
        self.reset(0)

    @property
    def time(self) -> float:
        """Seconds since the reset."""
        return float(self.data.time)

    def reset(self, seed: int) -> Array:
        """Begin an episode with physics and start drawn from `seed`; returns the settled state [S]."""
        rng = np.random.default_rng(seed)
        self._disturbed = False  # while the objects settle
        self._disturbance.reset(seed)
        randomise_physics(self.model, self._nominal, self.scene, self.options, rng)
        # Draws of its own: the start of a seed is the same in every world.
        self._contacts.set(self.model, self.scene, self.options, np.random.default_rng([seed, CONTACT_DRAWS]))
        start = start_qpos(self.scene, self.contract)
        hold = held_controls(self.scene, start)
        for _ in range(START_ATTEMPTS):
            mujoco.mj_resetData(self.model, self.data)
            self.data.qpos[:] = draw_start(start, self.scene, self.contract, self.options, rng)
            self.data.ctrl[:] = hold
            self._settle_activations()
            self._pass(round(self.scene.file.start.settle / self.model.opt.timestep))
            if self.scene.reader.needs_sensors and not self.scene.file.start.settle:
                mujoco.mj_forward(self.model, self.data)
            # Draw again if the object is lost while settling.
            if not self.contract.task.at_risk(self.state()):
                break
        else:
            raise MbrlError(
                f"simulation: in {START_ATTEMPTS} draws no start keeps the object (seed {seed}); "
                "is the start noise too large, or does the contract's neutral pose differ from the hand's start pose?"
            )
        self.data.time = 0.0
        self._due = 0.0
        self._disturbed = self._disturbance.is_on
        return self.state()

    def _settle_activations(self) -> None:
        """Let actuators with a filter begin where their controls are."""
        for i in np.flatnonzero(self.model.actuator_actnum == 1):
            self.data.act[self.model.actuator_actadr[i]] = self.data.ctrl[i]

    def state(self) -> Array:
        """True state [S], in the task's layout and units."""
        return self.scene.reader.read(self.data.qpos, self.data.qvel, self.data.sensordata)

    def command(self, target: Array) -> Array:
        """Hold `target` [A] (rad), limited to what the joints can reach in one period; returns the limited target."""
        target = np.asarray(target, dtype=float)
        if target.shape != (len(self.contract.action),) or not np.isfinite(target).all():
            raise MbrlError(f"simulation: a command needs {len(self.contract.action)} finite joint targets")
        held = self.contract.action.limit(target, self.joint_positions)
        self.data.ctrl[self.scene.hand.actuators] = self.scene.hand.controls(held)
        # Without a warm start, a control step depends only on position, velocity and target, so that the oracle and a
        # restored snapshot reproduce it bit for bit.
        self.data.qacc_warmstart[:] = 0.0
        return held

    def step(self, target: Array) -> Array:
        """Command `target` [A] (rad) and simulate one control period; returns the state [S]."""
        self.command(target)
        self._pass(self.scene.substeps)
        return self.state()

    def advance(self, seconds: float) -> int:
        """Simulate `seconds` with the held command, in whole physics steps; the rest is added to the next call.

        Returns the number of physics steps.
        """
        self._due += seconds
        steps = int(self._due / self.model.opt.timestep + 1e-6)
        self._due -= steps * self.model.opt.timestep
        if steps > 0:
            self._pass(steps)
        return max(steps, 0)

    def _pass(self, steps: int) -> None:
        began = self.time
        if self._disturbed:
            self._pass_disturbed(steps)
        else:
            mujoco.mj_step(self.model, self.data, nstep=steps)
        # On divergence MuJoCo restarts from its default pose and only counts a warning.
        if any(self.data.warning[int(kind)].number for kind in DIVERGED):
            raise MbrlError(f"simulation: the physics diverged after {began:.3f} s; reset it")

    def _pass_disturbed(self, steps: int) -> None:
        """Simulate in parts of one displacement of the targets each; the command in force stays what it is."""
        step, actuators = self.model.opt.timestep, self.scene.hand.actuators
        action, held, left = self.contract.action, self.held_target, steps
        controls = self.data.ctrl[actuators].copy()
        while left:
            at = self.time + 1e-6 * step  # times are sums of floating point steps
            offset = self._disturbance.offset(at)
            part = min(left, max(1, math.ceil(self._disturbance.until(at) / step - 1e-6)))
            if offset is not None:
                target = np.clip(held + offset, action.lower, action.upper)
                self.data.ctrl[actuators] = self.scene.hand.controls(target)
            mujoco.mj_step(self.model, self.data, nstep=part)
            self.data.ctrl[actuators] = controls
            left -= part

    def snapshot(self) -> Snapshot:
        """Save the current state for `restore`."""
        d = self.data
        own = (d.qpos, d.qvel, d.act, d.ctrl, d.qacc_warmstart, d.sensordata)
        return Snapshot(d.time, *(values.copy() for values in own))

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from `snapshot`, with the physics' parameters of the last reset."""
        d = self.data
        d.time = snapshot.time
        d.qpos[:], d.qvel[:], d.act[:] = snapshot.qpos, snapshot.qvel, snapshot.act
        d.ctrl[:], d.qacc_warmstart[:] = snapshot.ctrl, snapshot.warmstart
        d.sensordata[:] = snapshot.sensors
        self._due = 0.0

    @property
    def joint_positions(self) -> Array:
        """[A] rad, in the contract's order."""
        return np.array(self.scene.hand.positions(self.data.qpos))

    @property
    def joint_velocities(self) -> Array:
        """[A] rad/s."""
        return np.array(self.scene.hand.velocities(self.data.qvel))

    @property
    def held_target(self) -> Array:
        """[A] rad, the command in force."""
        return np.array(self.scene.hand.targets(self.data.ctrl[self.scene.hand.actuators]))

    def joint(self, name: str) -> tuple[float, float]:
        """Position (rad) and velocity (rad/s) of any hinge in the world, such as the valve."""
        joint = self.model.joint(name)
        return float(self.data.qpos[joint.qposadr[0]]), float(self.data.qvel[joint.dofadr[0]])

    def object(self, name: str) -> ObjectState:
        """Pose and twist of a free object."""
        at, vat = self.scene.free_qpos[name], self.scene.free_qvel[name]
        orientation = np.array(self.data.qpos[at + 3 : at + 7])
        spin = np.zeros(3)
        mujoco.mju_rotVecQuat(spin, self.data.qvel[vat + 3 : vat + 6], orientation)
        return ObjectState(
            np.array(self.data.qpos[at : at + 3]), orientation, np.array(self.data.qvel[vat : vat + 3]), spin
        )
