# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The same seeds give the same bytes, whatever runs the episodes, and whatever of it dies on the way."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster

from mbrl_controller.models.files import ModelFile
from mbrl_controller.rollouts import carried_files
from mbrl_controller.rollouts.config import RolloutConfig, resolve
from mbrl_controller.rollouts.episode import EpisodeSpec, EpisodeTrajectory
from mbrl_controller.rollouts.pool import EpisodePool

SEEDS = range(8)


@pytest.fixture(scope="module")
def spec(trained: Path) -> EpisodeSpec:
    config = RolloutConfig("valve", models_dir=trained, planner_options={"num_samples": 8}, seconds=1.0)
    return resolve(config).spec


@pytest.fixture(scope="module")
def here(spec: EpisodeSpec) -> list[bytes]:
    with EpisodePool(1) as pool:
        return [content(episode) for episode in pool.run(spec, SEEDS)]


def content(episode: EpisodeTrajectory) -> bytes:
    """All of it but the times, which no two runs share."""
    kept = (episode.seed, episode.states, episode.observed, episode.stamps, episode.commands, episode.goals)
    return pickle.dumps((*(x.tobytes() if hasattr(x, "tobytes") else x for x in kept), episode.metrics))


@pytest.mark.slow
def test_processes_and_ray_give_what_one_process_gives(spec: EpisodeSpec, here: list[bytes]) -> None:
    with EpisodePool(2) as processes:
        assert [content(episode) for episode in processes.run(spec, SEEDS)] == here
    with EpisodePool(2, "ray") as on_ray:
        assert [content(episode) for episode in on_ray.run(spec, SEEDS)] == here
        other = spec.model_copy(update={"planner_options": {**spec.planner_options, "num_samples": 9}})
        assert [content(episode) for episode in on_ray.run(other, SEEDS)] != here
        assert [content(episode) for episode in on_ray.run(spec, SEEDS[:3])] == here[:3]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Three nodes of this machine, the first of which has no workers."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False, logging_level="CRITICAL")
    made.wait_for_nodes()
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
def test_three_nodes_of_which_one_is_killed_give_the_same(
    spec: EpisodeSpec, here: list[bytes], cluster: Cluster
) -> None:
    with EpisodePool(1, "ray") as pool:
        episodes = pool.run(spec, SEEDS)
        before = [content(episode) for episode in itertools.islice(episodes, 3)]
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        assert before + [content(episode) for episode in episodes] == here


def test_a_file_is_kept_under_its_digest_and_fetched_again_if_it_is_not_whole(
    trained: Path, spec: EpisodeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: list[bytes] = []
    fetched: list[int] = []

    def put(content: bytes) -> int:
        store.append(content)
        return len(store) - 1

    def get(handle: int) -> bytes:
        fetched.append(handle)
        return store[handle]

    monkeypatch.setattr("mbrl_controller.base.ray_pool.store", put)
    monkeypatch.setattr("mbrl_controller.base.ray_pool.fetch", get)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    known: dict[str, int] = {}
    for _ in range(2):
        handles = carried_files.store_files(spec, known)
    assert len(store) == 1  # a version is sent once
    for expected in (1, 1):
        local = carried_files.with_local_files(spec, handles)
        assert local.model is not None
        assert local.model != spec.model
        assert ModelFile.read(local.model, spec.model_sha256)
        assert len(fetched) == expected
    local.model.write_bytes(b"torn")
    carried_files.with_local_files(spec, handles)
    assert len(fetched) == 2
    assert ModelFile.read(local.model, spec.model_sha256)
