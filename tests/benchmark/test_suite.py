# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The benchmark reports what it measured, in the keys it promises. Nothing here asserts that anything is fast."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.benchmark import anytime, default_plan, external, latency, load, memory, suite, timing, workload
from mbrl_controller.benchmark.external import PeerResult
from mbrl_controller.benchmark.settings import Settings, UnavailableError
from mbrl_controller.benchmark.subprocess_run import run_in_subprocess
from mbrl_controller.cli.main import app
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.models.registry import Registry
from mbrl_controller.planning.catalog import make_planner
from mbrl_controller.stack.cpu_load import cpu_load

MODELS = Path(__file__).resolve().parents[2] / "models"
TINY = {"num_samples": 8, "horizon": 2}
SLEEP = 0.004  # s


@pytest.fixture(autouse=True)
def shipped_as_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped models, as a registry that this process and its children see."""
    (tmp_path / "models").symlink_to(MODELS)
    monkeypatch.setenv("MBRL_HOME", str(tmp_path))


@pytest.fixture
def fake_parts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Parts that measure nothing; the names of those that ran."""
    ran: list[str] = []

    def part(name: str, figures: dict | Exception) -> Callable:
        def run(settings: Settings) -> dict:
            ran.append(name)
            if isinstance(figures, Exception):
                raise figures
            return figures

        return run

    row = {"case": "paper", "what": "plan", "by": "int8", "cpu_ms": 10.0, "ratio_to_gemm": 0.5}
    parts: dict[str, dict | Exception] = {
        "latency": {"rows": [row], "gemm_fp32_cpu_ms": {"paper": 20.0}, "missing": {"paper fp32": "no reason"}},
        "peers": {"cpu_ms": {"slow": 90.0, "slower": 120.0}, "missing": {"absent": "not installed"}, "rows": []},
        "memory": UnavailableError("no [/proc] here"),
        "load": {"rows": [{"a": 1, "b_p50": math.nan, "b_p99": 2.0}]},
    }
    monkeypatch.setattr(suite, "PARTS", {name: suite.Part(part(name, figures)) for name, figures in parts.items()})
    return ran


