# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Candidates around what a learned policy proposes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.planning.proposals import chunk_of_proposals, proposals_of, with_horizon
from mbrl_controller.planning.sampling import MIN_CHUNK, SamplingPlanner

H, A, N = 4, 3, 64
PROPOSAL = np.linspace(-0.9, 0.9, H * A, dtype=np.float32).reshape(H, A)
SEARCHING = ("pddm", "cem", "icem", "random_shooting")


class Judge:
    """The nearer to `best`, the better; keeps what it was asked."""

    def __init__(self, proposals: Any = None, best: np.ndarray = PROPOSAL) -> None:
        self.proposals, self.best = proposals, best
        self.asked: list[np.ndarray] = []

    def __call__(self, candidates: np.ndarray) -> np.ndarray:
        self.asked.append(candidates.copy())
        return -((candidates - self.best) ** 2).sum((1, 2))


def planner(name: str = "pddm", **options: Any) -> SamplingPlanner:
    return make_planner(name, A, {"num_samples": N, "horizon": H, **options})


@pytest.mark.parametrize("name", SEARCHING)
def test_without_a_share_proposals_change_nothing(name: str) -> None:
    plans = []
    for proposals in (None, PROPOSAL[None]):
        p = planner(name)
        plans.append(p.plan(Judge(proposals), p.initial_state(3))[0].actions)
    np.testing.assert_array_equal(*plans)


@pytest.mark.parametrize("name", SEARCHING)
def test_without_proposals_a_share_changes_nothing(name: str) -> None:
    plans = []
    for share in (0.0, 0.5):
        p = planner(name, proposal_fraction=share)
        plans.append(p.plan(lambda c: -(c**2).sum((1, 2)), p.initial_state(3))[0].actions)
    np.testing.assert_array_equal(*plans)


@pytest.mark.parametrize("name", SEARCHING)
def test_each_iteration_has_the_proposals_themselves_and_their_share(name: str) -> None:
    two = np.stack([PROPOSAL, -PROPOSAL])
    p = planner(name, proposal_fraction=0.25, iterations=2, population_decay=1.0)
    judge = Judge(two)
    result, _ = p.plan(judge, p.initial_state(3))
    assert result.evaluated == 2 * N == sum(map(len, judge.asked))
    for candidates in judge.asked:
        for proposal in two:
            assert (candidates == proposal).all((1, 2)).any()
        assert np.abs(candidates).max() <= 1.0


