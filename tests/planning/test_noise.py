"""Noise over the horizon: its width at each step, its smoothness, and the quantile table it is drawn from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.planning.noise import filter_matrix, noise_basis, standard_normal


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
