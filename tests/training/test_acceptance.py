# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Checks of a new version: each failed one is named."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from mbrl_controller.training.acceptance import int8_failed_checks, too_little_data, worse_errors


def test_compare_names_what_is_worse() -> None:
    baseline = {"one_step_nrmse": 1.0, "horizon_nrmse": 2.0}
    assert worse_errors({"one_step_nrmse": 1.01, "horizon_nrmse": 1.5}, baseline) == ""
    assert "horizon" in worse_errors({"one_step_nrmse": 0.9, "horizon_nrmse": 2.5}, baseline)
    assert "one_step" in worse_errors({"one_step_nrmse": float("nan"), "horizon_nrmse": 2.0}, baseline)
    assert worse_errors({"one_step_nrmse": 9.0, "horizon_nrmse": 9.0}, {}) == ""


@pytest.mark.parametrize(("transitions", "before", "enough"), [
    (99, 200, False), (100, 200, True), (300, 200, True), (240, 20_000, False), (10_000, 20_001, False), (1, 0, True),
])  # fmt: skip
def test_half_of_the_parents_data_is_enough(transitions: int, before: int, enough: bool) -> None:
    said = too_little_data(transitions, before)
    assert (said == "") == enough
    assert enough or (str(transitions) in said and str(before) in said)


def test_each_failed_check_is_named_with_its_limit() -> None:
    good = {"rank_median": 0.99, "elite_median": 0.9, "disagreement_spearman": 0.99, "disagreement_pearson": 0.99}
    good |= {"disagreement_p999_ratio": 1.0, "one_step_nrmse_ratio": 1.01, "horizon_nrmse_ratio": 1.01}
    assert int8_failed_checks(good) == ""
    for change, said in (
        ({"rank_median": 0.9}, "correlate by 0.900 (at least 0.95 needed)"),
        ({"elite_median": 0.71}, "elites agree in 0.71 of cases (at least 0.8 needed)"),
        ({"disagreement_pearson": 0.5}, "disagreement correlates by 0.50 (at least 0.9 needed)"),
        ({"disagreement_spearman": float("nan")}, "disagreement"),
        ({"disagreement_p999_ratio": 0.65}, "0.65 of what they were (0.67 to 1.5 allowed)"),
        ({"disagreement_p999_ratio": float("inf")}, "inf"),
        ({"horizon_nrmse_ratio": 1.2}, "horizon_nrmse is 1.20 of what it was (at most 1.05 allowed)"),
    ):
        assert said in int8_failed_checks(good | change)