def test_a_contract_says_for_which_robot_is_planned(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(contract_for("valve").text)
    assert Settings("valve", contract=mine).contract_file == str(mine)
    assert workload.served("valve", {"num_samples": 4}, contract_file=str(mine)).contract.folder == tmp_path
    words = ["benchmark", "planner", "--task", "baoding", "--contract", str(mine), "--part", "memory"]
    wrong = CliRunner().invoke(app, words)
    assert wrong.exit_code == 2
    assert "valve" in wrong.output


def test_a_report_has_the_promised_keys(fake_parts: list[str], tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    suite.run(Settings(), None, file)
    report = json.loads(file.read_text())
    assert fake_parts == ["latency", "peers", "memory", "load"]
    assert report["plan_cpu_ms"] == 10.0
    assert report["gemm_fp32_cpu_ms"] == 20.0
    assert report["ratio_to_gemm"] == 0.5
    assert report["peers"] == {"slow": 90.0, "slower": 120.0}
    assert report["peers_missing"] == {"absent": "not installed"}
    assert report["speedup_over_fastest_peer"] == pytest.approx(9.0)
    assert report["memory"] == {"skipped": "no [/proc] here"}
    assert report["load"]["rows"][0]["b_p50"] is None
    machine = report["machine"]
    assert machine["cores_usable"] == len(os.sched_getaffinity(0))
    assert all(machine[key] for key in ("cpu", "python", "numpy", "onnxruntime"))
    assert len(machine["load_average"]) == 3


def test_what_was_not_measured_is_null(fake_parts: list[str]) -> None:
    report = suite.run(Settings(), ["load"])
    assert fake_parts == ["load"]
    assert "latency" not in report
    assert report["plan_cpu_ms"] is report["speedup_over_fastest_peer"] is None
    assert report["peers"] == {}


def test_a_benchmark_that_was_killed_leaves_what_is_done(fake_parts: list[str], tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    seen = []

    def kill(name: str) -> None:
        report = json.loads(file.read_text())
        seen.append((name, report["unfinished"], report.get("plan_cpu_ms")))
        if name == "memory":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        suite.run(Settings(), None, file, on_begin=kill)
    assert seen == [
        ("latency", ["latency", "peers", "memory", "load"], None),
        ("peers", ["peers", "memory", "load"], 10.0),
        ("memory", ["memory", "load"], 10.0),
    ]
    assert suite.run(Settings(), ["load"], file)["unfinished"] == []


def test_a_measurement_ends_with_the_benchmark_that_began_it(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from mbrl_controller.benchmark.subprocess_run import run_in_subprocess\n"
        "from tests.benchmark.test_suite import sleep_for_ever\n"
        f"run_in_subprocess(sleep_for_ever, {str(tmp_path / 'pid')!r})\n"
    )
    root = Path(__file__).parents[2]
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=root)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert parent.poll() is None
        time.sleep(0.02)
    child = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait()
    until = time.monotonic() + 30
    while Path(f"/proc/{child}/stat").exists() and time.monotonic() < until:
        if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.02)
    else:
        assert not Path(f"/proc/{child}").exists()


def sleep_for_ever(file: str) -> dict:
    Path(file).write_text(str(os.getpid()))
    time.sleep(600)
    return {}


def test_the_default_plan_is_what_a_controller_serves_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"CANDIDATES": 8, "HORIZON": 2}.items():
        monkeypatch.setattr(default_plan, name, value)
    faster = {"model.onnx": 0.5, "model.int8.onnx": 1.0}
    monkeypatch.setattr("mbrl_controller.models.selection.time_in_sandbox", lambda file, *_: faster[file.path.name])
    found = default_plan.measure(["valve", "reach"], 3)
    valve = found["valve"]
    assert valve["file"] == "model.onnx"
    assert "fp32 500 ms" in valve["why"]
    # The policy acts: its network once, and each member once to look at what it does.
    assert (valve["acts"], valve["candidates"], valve["network_evaluations"]) == ("distilled", 0, 4)
    assert valve["ratio_to_full_gemm"] == pytest.approx(valve["cpu_ms"] / valve["full_gemm_cpu_ms"])
    planned = workload.planner_defaults("valve", "pddm").model_copy(update={"policy": "controller"})
    monkeypatch.setattr(workload, "planner_defaults", lambda *_: planned)
    valve = default_plan.measure(["valve"], 3)["valve"]
    assert (valve["acts"], valve["candidates"], valve["horizon"]) == ("controller", 500, 7)
    assert valve["ratio_to_full_gemm"] > 1  # 500 candidates and 7 steps beside the products of 8 and 2
    assert "no model" in found["reach"]["skipped"]
    figures = {"candidates": 8, "horizon": 2, "repeats": 3, "rows": [], "control_rate": [], "default_plan": found}
    assert [row["task"] for row in latency.tables(figures)[2][1]] == ["valve"]
    assert latency.headline(figures) == {"default_plan": found}


def test_a_networks_layers_count_its_contact_features() -> None:
    spec = Registry().resolve("baoding", "v0002").card().spec
    assert workload.layer_widths(spec) == [212, 500, 500, 36]


