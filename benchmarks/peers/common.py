# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The work that every peer does, and how it is timed. Depends on nothing of mbrl_controller.

An ensemble of three networks 70-500-500-46 predicts the change of a state of 46 numbers from state and action (24).
A plan weighs 700 action sequences of 7 steps, each followed through every network on a trajectory of its own, once:
14 700 rows through a network, 9.06 GFLOP.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

# Before numpy, torch or jax are imported, which all scripts do later, in functions.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["JAX_PLATFORMS"] = "cpu"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # interrupts tend to arrive at the first

STATE, ACTION, HIDDEN, MEMBERS = 46, 24, 500, 3
CANDIDATES, HORIZON = 700, 7
LIMIT = 1.0  # actions lie in [-1, 1]
SIGMA = 0.5
TARGET = 0.3
ELITES = 70
ROWS = CANDIDATES * HORIZON * MEMBERS
WARM_UPS, PLANS = 4, 21
TOLERANCE = 0.02
ONEDNN = os.environ.get("PEERS_ONEDNN") == "1"

Plan = Callable[[], Any]
Rows = Callable[[], int]
"""Rows that went through a network so far."""


def weights() -> list[tuple[Any, Any]]:
    """(weights, biases) of the three layers, members first; the output is scaled to small changes of state."""
    import numpy as np

    rng = np.random.default_rng(0)
    layers = []
    for inputs, outputs, scale in ((STATE + ACTION, HIDDEN, 1.0), (HIDDEN, HIDDEN, 1.0), (HIDDEN, STATE, 0.05)):
        w = rng.standard_normal((MEMBERS, inputs, outputs)) * (scale / inputs**0.5)
        b = rng.standard_normal((MEMBERS, outputs)) * (scale / inputs**0.5)
        layers.append((w.astype(np.float32), b.astype(np.float32)))
    return layers


def initial_state() -> Any:
    import numpy as np

    return np.random.default_rng(1).standard_normal(STATE).astype(np.float32)


def reward(states: Any) -> Any:
    """Reward of states (..., 46), for arrays of numpy, torch and jax."""
    return -abs(states[..., 0] - TARGET)


class Ensemble:
    """The networks in torch, one matrix product a layer and member.

    On torch's default products (MKL on x86), or on oneDNN's through torch.utils.mkldnn, which are twice as fast on some
    processors. PEERS_ONEDNN=1 gives oneDNN to all peers that use this class.
    """

    def __init__(self, onednn: bool = ONEDNN) -> None:
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(0)
        self._torch = torch
        self._layers = [(torch.from_numpy(w), torch.from_numpy(b)) for w, b in weights()]
        self._onednn = [self._network(member) for member in range(MEMBERS)] if onednn else None
        self.rows = 0

    def _network(self, member: int) -> Any:
        from torch.utils import mkldnn

        parts: list[Any] = []
        for w, b in self._layers:
            linear = self._torch.nn.Linear(*w.shape[1:])
            linear.weight.data, linear.bias.data = w[member].T.contiguous(), b[member]
            parts += [linear, self._torch.nn.ReLU()]
        return mkldnn.to_mkldnn(self._torch.nn.Sequential(*parts[:-1]).eval())

    def step(self, member: int, states: Any, actions: Any) -> Any:
        """Next states (n, 46) of one member; to be called without autograd."""
        self.rows += len(states)
        inputs = self._torch.cat((states, actions), 1)
        if self._onednn is not None:
            return self._onednn[member](inputs.to_mkldnn()).to_dense().add_(states)
        addmm, ((w1, b1), (w2, b2), (w3, b3)) = self._torch.addmm, self._layers
        hidden = addmm(b1[member], inputs, w1[member]).relu_()
        hidden = addmm(b2[member], hidden, w2[member]).relu_()
        return addmm(b3[member], hidden, w3[member]).add_(states)

    def returns(self, state: Any, actions: Any) -> Any:
        """Mean over members of the summed reward of action sequences (n, horizon, 24), from one state."""
        total = 0.0
        for member in range(MEMBERS):
            states = state.expand(len(actions), STATE)
            for t in range(actions.shape[1]):
                states = self.step(member, states, actions[:, t])
                total = total + reward(states)
        return total / MEMBERS


def _measure(planners: list[tuple[str, Plan, Rows]]) -> tuple[dict[str, float], dict[str, float]]:
    """Median CPU ms and mean rows of a plan of each, one of each in turn; CPU time is that of the whole process."""
    times: dict[str, list[float]] = {name: [] for name, _, _ in planners}
    done = dict.fromkeys(times, 0)
    for i in range(-WARM_UPS, PLANS):
        for name, plan, rows in planners:
            before, start = rows(), time.process_time()
            plan()
            if i >= 0:
                times[name].append(time.process_time() - start)
                done[name] += rows() - before
    return {name: 1e3 * statistics.median(t) for name, t in times.items()}, {n: r / PLANS for n, r in done.items()}


def report(peer: str, distribution: str, planners: Callable[[], Iterator[tuple[str, Plan, Rows]]], note: str) -> None:
    """Time every planner and print one line of JSON; a peer that does other work than the others fails."""
    try:
        prepared = list(planners())
    except ModuleNotFoundError as error:
        print(json.dumps({"peer": peer, "skipped": f"not installed: {error.name or error}"}))
        return
    cpu_ms, done = _measure(prepared)
    for name, rows in done.items():
        if abs(rows - ROWS) > TOLERANCE * ROWS:
            sys.exit(f"{peer} {name}: {rows:.0f} rows a plan through a network, not {ROWS}")
    answer = {
        "peer": peer,
        "version": importlib.metadata.version(distribution),
        "cpu_ms": {name: round(value, 1) for name, value in cpu_ms.items()},
        "rows": {name: round(value) for name, value in done.items()},
        "note": "; ".join(part for part in (note, "PEERS_ONEDNN=1" if ONEDNN else "") if part),
    }
    print(json.dumps(answer))
