# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Success against real points: this package's learning beside what it is compared with, on the same task and seeds.

    python benchmarks/baselines/run.py --task valve --seeds 0-4 --env-steps 12000 --sac-steps 100000
    mbrl learn-curve benchmarks/baselines/valve/* --plot curves.png

Each run is a command of `mbrl`, which this prints and runs. Plan and log of a finished run are kept in
benchmarks/baselines/TASK/METHOD-sSEED, and a run that is there is not run again: begin on one machine, go on on
another. What was stopped on this machine resumes.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

RECORDS = Path(__file__).parent
FILES = ("plan.json", "log.jsonl")
PATHS = ("contract_folder", "models_dir", "files")  # of the machine that the run was on: not kept
# As many candidates a plan as the task's own planner, in five iterations, with white noise around a fitted Gaussian and
# without what PDDM adds: the planner of PETS (Chua et al., 2018).
PETS = {"planner_name": "cem", "planner.iterations": "5", "planner.noise": "white"}
# When in a run of `mbrl learn` models are taken for model-based policy optimisation: after these shares of its points.
MODELS_AFTER = (0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Method:
    """One curve: the arguments of `mbrl learn` or `mbrl policy`."""

    command: str
    options: tuple[str, ...] = ()
    share: float = 0.0  # of the points of the run of `ours` whose model it learns in


def methods(samples: int) -> dict[str, Method]:
    """All of them, by name; `samples`: candidates a plan of the task's own planner."""
    pets = {**PETS, "planner.num_samples": str(max(2, samples // int(PETS["planner.iterations"])))}
    shooting = {"planner_name": "random_shooting", "planner.num_samples": str(samples)}
    found = {
        "ours": Method("learn"),
        "pets": Method("learn", _pairs(pets)),
        "shooting": Method("learn", _pairs(shooting)),
        "sac": Method("policy", ("--from", "sim")),
    }
    for scheme in "ABC":
        for share in MODELS_AFTER:
            options = ("--from", "model", "--scheme", scheme)
            found[f"mbpo{scheme}-{round(100 * share)}"] = Method("policy", options, share)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="valve")
    parser.add_argument("--seeds", default="0-4", help="0-4, or 0,2")
    parser.add_argument("--env-steps", type=int, default=12000, help="real points of runs with a planner")
    parser.add_argument("--sac-steps", type=int, default=100000, help="real points of SAC in the simulation")
    parser.add_argument("--only", nargs="*", default=[], help="methods (default: all)")
    parser.add_argument("--policy-set", nargs="*", default=[], metavar="NAME=VALUE", help="options of `mbrl policy`")
    parser.add_argument("--runs", type=Path, default=Path("build/baselines"), help="folder of the runs")
    given = parser.parse_args()
    known = methods(_own_samples(given.task))
    if unknown := sorted(set(given.only) - set(known)):
        parser.error(f"unknown methods {', '.join(unknown)}; known: {', '.join(known)}")
    for seed in _seeds(given.seeds):
        for name in given.only or known:
            _run(name, known[name], seed, given)


def _run(name: str, method: Method, seed: int, given: argparse.Namespace) -> None:
    record = RECORDS / given.task / f"{name}-s{seed}"
    if all((record / file).exists() for file in FILES):
        print(f"{record}: there already", flush=True)
        return
    run = f"{name}-s{seed}"
    arguments = [method.command, given.task, *method.options, "--seed", str(seed), "--run", run]
    if method.command == "learn":
        arguments += ["--env-steps", str(given.env_steps), "--set", "threads=1", "--set", "precision=fp32"]
    else:
        arguments += [f"--set={option}" for option in given.policy_set]
        if method.share:
            arguments += _model(seed, method.share, given)
        else:
            arguments += [f"--set=env_steps={given.sac_steps}"]
    folder = given.runs / method.command / given.task / run
    resume = ["--resume"] if (folder / FILES[0]).exists() else []
    _mbrl(*([method.command, given.task, "--run", run, *resume] if resume else arguments), runs=given.runs)
    record.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / FILES[1], record / FILES[1])
    plan = json.loads((folder / FILES[0]).read_text())
    kept = {name: value for name, value in plan.items() if name not in PATHS}
    (record / FILES[0]).write_text(json.dumps(kept, indent=2) + "\n")


def _model(seed: int, share: float, given: argparse.Namespace) -> list[str]:
    """The version of the run of `ours` that learnt from `share` of its points, and the episodes that it learnt from."""
    run = given.runs / "learn" / given.task / f"ours-s{seed}"
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    trained = [line for line in lines if line["step"] == "train" and line["env_steps"] <= share * given.env_steps]
    if not trained:
        sys.exit(f"{run}: no version has learnt from {share * given.env_steps:.0f} points or fewer")
    last = trained[-1]
    before = [
        folder
        for folder in sorted((run / "episodes" / given.task).iterdir())
        if int(folder.name.partition("-")[0].removeprefix("r")) < last["round"]  # r003-explore
    ]
    episodes = [argument for folder in before for argument in ("--episodes", str(folder))]
    return ["--models-dir", str(run / "models"), "--model", last["version"], *episodes]


def _mbrl(*arguments: str, runs: Path) -> None:
    command = [sys.executable, "-m", "mbrl_controller", *arguments, "--runs-dir", str(runs)]
    print(shlex.join(["mbrl", *command[3:]]), flush=True)
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def _own_samples(task: str) -> int:
    from mbrl_controller.control.task_config import planner_defaults

    return int(planner_defaults(task, "pddm").planner_options.get("num_samples", 700))


def _pairs(options: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"--set={name}={value}" for name, value in options.items())


def _seeds(text: str) -> list[int]:
    if "-" in text:
        first, last = map(int, text.split("-"))
        return list(range(first, last + 1))
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
