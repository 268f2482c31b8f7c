# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""From episodes to versions: what is promoted, refused, resumed, and what bad input gets."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from mbrl_controller.base.deprecated import RenamedWarning
from mbrl_controller.base.errors import ContractError, DatasetError, EpisodeError, MbrlError, ModelError, RegistryError
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.registry import Registry
from mbrl_controller.rollouts import collect
from mbrl_controller.simulation.extract_geometry import extract_geometry
from mbrl_controller.training import retrain
from mbrl_controller.training.callbacks import RetrainCallback
from mbrl_controller.training.dataset import episode_files, load_dataset
from mbrl_controller.training.episode_weights import parse_weights

from ..rollout_calls import retrained, roll_out
from ..trained_valve import TINY


def run(base: Path, episodes: Path, **changes) -> retrain.RetrainResult:
    places = {"models_dir": base / "models", "runs_dir": base / "runs"}
    return retrained("valve", episodes=[episodes], **{"options": TINY, "threads": 1, **places, **changes})


def of_robot(name: str, folder: Path) -> Path:
    """A contract that is the claw's but for the robot."""
    path = folder / f"{name}.yaml"
    path.write_text(contract_for("valve").text.replace("robot: claw", f"robot: {name}"))
    return path


@pytest.fixture(scope="module")
def leap(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The contract and the log of a robot of which nothing is shipped."""
    folder = tmp_path_factory.mktemp("leap")
    path = of_robot("leap", folder)
    contract = load_contract(path)
    rng = np.random.default_rng(0)
    for number in range(4):
        states = np.cumsum(rng.normal(0, 0.02, (71, len(contract.task.state))), axis=0)
        states[1:, :9] = commands = rng.uniform(
            -0.3, 0.3, (70, len(contract.action))
        )  # a hand that does what it is told
        file = folder / "episodes" / f"episode_{number:04d}.mcap"
        write_trajectory(file, contract, EpisodeInfo("s", number), states, commands)
    return path, folder / "episodes"


def test_the_first_version_is_promoted_and_complete(tmp_path: Path, valve_episodes: Path) -> None:
    result = run(tmp_path, valve_episodes)
    assert result.status == "promoted"
    assert result.version is not None
    current = Registry(tmp_path / "models").resolve("valve", result.version.name)
    card = current.check_digest()
    model = OnnxEnsemble.load(current.model)
    assert card.spec == model.spec
    assert card.spec.transitions == len(result.dataset.data)
    assert card.spec.data_digest == result.dataset.data.digest()
    assert card.spec.disagreement_limit == pytest.approx(3 * result.metrics["disagreement_p999"])
    assert card.spec.metrics == result.metrics
    report = (current.folder / "report.md").read_text()
    for name in ("loss.png", "errors.png"):
        assert name in report
        assert (current.folder / name).read_bytes().startswith(b"\x89PNG")


def test_a_worse_version_is_refused_unless_forced(tmp_path: Path, valve_episodes: Path) -> None:
    good = run(tmp_path, valve_episodes, force=True)
    bad = {"options": {**TINY, "max_epochs": 0}}
    refused = run(tmp_path, valve_episodes, **bad)
    registry = Registry(tmp_path / "models")
    assert refused.status == "refused"
    assert good.version is not None
    assert good.version.name in refused.reason
    assert registry.current("valve").name == good.version.name
    forced = run(tmp_path, valve_episodes, force=True, **bad)
    assert forced.version is not None
    assert registry.current("valve").name == forced.version.name
    assert registry.roll_back("valve").name == good.version.name


def test_without_promotion_the_current_version_stays(tmp_path: Path, valve_episodes: Path) -> None:
    first = run(tmp_path, valve_episodes, force=True)
    second = run(tmp_path, valve_episodes, promote=False, force=True)
    assert second.status == "added"
    assert first.version is not None
    assert Registry(tmp_path / "models").current("valve").name == first.version.name


def test_a_warm_start_begins_where_the_current_version_ended(tmp_path: Path, valve_episodes: Path) -> None:
    run(tmp_path, valve_episodes, force=True)
    warm = run(tmp_path, valve_episodes, start="warm", options={**TINY, "max_epochs": 0})
    assert warm.status == "promoted"  # not worse: it is the same
    assert warm.metrics["one_step_nrmse"] == pytest.approx(warm.baseline["one_step_nrmse"], rel=1e-3)


@pytest.mark.usefixtures("own_int8")
def test_an_8_bit_file_lies_beside_the_fp32_one_that_a_warm_start_takes(tmp_path: Path, valve_episodes: Path) -> None:
    first = run(tmp_path, valve_episodes, force=True).version
    assert first is not None
    card = first.check_digest()
    assert (card.spec.precision, card.int8_refused) == ("fp32", "")
    assert first.path_for() == first.int8
    assert OnnxEnsemble.load(first.int8).spec.version == first.name
    assert "--precision auto" in card.command
    report = (first.folder / "report.md").read_text()
    assert "An 8-bit file lies beside the fp32 one" in report
    assert f"| elite_median | {card.int8_figures['elite_median']:.4g} |" in report
    assert run(tmp_path, valve_episodes, start="warm", options={**TINY, "max_epochs": 0}).status == "promoted"


def test_a_model_that_quantises_badly_stays_fp32(tmp_path: Path, valve_episodes: Path, monkeypatch) -> None:
    monkeypatch.setattr("mbrl_controller.dynamics.export.INT8_RMS_TOLERANCE", 1e-9)
    version = run(tmp_path, valve_episodes).version
    assert version is not None
    card = version.check_digest()
    assert card.int8_sha256 is None
    assert card.int8_refused.startswith("the exported int8 graph differs")
    assert f"No 8-bit file: {card.int8_refused}." in (version.folder / "report.md").read_text()
    assert version.path_for() == version.model


def test_without_8_bit_none_is_tried(tmp_path: Path, valve_episodes: Path) -> None:
    version = run(tmp_path, valve_episodes, precision="fp32").version
    assert version is not None
    card = version.check_digest()
    assert (card.int8_sha256, card.int8_figures, card.int8_refused) == (None, {}, "")
    assert "--precision fp32" in card.command
    assert not version.int8.exists()


def test_a_warm_start_of_another_size_is_refused(tmp_path: Path, valve_episodes: Path) -> None:
    run(tmp_path, valve_episodes, force=True)
    with pytest.raises(ModelError, match="another network"):
        run(tmp_path, valve_episodes, start="warm", options={**TINY, "hidden": [16, 16]})


def test_a_fresh_model_of_much_less_data_does_not_follow(tmp_path: Path, valve_episodes: Path) -> None:
    few = sorted(valve_episodes.iterdir())[:6]
    first = run(tmp_path, valve_episodes, force=True, options={**TINY, "max_epochs": 0})
    assert first.version is not None
    card = first.version.card()
    spec = card.spec.model_copy(update={"transitions": 20_000})
    (first.version.folder / "card.json").write_text(card.model_copy(update={"spec": spec}).model_dump_json())
    arguments = {"models_dir": tmp_path / "models", "runs_dir": tmp_path / "runs", "options": TINY, "threads": 1}
    second = retrained("valve", episodes=few, **arguments)
    assert second.status == "refused"
    assert "240 transitions" in second.reason
    assert retrained("valve", episodes=few, start="warm", **arguments).status == "promoted"


def test_a_stopped_run_resumes_to_the_same_version(tmp_path: Path, valve_episodes: Path) -> None:
    whole = run(tmp_path / "whole", valve_episodes, force=True)
    calls = iter(range(10_000))
    stopped = run(tmp_path / "cut", valve_episodes, force=True, should_stop=lambda: next(calls) > 4)
    assert stopped.status == "stopped"
    assert not any(v.folder.is_relative_to(tmp_path) for v in Registry(tmp_path / "cut" / "models").versions("valve"))
    resumed = run(tmp_path / "cut", valve_episodes, resume=True)
    assert resumed.status == "promoted"
    assert resumed.metrics == whole.metrics
    with pytest.raises(MbrlError, match="no unfinished run"):
        run(tmp_path / "cut", valve_episodes, resume=True)


@pytest.mark.slow
def test_a_killed_run_leaves_the_registry_and_resumes(tmp_path: Path, valve_episodes: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mbrl_controller.models import registry;"
        "from mbrl_controller.training.retrain import RetrainRequest, run; b=Path(sys.argv[1]);"
        "registry.share_dir=lambda: b;"
        "run(RetrainRequest('valve', episodes=[Path(sys.argv[2])], models_dir=b/'models',"
        "runs_dir=b/'runs', threads=1, options=dict(hidden=[32,32], max_epochs=3000, patience=3000, horizon=1)))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(valve_episodes)])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("runs/retrain/valve/*/checkpoint.npz")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not list((tmp_path / "models").glob("valve/v*"))
    plan = next(tmp_path.glob("runs/retrain/valve/*/plan.json"))
    content = json.loads(plan.read_text())
    calls = iter(range(10_000))
    stopped = run(tmp_path, valve_episodes, resume=True, should_stop=lambda: next(calls) > 4)
    assert stopped.status == "stopped"  # it went on from the checkpoint: 3000 epochs are not over
    assert json.loads(plan.read_text()) == content


@pytest.mark.parametrize("at", ["add", "promote"])
def test_a_run_killed_after_its_version_was_added_adds_no_other(
    tmp_path: Path, valve_episodes: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    real = getattr(Registry, at)

    def killed_after(*arguments: object) -> None:
        real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Registry, at, killed_after)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, valve_episodes, force=True)
    (before,) = Registry(tmp_path / "models").versions("valve")
    resumed = run(tmp_path, valve_episodes, resume=True)
    assert resumed.status == "promoted"
    assert [version.name for version in Registry(tmp_path / "models").versions("valve")] == [before.name]
    assert Registry(tmp_path / "models").current("valve").name == before.name


def test_two_retrains_at_once_are_refused(tmp_path: Path, valve_episodes: Path) -> None:
    """Into one registry, also where their runs are in different folders."""
    inner: list[str] = []

    class Second(RetrainCallback):
        def on_stage(self, text: str) -> None:
            if not inner:
                inner.append("")
                with pytest.raises(MbrlError, match="another retrain"):
                    run(tmp_path, valve_episodes)
                with pytest.raises(MbrlError, match=r"another retrain .*models/valve"):
                    run(tmp_path, valve_episodes, runs_dir=tmp_path / "elsewhere")

    assert run(tmp_path, valve_episodes, force=True, callback=Second()).status == "promoted"
    assert inner


def test_a_run_of_version_0_1_resumes(tmp_path: Path, valve_episodes: Path) -> None:
    """Its plan, as that version wrote it."""
    train = {
        "ensemble_size": 2, "hidden": [32, 32], "learning_rate": 0.001, "batch": 512, "max_epochs": 6, "patience": 10,
        "input_noise": 0.01, "target_noise": 0.01, "weight_decay": 0.0001, "huber": None, "horizon": 1,
        "horizon_epochs": 3, "horizon_learning_rate": 0.0004, "loss_weights": {}, "bootstrap": False,
        "holdout_fraction": 0.1, "seed": 0, "action_input": "error", "input_clamp": 5.0, "contacts": False,
    }  # fmt: skip
    plan = {
        "task": "valve", "contract": contract_for("valve").text,
        "files": list(map(str, episode_files([valve_episodes]))),
        "train": train, "start": "fresh", "parent": "", "passed_over": {}, "precision": "auto", "force": True,
        "promote": True, "notes": "of before",
    }  # fmt: skip
    folder = tmp_path / "runs" / "retrain" / "valve" / "20260101T000000"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(plan))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RenamedWarning)
        result = run(tmp_path, valve_episodes, resume=True)
    assert (result.status, result.run_folder) == ("promoted", folder)
    assert result.version is not None
    assert result.version.card().notes == "of before"
    options = {name: value for name, value in train.items() if name != "loss_weights"}
    assert run(tmp_path / "now", valve_episodes, options=options).metrics == result.metrics


def test_too_little_data_says_how_much_is_needed(tmp_path: Path) -> None:
    few = roll_out(
        collect.run, "valve", episodes=1, policy="random", episodes_dir=tmp_path, session="few", processes=1
    ).folder
    with pytest.raises(DatasetError, match=r"40 transitions.*200"):
        run(tmp_path, few)


@pytest.mark.parametrize("content", [None, [], "not a folder"])
def test_no_episodes_says_where_it_looked(tmp_path: Path, content: object) -> None:
    folder = tmp_path / "episodes"
    if content == []:
        folder.mkdir()
    with pytest.raises((DatasetError, EpisodeError), match="episodes"):
        run(tmp_path, folder)


def test_bad_training_options_are_named(tmp_path: Path, valve_episodes: Path) -> None:
    with pytest.raises(MbrlError, match="learning_rate"):
        run(tmp_path, valve_episodes, options={"learning_rate": -1})
    with pytest.raises(MbrlError, match="colour"):
        run(tmp_path, valve_episodes, options={"colour": "red"})


def test_a_first_warm_start_needs_a_version(tmp_path: Path, valve_episodes: Path) -> None:
    with pytest.raises(RegistryError, match="--warm"):
        run(tmp_path, valve_episodes, start="warm")


def test_damaged_and_doubled_files_are_listed_and_the_rest_is_used(tmp_path: Path, valve_episodes: Path) -> None:
    folder = tmp_path / "episodes"
    shutil.copytree(valve_episodes, folder)
    files = episode_files([folder])
    (folder / "copy.mcap").write_bytes(files[0].read_bytes())
    (folder / "empty.mcap").write_bytes(b"")
    (folder / "garbage.mcap").write_bytes(b"\x00" * 1000)
    dataset = load_dataset(episode_files([folder]), contract_for("valve"))
    assert len(dataset.files) == len(files)
    assert {Path(p).name for p in dataset.unused_files} >= {"empty.mcap", "garbage.mcap"}
    assert len(dataset.unused_files) == 3
    whole = load_dataset(files, contract_for("valve"))
    assert sorted(dataset.data.episode_keys) == sorted(whole.data.episode_keys)


def test_collected_episodes_give_back_what_was_recorded(tmp_path: Path) -> None:
    """Nominal sensors: what retrain reads is what the simulation did, to the bit."""
    seen = []
    folder = roll_out(
        collect.run,
        "valve",
        episodes=2,
        policy="random",
        episodes_dir=tmp_path,
        session="s",
        processes=1,
        on_episode=seen.append,
    ).folder
    data = load_dataset(episode_files([folder]), contract_for("valve")).data
    assert np.array_equal(data.state, np.concatenate([r.states[:-1] for r in seen]))
    assert np.array_equal(data.action, np.concatenate([r.commands for r in seen]))
    assert np.array_equal(data.next_state, np.concatenate([r.states[1:] for r in seen]))


def test_a_collection_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    def collected(**changes) -> collect.Collected:
        arguments = {"policy": "random", "episodes_dir": tmp_path, "session": "s", "processes": 1, "seconds": 0.5}
        return roll_out(collect.run, "valve", **{**arguments, **changes})

    first = collected(episodes=2)
    before = {f.name: f.stat().st_mtime_ns for f in first.folder.iterdir()}
    (first.folder / "episode_0003.mcap.part").write_bytes(b"cut")
    collected(episodes=3)
    after = {f.name: f.stat().st_mtime_ns for f in first.folder.iterdir()}
    assert set(after) == {"episode_0001.mcap", "episode_0002.mcap", "episode_0003.mcap"}
    assert {name: after[name] for name in before} == before
    with pytest.raises(EpisodeError, match="session"):
        collected(session="../elsewhere", episodes=1)


def test_contact_features_come_from_the_scene_and_stay_through_a_warm_start(tmp_path: Path) -> None:
    folder = roll_out(
        collect.run,
        "baoding",
        episodes=12,
        seconds=3.0,
        policy="random",
        random_scale=0.3,
        episodes_dir=tmp_path,
        processes=1,
    ).folder

    def learn(**changes) -> OnnxEnsemble:
        result = retrained(
            "baoding",
            episodes=[folder],
            models_dir=tmp_path / "models",
            runs_dir=tmp_path / "runs",
            force=True,
            threads=1,
            **{"options": {**TINY, "contacts": True}, **changes},
        )
        assert result.version is not None
        return OnnxEnsemble.load(result.version.model)

    geometry = extract_geometry(contract_for("baoding"))
    assert learn().spec.geometry == geometry
    assert learn(start="warm", options={**TINY, "max_epochs": 0, "contacts": False}).spec.geometry == geometry
    assert learn(options={**TINY, "contacts": False}).spec.geometry is None


class NeverReads(RetrainCallback):
    def on_read_start(self, total: int) -> None:
        raise AssertionError("it began to read")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"options": {**TINY, "contacts": True}}, "no simulated world.*--set contacts=false"),
        ({"options": {**TINY, "loss_weights": {"colour": 1.0}}}, "no state entry begins with"),
        ({"start": "warm", "options": {**TINY, "hidden": [16, 16]}}, "another network"),
        ({"start": "warm", "contract": "other"}, "v0001: its robot is leap, not other; leave out --warm"),
        ({"models_dir": "a file"}, "cannot be written"),
    ],
)
def test_what_is_wrong_besides_the_data_is_said_before_it_is_read(
    tmp_path: Path, leap: tuple[Path, Path], changes: dict, complaint: str
) -> None:
    contract, episodes = leap
    if changes.get("start") == "warm":
        run(tmp_path, episodes, contract=contract)
    if "models_dir" in changes:
        changes = {"models_dir": contract}  # a file
    if "contract" in changes:
        changes = {**changes, "contract": of_robot("other", tmp_path)}
    with pytest.raises(MbrlError, match=complaint):
        run(tmp_path, episodes, **{"contract": contract, "callback": NeverReads(), **changes})
    with pytest.raises(MbrlError, match="no unfinished run"):  # nor is there one that would go wrong again
        run(tmp_path, episodes, resume=True)


def test_the_first_version_of_a_robot_does_not_follow_another_robots(
    tmp_path: Path, leap: tuple[Path, Path], valve_episodes: Path
) -> None:
    contract, episodes = leap
    shipped = run(tmp_path, valve_episodes).version
    assert shipped is not None
    card = shipped.card()
    spec = card.spec.model_copy(update={"transitions": 13_600})
    (shipped.folder / "card.json").write_text(card.model_copy(update={"spec": spec}).model_dump_json())
    registry = Registry(tmp_path / "models")

    told: list[str] = []

    class Told(RetrainCallback):
        def on_stage(self, text: str) -> None:
            told.append(text)

    first = run(tmp_path, episodes, contract=contract, callback=Told())
    assert (first.status, first.baseline) == ("promoted", {})
    assert first.version is not None
    assert "v0001: its robot is claw, not leap" in first.reason
    assert "v0001 is no parent: its robot is claw, not leap" in told
    assert "its robot is claw, not leap" in (first.version.folder / "report.md").read_text()
    assert first.version.card().spec.parent == ""
    assert registry.current("valve").name == first.version.name
    # From now on it has a version of its own, also while the other robot's is current.
    registry.promote("valve", shipped.name)
    worse = run(tmp_path, episodes, contract=contract, options={**TINY, "max_epochs": 0})
    assert (worse.status, bool(worse.baseline)) == ("refused", True)
    assert "worse than v0002" in worse.reason
    warm = run(tmp_path, episodes, contract=contract, start="warm", options={**TINY, "max_epochs": 0})
    assert warm.version is not None
    assert (warm.status, warm.version.card().spec.parent) == ("promoted", "v0002")
    assert warm.metrics["one_step_nrmse"] == pytest.approx(warm.baseline["one_step_nrmse"], rel=1e-3)


def test_a_robot_whose_limits_changed_is_still_compared(tmp_path: Path, leap: tuple[Path, Path]) -> None:
    contract, episodes = leap
    run(tmp_path, episodes, contract=contract)
    narrower = tmp_path / "narrower.yaml"
    narrower.write_text(contract.read_text().replace("upper: 1.3", "upper: 1.25"))
    assert narrower.read_text() != contract.read_text()
    again = run(tmp_path, episodes, contract=narrower, options={**TINY, "max_epochs": 0})
    assert (again.status, "one_step_nrmse" in again.baseline) == ("refused", True)


def test_one_endless_episode_is_enough(tmp_path: Path) -> None:
    contract = contract_for("valve")
    rng = np.random.default_rng(0)
    states = np.cumsum(rng.normal(0, 0.01, (1251, len(contract.task.state))), axis=0)
    commands = rng.uniform(-0.3, 0.3, (1250, len(contract.action)))
    folder = tmp_path / "episodes"
    write_trajectory(folder / "episode_0000.mcap", contract, EpisodeInfo("s", 0), states, commands)
    assert run(tmp_path, folder).status == "promoted"


def test_contact_features_need_free_objects(tmp_path: Path, valve_episodes: Path) -> None:
    with pytest.raises(ContractError, match="no free objects"):
        run(tmp_path, valve_episodes, options={**TINY, "contacts": True})


def test_files_have_the_weight_that_they_were_given(tmp_path: Path, valve_episodes: Path) -> None:
    files = episode_files([valve_episodes])
    heavy = {files[0]: 3.0, files[3]: 0.5}
    data = load_dataset(files, contract_for("valve"), weights=heavy).data
    assert data.weight is not None
    own = {key: set(data.weight[data.episode == i].tolist()) for i, key in enumerate(data.episode_keys)}
    assert [own[key] for key in sorted(own)] == [{heavy.get(path, 1.0)} for path in files]
    assert data.digest() != load_dataset(files, contract_for("valve")).data.digest()
    for part in data.split_by_episode(0.3):
        assert part.weight is not None
        assert len(part.weight) == len(part)
    with pytest.raises(DatasetError, match="none of the episodes"):
        run(tmp_path, files[0], weights={files[1]: 2.0})
    with pytest.raises(DatasetError, match="above 0"):
        run(tmp_path, valve_episodes, weights={files[1]: 0.0})
    assert parse_weights(["a=b=0.5", "c=2"]) == {Path("a=b"): 0.5, Path("c"): 2.0}
    for bad in ("0.5", "=0.5", "a=", "a=much"):
        with pytest.raises(DatasetError, match="PATH=NUMBER"):
            parse_weights([bad])
