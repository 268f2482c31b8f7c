# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""No library: filtered noise, rollout and exponential weights in a plain torch loop, the least that torch has to do.

Twice: on torch's default matrix products, as all peers on torch use them, and on oneDNN's.
"""

from collections.abc import Iterator

from common import ACTION, CANDIDATES, HORIZON, LIMIT, SIGMA, Ensemble, Plan, Rows, initial_state, report

BETA, KAPPA = 0.7, 10.0


def planners() -> Iterator[tuple[str, Plan, Rows]]:
    import torch

    def pddm_on(ensemble: Ensemble) -> Plan:
        state = torch.from_numpy(initial_state())
        mean = torch.zeros(HORIZON, ACTION)

        @torch.no_grad()
        def plan() -> torch.Tensor:
            mean[:-1] = mean[1:].clone()
            noise = torch.randn(CANDIDATES, HORIZON, ACTION).mul_(SIGMA)
            for t in range(1, HORIZON):
                noise[:, t].mul_(BETA).add_(noise[:, t - 1], alpha=1 - BETA)
            actions = noise.add_(mean).clamp_(-LIMIT, LIMIT)
            shares = torch.softmax(KAPPA * ensemble.returns(state, actions), 0)
            mean.copy_(torch.einsum("n,nta->ta", shares, actions))
            return mean[0]

        return plan

    plain, onednn = Ensemble(onednn=False), Ensemble(onednn=True)
    with torch.no_grad():
        actions = torch.randn(CANDIDATES, HORIZON, ACTION)
        state = torch.from_numpy(initial_state())
        torch.testing.assert_close(plain.returns(state, actions), onednn.returns(state, actions), atol=1e-5, rtol=0)
    yield "PDDM", pddm_on(plain), lambda: plain.rows
    yield "PDDM on oneDNN", pddm_on(onednn), lambda: onednn.rows


if __name__ == "__main__":
    report("torch eager", "torch", planners, "no library")