def test_the_command_prints_tables_skips_and_headlines(fake_parts: list[str], tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    result = CliRunner().invoke(app, ["benchmark", "planner", "--quick", "--json", str(file)])
    assert result.exit_code == 0, result.output
    assert "memory: skipped: no [/proc] here" in result.output
    assert "latency: without paper fp32: no reason" in result.output
    assert "plan_cpu_ms: 10" in result.output
    assert "cores usable" in result.output
    assert json.loads(file.read_text())["quick"] is True


def test_an_unknown_part_is_refused_with_the_known_names() -> None:
    with pytest.raises(MbrlError, match=r"unknown part 'speed'; known: latency, .*load"):
        suite.run(Settings(), ["latency", "speed"])
    result = CliRunner().invoke(app, ["benchmark", "planner", "--part", "speed"])
    assert result.exit_code == 2


def test_parts_run_in_their_own_order() -> None:
    assert suite.chosen(["load", "latency"]) == ["latency", "load"]
    assert suite.chosen([]) == suite.chosen(None) == list(suite.PARTS)


def test_the_reported_time_is_the_measured_one() -> None:
    def work() -> None:
        time.sleep(SLEEP)

    times = timing.in_turn({"sleep": work, "nothing": lambda: None}, 5)
    assert len(times["sleep"].wall) >= 5
    assert times["sleep"].wall.min() >= SLEEP
    assert np.median(times["sleep"].cpu) < np.median(times["sleep"].wall)
    assert times["nothing"].wall.min() >= 0
    assert timing.paced(work, 2 * SLEEP, 3).wall.min() >= SLEEP


def test_paced_calls_keep_their_distance() -> None:
    began, start = [], time.monotonic()
    timing.paced(lambda: began.append(time.monotonic() - start), 0.01, 4, warm_up=0)
    assert all(begin >= 0.01 * number - 1e-3 for number, begin in enumerate(began))


def test_percentiles_are_ordered_and_named() -> None:
    found = timing.percentiles("x_ms", np.random.default_rng(0).exponential(size=100))
    assert list(found) == ["x_ms_p50", "x_ms_p95", "x_ms_p99"]
    assert found["x_ms_p50"] <= found["x_ms_p95"] <= found["x_ms_p99"]
    assert math.isnan(timing.percentiles("x", np.empty(0))["x_p50"])


def test_one_core_is_given_back() -> None:
    before = os.sched_getaffinity(0)
    with timing.one_core():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_latency_of_a_served_model() -> None:
    figures = latency.measure(3, ["valve"], candidates=8, horizon=2, paper=False)
    rows = {(row["what"], row["by"]): row for row in figures["rows"]}
    plan, product = rows["plan", "fp32"], rows["gemm", "numpy"]
    assert plan["network"] == "3x(30-250-250-20)"
    assert all(0 < row["cpu_ms"] <= row["cpu_ms_p95"] for row in rows.values())
    yardstick = figures["gemm_fp32_cpu_ms"]["valve"]
    assert yardstick == min(row["cpu_ms"] for row in rows.values() if row["what"] == "gemm")
    assert plan["ratio_to_gemm"] == pytest.approx(plan["cpu_ms"] / yardstick)
    assert product["ratio_to_gemm"] >= 1.0
    assert [row["called"] for row in figures["control_rate"]] == ["back to back", "10 Hz"]
    assert latency.headline(figures) == {}  # that size was not measured


@pytest.mark.usefixtures("own_int8")
def test_the_plan_called_paper_is_the_papers(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    case = workload.paper_sized(tmp_path, "int8")
    assert (case.network, case.spec.precision) == ("3x(70-500-500-46)", "int8")
    assert (case.planner.config.num_samples, case.planner.config.horizon) == (700, 7)
    case()
    figures = latency.measure_cases([case], 1, {})
    head = latency.headline(figures)
    assert head["ratio_to_gemm"] == pytest.approx(head["plan_cpu_ms"] / head["gemm_fp32_cpu_ms"])


def test_no_model_at_all_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MBRL_HOME", str(tmp_path / "empty"))
    with pytest.raises(UnavailableError, match="valve: no model of task"):
        latency.measure(1, ["valve"], paper=False)


def test_peers_are_told_by_planner_and_the_missing_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    results = [
        PeerResult("one", "1.0", {"MPPI": 90.0, "CEM": 95.0}, "a note"),
        PeerResult("two", reason="not installed"),
    ]
    monkeypatch.setattr(external, "peer_results", lambda python, timeout_s: results)
    figures = external.run(Settings())
    assert figures["cpu_ms"] == {"one MPPI": 90.0, "one CEM": 95.0}
    assert figures["missing"] == {"two": "not installed"}
    assert [row["planner"] for row in figures["rows"]] == ["MPPI", "CEM"]


def test_memory_is_looked_at_in_steps() -> None:
    s = workload.served("valve", TINY)
    figures = memory.measure_core(s.core, s.rest(), s.goal, plans=25, every=10, warm_up=5)
    assert figures["looked_at_after_plans"] == [0, 10, 20, 25]
    assert 0 < figures["after_warm_up_mib"] <= figures["highest_mib"]
    assert figures["after_mib"] == pytest.approx(figures["resident_kib"][-1] / 1024)
    assert math.isfinite(figures["growth_kib_per_1000_plans"])


def test_a_slow_objective_is_reported_as_late_by_as_much() -> None:
    p = make_planner("pddm", 1, TINY)

    def objective(candidates: np.ndarray) -> np.ndarray:
        time.sleep(SLEEP)
        return -np.abs(candidates - 0.5).sum((1, 2))

    problems = [(objective, p.initial_state)] * 3
    figures = anytime.measure_planner(p, problems, seeds=2, period=0.0, deadlines_ms=(1.0, 1000.0))
    soon, ample = figures["rows"]
    assert soon["plans"] == ample["plans"] == 6
    assert soon["on_time"] == 0.0
    assert soon["late_ms_p50"] >= 1e3 * SLEEP - 1.0
    assert soon["late_ms_p50"] <= soon["late_ms_p95"] <= soon["late_ms_p99"] <= soon["late_ms_max"]
    assert ample["on_time"] == 1.0
    assert ample["late_ms_max"] < 0
    (gain,) = figures["gains"]
    assert gain["gain_mean"] == pytest.approx(ample["return_mean"] - soon["return_mean"])


def test_anytime_from_simulated_states() -> None:
    pytest.importorskip("mujoco")
    figures = anytime.measure("valve", states=3, seeds=1, period=0.0)
    assert [row["deadline_ms"] for row in figures["rows"]] == [5.0, 10.0, 20.0, 50.0]
    assert all(math.isfinite(row["return_mean"]) and row["candidates"] >= 1 for row in figures["rows"])
    low, high = figures["gains"][-1]["gain_mean_ci95"]
    assert low <= figures["gains"][-1]["gain_mean"] <= high


def test_the_loop_under_load_counts_its_ticks() -> None:
    conditions = [load.Conditions("busy, frozen", frozen=True, load_niceness=19)]
    figures = load.measure("valve", [50.0], 0.3, conditions)
    (row,) = figures["rows"]
    assert row["ticks"] >= 1
    for name in ("execution_ms", "lateness_ms"):
        assert row[f"{name}_p50"] <= row[f"{name}_p95"] <= row[f"{name}_p99"]
    ((_, rows),) = load.tables(figures)
    assert rows[0]["conditions"] == "busy, frozen"


def test_a_slow_planner_shows_in_the_loops_row(monkeypatch: pytest.MonkeyPatch) -> None:
    s = workload.served("valve", TINY)
    rollout = s.model.rollout

    def taking(seconds: float) -> Callable:
        def slow(*arguments: np.ndarray) -> np.ndarray:
            time.sleep(seconds)
            return rollout(*arguments)

        return slow

    monkeypatch.setattr(s.model, "rollout", taking(SLEEP))
    row = load.loop_row(s, s.rest(), 20.0, 0.3)
    assert row["execution_ms_p50"] >= 1e3 * SLEEP
    monkeypatch.setattr(s.model, "rollout", taking(0.1))
    assert load.loop_row(s, s.rest(), 20.0, 0.3)["late_plans"] > 0


def test_what_the_system_refuses_stands_in_place_of_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "apply_scheduling", lambda priority, cpus: ["SCHED_FIFO priority 50: not today"])
    answer = load.measure_loop("valve", [10.0], 0.1, pinned=False, priority=50, frozen=False, required=True)
    assert answer == {"rows": [], "refused": ["SCHED_FIFO priority 50: not today"]}
    refused = dict.fromkeys(("fifo", "all"), answer["refused"])
    (_, rows), (_, without) = load.tables(
        {"cores": 2, "seconds": 1.0, "rows": [{"conditions": "all"}], "refused": refused}
    )
    assert rows[1] == {"conditions": "fifo: refused: SCHED_FIFO priority 50: not today"}
    assert without == [{"conditions": "all", "refused": "SCHED_FIFO priority 50: not today"}]


def test_load_processes_end_with_the_block() -> None:
    with cpu_load(2, niceness=19) as processes:
        assert [process.poll() for process in processes] == [None, None]
        assert os.getpriority(os.PRIO_PROCESS, processes[0].pid) == 19
    assert all(process.poll() is not None for process in processes)


def test_a_child_answers_or_says_why_not() -> None:
    with pytest.raises(UnavailableError, match="unknown task 'chess'"):
        run_in_subprocess(memory.measure, task="chess", plans=1)
    with pytest.raises(MbrlError, match=r"memory\.measure: exit code 1: TypeError"):
        run_in_subprocess(memory.measure, "valve", plans="many")


def test_a_missing_package_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_torch(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(latency, "paper_sized", without_torch)
    figures = latency.measure(1, ["valve"], candidates=4, horizon=1)
    assert ".[train]" in figures["missing"]["paper int8"]
    assert {row["case"] for row in figures["rows"]} == {"valve"}


def test_the_heads_of_a_version_are_not_taken_for_models() -> None:
    files, refused = workload.model_files("valve")
    assert Registry().current("valve").card().policy is not None
    assert "fp32" in files
    assert set(refused) <= {"model.int8.onnx"}  # a processor may round otherwise