def test_the_others_are_drawn_as_ever_and_the_mean_stays_among_them() -> None:
    p = planner("pddm", proposal_fraction=0.25, keep_mean=True)
    judge = Judge(PROPOSAL[None])
    p.plan(judge, p.initial_state(3))
    (candidates,) = judge.asked
    assert (candidates[0] == 0).all()
    near, far = candidates[-N // 4 :], candidates[: -N // 4]
    # Steps at the middle of the range are not clipped: their mean is the proposal's, the others' is the plan's.
    assert near[:, 1].mean(0) == pytest.approx(PROPOSAL[1], abs=0.35)
    assert far.mean((0, 1)) == pytest.approx(np.zeros(A), abs=0.15)
    assert len(np.unique(near.reshape(len(near), -1), axis=0)) == len(near)


def test_a_good_proposal_is_found_at_once_where_search_alone_fails() -> None:
    far = np.full((H, A), 0.95, np.float32)
    found = []
    for share in (0.0, 0.1):
        p = planner("icem", proposal_fraction=share, num_samples=32, iterations=1)
        judge = Judge(far[None], best=far)
        found.append(p.plan(judge, p.initial_state(1))[0].predicted_return)
    assert found[1] == pytest.approx(0.0)
    assert found[0] < -0.5


@pytest.mark.parametrize("name", SEARCHING)
def test_a_whole_share_leaves_room_for_what_is_carried_over(name: str) -> None:
    p = planner(name, proposal_fraction=1.0, keep_mean=True, num_elites_kept=4, num_samples=8)
    state = p.initial_state(3)
    for _ in range(2):  # the second one carries elites
        judge = Judge(PROPOSAL[None])
        _, state = p.plan(judge, state)
        assert all(len(candidates) >= 2 for candidates in judge.asked)
        assert (judge.asked[0] == PROPOSAL).all((1, 2)).any()


def test_the_same_seed_gives_the_same_plan_to_the_bit() -> None:
    plans = []
    for _ in range(2):
        p = planner("pddm", proposal_fraction=0.3)
        plans.append(p.plan(Judge(PROPOSAL[None]), p.initial_state(5))[0].actions)
    np.testing.assert_array_equal(*plans)


def test_under_a_deadline_the_smallest_plan_has_a_proposal() -> None:
    p = planner("pddm", proposal_fraction=0.02, num_samples=500)
    judge = Judge(PROPOSAL[None])
    p.plan(judge, p.initial_state(3), deadline=0.0)  # over already
    assert len(judge.asked[0]) == MIN_CHUNK
    assert (judge.asked[0] == PROPOSAL).all((1, 2)).any()


@pytest.mark.parametrize("name", SEARCHING)
def test_fewer_samples_do_only_where_something_is_proposed(name: str) -> None:
    p = planner(name, proposal_fraction=0.25, proposal_sample_scale=0.25, iterations=2, population_decay=1.0)
    for proposals, samples in ((PROPOSAL[None], N // 4), (None, N), (PROPOSAL[None] * np.nan, N)):
        judge = Judge(proposals)
        assert p.plan(judge, p.initial_state(3))[0].evaluated == 2 * samples
        assert [len(asked) for asked in judge.asked] == [samples, samples]


def test_a_scale_without_a_share_changes_nothing() -> None:
    p = planner("pddm", proposal_sample_scale=0.25)
    assert p.plan(Judge(PROPOSAL[None]), p.initial_state(3))[0].evaluated == N


def test_the_weights_have_a_width_of_their_own_where_something_is_proposed() -> None:
    """The narrower the weights, the higher the return that they predict."""

    def predicted(proposals: Any, **options: Any) -> float:
        p = planner("pddm", proposal_fraction=0.25, ess_fraction=0.5, **options)
        return p.plan(Judge(proposals), p.initial_state(3))[0].predicted_return

    assert predicted(PROPOSAL[None], proposal_ess_fraction=0.05) > predicted(PROPOSAL[None])
    assert predicted(None, proposal_ess_fraction=0.05) == predicted(None)


@given(st.floats(0, 1), st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_chunks_of_any_size_make_up_the_share(share: float, sizes: list[int]) -> None:
    begin, numbers = 0, []
    for size in sizes:
        numbers += chunk_of_proposals(share, begin, size, room=size)
        begin += size
    assert numbers == list(range(len(numbers)))
    assert share * begin - 1e-6 <= len(numbers) <= share * begin + 1


def test_proposals_that_are_no_numbers_or_do_not_fit() -> None:
    bad = PROPOSAL.copy()
    bad[1, 1] = np.nan
    assert proposals_of(Judge(bad[None]), (H, A)) is None
    np.testing.assert_array_equal(proposals_of(Judge(np.stack([bad, PROPOSAL])), (H, A)), PROPOSAL[None])
    assert proposals_of(Judge(np.full((1, H, A), 3.0)), (H, A)).max() == 1.0
    assert proposals_of(Judge(np.zeros((0, H, A))), (H, A)) is None
    for shape in ((H, A), (1, H + 1, A), (1, H, A + 1)):
        with pytest.raises(ValueError, match="expected"):
            proposals_of(Judge(np.zeros(shape)), (H, A))


def test_a_policy_that_looks_less_far_repeats_its_last_action() -> None:
    plan = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(with_horizon(plan, 5), plan[[0, 1, 2, 2, 2]])
    np.testing.assert_array_equal(with_horizon(plan, 2), plan[:2])
    np.testing.assert_array_equal(with_horizon(plan[:1], 3), plan[[0, 0, 0]])
