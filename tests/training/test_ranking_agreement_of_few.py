# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Agreement where there is little to go by: a handful of candidates, and returns that hardly differ."""

from __future__ import annotations

import numpy as np
import pytest

from . import test_ranking_agreement
from .test_ranking_agreement import RISING, Model, compared


def test_returns_that_hardly_differ_lose_as_much_in_their_own_units() -> None:
    assert compared(Model(1e-3 * RISING), Model(-RISING))["regret_median"] == pytest.approx(19 / RISING.std())


def test_of_three_candidates_the_best_is_the_best_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_ranking_agreement, "N", 3)
    few = np.array([1.0, 2.0, 3.0])
    assert compared(Model(few), Model(few))["elite_median"] == 1.0
    assert compared(Model(few), Model(few[::-1]))["elite_median"] == 0.0
    assert compared(Model(few), Model(np.array([2.0, 1.0, 3.0])))["elite_median"] == 1.0


def test_of_ten_and_of_thirty_a_tenth_is_one_and_three(monkeypatch: pytest.MonkeyPatch) -> None:
    for n in (10, 30):
        monkeypatch.setattr(test_ranking_agreement, "N", n)
        returns = np.arange(float(n))
        other = returns.copy()
        other[-1] = -1.0  # all but the best are alike
        assert compared(Model(returns), Model(other))["elite_median"] == pytest.approx(1 - 10 / n)
