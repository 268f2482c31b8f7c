# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Noise over the horizon: its width at each step, its smoothness, and the quantile table it is drawn from."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.planning.noise import _cubic, filter_matrix, noise_basis, standard_normal


@given(kind=st.sampled_from(["white", "coloured", "knots"]), horizon=st.integers(1, 30), knots=st.integers(1, 30),
       colour=st.floats(0, 6))  # fmt: skip
def test_sigma_means_the_same_at_every_step(kind, horizon, knots, colour) -> None:
    basis = noise_basis(kind, horizon, colour=colour, knots=knots)
    assert basis.shape[0] == horizon
    assert np.linalg.norm(basis, axis=1) == pytest.approx(np.ones(horizon))


def roughness(basis: np.ndarray) -> float:
    """Mean square of the steps between neighbours; 2 for white noise."""
    return float((np.diff(basis, axis=0) ** 2).sum(1).mean())


def test_more_colour_and_fewer_knots_are_smoother() -> None:
    by_colour = [roughness(noise_basis("coloured", 12, colour=c)) for c in (0.0, 1.0, 2.0, 4.0)]
    by_knots = [roughness(noise_basis("knots", 12, knots=k)) for k in (12, 6, 4, 2, 1)]
    assert by_colour == sorted(by_colour, reverse=True)
    assert by_knots == sorted(by_knots, reverse=True)
    assert by_colour[0] == pytest.approx(2.0, rel=0.01)
    assert by_knots[0] == pytest.approx(2.0, rel=0.01)
    assert by_knots[-1] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("colour", [0.0, 1.0, 2.0, 3.5])
def test_the_power_of_coloured_noise_falls_with_frequency_to_the_colour(colour: float) -> None:
    """Of white numbers through the basis: the mean square of each frequency's amplitude, against the lowest one's."""
    horizon = 16
    power = (np.abs(np.fft.rfft(noise_basis("coloured", horizon, colour=colour), axis=0)) ** 2).sum(1)[1:]
    frequencies = np.arange(1, horizon // 2 + 1)
    assert power / power[0] == pytest.approx(frequencies**-colour, rel=1e-6)


def test_knots_at_every_step_are_the_values_themselves() -> None:
    assert np.allclose(noise_basis("knots", 9, knots=9), np.eye(9))
    assert noise_basis("knots", 5, knots=50).shape == (5, 5)


@given(horizon=st.integers(1, 12), beta=st.floats(0.05, 1.0), seed=st.integers(0, 99))
def test_the_filter_as_a_matrix_is_the_recurrence(horizon, beta, seed) -> None:
    u = np.random.default_rng(seed).normal(size=horizon)
    y, expected = 0.0, []
    for value in u:
        y = beta * value + (1 - beta) * y
        expected.append(y)
    assert filter_matrix(horizon, beta) @ u == pytest.approx(expected)


def test_the_normal_numbers_are_normal() -> None:
    x = standard_normal(np.random.default_rng(0), (1000, 500))
    assert x.dtype == np.float32
    assert x.mean() == pytest.approx(0.0, abs=0.005)
    assert x.std() == pytest.approx(1.0, abs=0.005)
    for z, share in ((1.0, 0.15866), (2.0, 0.02275), (3.0, 0.00135)):
        assert (x > z).mean() == pytest.approx(share, rel=0.08)
        assert (x < -z).mean() == pytest.approx(share, rel=0.08)
    flat = x.ravel().astype(float)
    for lag in (1, 2, 3, 4, 7):
        assert np.corrcoef(flat[:-lag], flat[lag:])[0, 1] == pytest.approx(0.0, abs=0.006)


@given(st.integers(0, 9), st.integers(1, 9))
def test_any_number_of_normals_can_be_drawn(rows, columns) -> None:
    assert standard_normal(np.random.default_rng(1), (rows, columns)).shape == (rows, columns)


def test_in_coloured_noise_the_mean_weighs_as_much_as_the_lowest_frequency() -> None:
    """An amplitude of the constant part is twice that of a wave of the same power, one of a cosine alone."""
    for horizon in (7, 8, 16):
        basis = noise_basis("coloured", horizon, colour=2.0)
        power = (np.abs(np.fft.rfft(basis, axis=0)) ** 2).sum(1)
        assert power[0] == pytest.approx(power[1])


def test_coloured_noise_of_one_step_is_one_number() -> None:
    np.testing.assert_allclose(noise_basis("coloured", 1), [[1.0]])


def interpolated(horizon: int, values: list[float]) -> np.ndarray:
    """The curve through the values before it is scaled to the same width everywhere."""
    return _cubic(horizon, len(values)) @ np.array(values)


def test_the_curve_through_the_knots_is_catmull_roms() -> None:
    """It meets every knot, is straight where they are, and half-way weighs the four around (-1, 9, 9, -1) / 16."""
    values = [0.3, -1.0, 2.0, 0.5, 0.7]
    assert interpolated(9, values)[::2] == pytest.approx(values)
    assert interpolated(9, values)[3] == pytest.approx((-0.3 - 9 + 18 - 0.5) / 16)
    quarter = interpolated(17, values)[5]  # a quarter of the way from the second knot to the third
    assert quarter == pytest.approx((-9 * 0.3 - 111 + 29 * 2 - 3 * 0.5) / 128)
    assert interpolated(17, values)[4:13:4] == pytest.approx(values[1:4])
    assert interpolated(9, values)[5] == pytest.approx((1.0 + 18 + 4.5 - 0.7) / 16)  # of the last four alone
    straight = interpolated(13, [0.0, 1.0, 2.0, 3.0])
    assert straight[4:9] == pytest.approx([1.0, 1.25, 1.5, 1.75, 2.0])
    assert interpolated(5, [0.0, 1.0])[2] == pytest.approx(0.5)  # the ends repeat
    assert interpolated(5, [0.0, 1.0])[1] == pytest.approx(9 * 0 / 128 + 29 / 128 - 3 / 128)
    assert interpolated(4, [0.7]) == pytest.approx([0.7] * 4)


def test_knots_noise_is_the_curve_scaled_to_the_same_width_at_every_step() -> None:
    raw = _cubic(9, 4)
    assert noise_basis("knots", 9, knots=4) == pytest.approx(raw / np.sqrt((raw**2).sum(1))[:, None])


def test_white_and_filtered_noise_by_value() -> None:
    np.testing.assert_array_equal(noise_basis("white", 4), np.eye(4))
    b = noise_basis("filtered", 3, beta=0.6)
    assert b == pytest.approx(np.array([[0.6, 0, 0], [0.24, 0.6, 0], [0.096, 0.24, 0.6]]))


def test_normal_numbers_are_16384_equal_shares() -> None:
    x = standard_normal(np.random.default_rng(0), (400_001,))
    found = np.unique(x)
    assert len(found) == 2**14
    assert found == pytest.approx(-found[::-1], abs=1e-6)
    assert np.abs(found).max() < 4.01
    exact = NormalDist().inv_cdf(1 - 0.5 / 2**14)
    assert found[-1] == pytest.approx(exact, rel=1e-3)
    assert found.astype(float).std() == pytest.approx(1.0, abs=1e-6)
