# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What docs/scale.md stands on: Ray against processes, what an episode costs worker and head, and killed nodes.

    python benchmarks/scale/measure.py --json benchmarks/scale/measured.json
    python benchmarks/scale/measure.py --from benchmarks/scale/measured.json    # only the simulation, from a record

Ratios are of one run, the two in turn, because a machine is never idle.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import os
import pickle
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_controller.base.engine import workers
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.rollouts.collect import write_episode
from mbrl_controller.rollouts.config import ResolvedRollout, RolloutConfig, resolve
from mbrl_controller.rollouts.episode import EpisodeTrajectory
from mbrl_controller.rollouts.pool import EpisodePool
from mbrl_controller.rollouts.statistics import bootstrap

BLOCKS = 20  # short, so that what others do on the machine falls on both
WORKERS = (2, 8, 32, 100, 300, 1000)
NETWORK = 1.25e8  # bytes a second to the head: 1 Gbit/s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="valve")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--samples", type=int, default=50, help="candidates a plan: few, so that overhead shows")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--from", dest="record", type=Path, help="simulate from this record, measure nothing")
    given = parser.parse_args()
    found = json.loads(given.record.read_text()) if given.record else measure(given)
    if not given.record and given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps({k: v for k, v in found.items() if k != "worker_s_of_each"}, indent=2))
    for row in simulate(found):
        print("  ".join(f"{name} {value}" for name, value in row.items()))


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """All figures, seconds and bytes."""
    resolved = resolve(RolloutConfig(given.task, precision="fp32", planner_options={"num_samples": given.samples}))
    names = ("task", "episodes", "samples", "processes")
    found: dict[str, Any] = {name: getattr(given, name) for name in names}
    found |= compare(resolved, given.episodes, given.processes)
    found |= head_costs(resolved)
    found |= kill_nodes(resolved, given.kills)
    return found


def compare(resolved: ResolvedRollout, episodes: int, processes: int) -> dict[str, Any]:
    """The same episodes on processes and on Ray, in blocks and in turn."""
    spent: dict[str, list[float]] = {"processes": [], "ray": []}
    each: list[float] = []
    with EpisodePool(processes) as local, EpisodePool(processes, "ray") as ray_pool:
        pools = {"processes": local, "ray": ray_pool}
        for pool in pools.values():  # imports, scene and model are loaded
            list(pool.run(resolved.spec, range(2 * processes)))
        for block in range(BLOCKS):
            seeds = range(block * episodes // BLOCKS, (block + 1) * episodes // BLOCKS)
            for name in sorted(pools, reverse=bool(block % 2)):
                began = time.perf_counter()
                run = list(pools[name].run(resolved.spec, seeds))
                spent[name].append(time.perf_counter() - began)
                each += [float(episode.plan_s.sum()) for episode in run]
        overhead = per_job(processes)
    ratios = [ray / local for ray, local in zip(spent["ray"], spent["processes"], strict=True)]
    return {
        "processes_s": spent["processes"],
        "ray_s": spent["ray"],
        "ratio_of_blocks": ratios,
        "ratio_median": statistics.median(ratios),
        "ratio_median_ci95": bootstrap(np.array(ratios), np.median),
        "ray_job_s": overhead,
        "worker_s_of_each": each,
        "worker_s": processes * sum(spent["ray"]) / episodes,
    }


def per_job(processes: int, jobs: int = 500) -> float:
    """Seconds that an empty job takes on Ray: what it adds to an episode at the head."""
    with workers(abs, processes, "ray") as pool:
        list(pool.results(range(20)))
        began = time.perf_counter()
        list(pool.results(range(jobs)))
        return (time.perf_counter() - began) / jobs


def head_costs(resolved: ResolvedRollout) -> dict[str, Any]:
    """Of an episode's record: bytes, and CPU seconds to read and to write it; median of 20."""
    with EpisodePool(1) as pool:
        (episode,) = pool.run(resolved.spec, [0])
    content = pickle.dumps(episode)

    def write() -> None:
        with tempfile.TemporaryDirectory() as folder:
            info = EpisodeInfo(session="s", episode=1, seed=0, model_version="v", model_digest="", world=resolved.world)
            write_episode(Path(folder) / "episode_0001.mcap", resolved.contract, info, episode)

    return {
        "record_bytes": len(content),
        "read_s": median_cpu(lambda: pickle.loads(content)),
        "write_s": median_cpu(write),
        "control_steps": len(episode.commands),
    }


def median_cpu(work: Callable[[], object], repeats: int = 20) -> float:
    """Median CPU time of this process."""
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return statistics.median(spent)


def kill_nodes(resolved: ResolvedRollout, kills: int) -> dict[str, Any]:
    """Rounds of episodes on three nodes, in each of which one node is killed at random; how many gave the same."""
    import ray
    from ray.cluster_utils import Cluster

    seeds, rng, same = range(12), random.Random(0), 0
    spec = resolved.spec.model_copy(update={"seconds": 2.0})
    with EpisodePool(1) as pool:
        expected = [digest(episode) for episode in pool.run(spec, seeds)]
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="CRITICAL")
    try:
        for _ in range(kills):
            with EpisodePool(1, "ray") as pool:
                episodes = pool.run(spec, seeds)
                begun = [digest(episode) for episode in itertools.islice(episodes, rng.randrange(1, 9))]
                cluster.remove_node(rng.choice(sorted(cluster.worker_nodes, key=str)), allow_graceful=False)
                same += begun + [digest(episode) for episode in episodes] == expected
            cluster.add_node(num_cpus=1)
    finally:
        ray.shutdown()
        cluster.shutdown()
    return {"kills": kills, "kills_with_the_same_episodes": same}


def digest(episode: EpisodeTrajectory) -> bytes:
    """All of an episode but its times."""
    return b"".join(x.tobytes() for x in (episode.states, episode.commands, episode.goals, episode.stamps))


def simulate(found: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Episodes a second against workers: results are taken in order, one by one, by a head that reads and writes them.

    A worker is busy for an episode as long as measured, spread as its planning times are. The head takes a record's
    share of the network, a job's overhead, and what reading and writing cost it.
    """
    spread = [t / statistics.mean(found["worker_s_of_each"]) for t in found["worker_s_of_each"]]
    head = found["ray_job_s"] + found["read_s"] + found["write_s"] + found["record_bytes"] / NETWORK
    for count in WORKERS:
        rng, amount = random.Random(count), max(2000, 20 * count)
        free, taken, finished = [0.0] * count, 0.0, []
        for number in range(amount):
            begun = max(heapq.heappop(free), finished[number - 2 * count] if number >= 2 * count else 0.0)
            end = begun + found["worker_s"] * rng.choice(spread)
            heapq.heappush(free, end)
            taken = max(taken, end) + head
            finished.append(taken)
        rate = amount / taken
        yield {
            "workers": count,
            "episodes/s": f"{rate:.3g}",
            "of ideal": f"{rate * found['worker_s'] / count:.0%}",
            "head busy": f"{rate * head:.0%}",
            "MB/s": f"{rate * found['record_bytes'] / 1e6:.2g}",
        }


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
