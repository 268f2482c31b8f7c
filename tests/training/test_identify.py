# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Physics fitted to a log: values that are known come back, and what the data cannot tell is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import DatasetError, EpisodeError, MbrlError, ModelError
from mbrl_controller.control.task_config import contract_for
from mbrl_controller.dynamics.data import TransitionSet
from mbrl_controller.episodes.metadata import EpisodeInfo
from mbrl_controller.episodes.trajectory_writer import write_trajectory
from mbrl_controller.models.card import IDENTIFIED_FILE, ModelCard
from mbrl_controller.models.fitted import FittedParameter, IdentifiedCard
from mbrl_controller.models.identified import Identified, read_identified
from mbrl_controller.models.registry import Registry, file_sha256
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.planning.random_motion import RandomMotion
from mbrl_controller.rollouts.config import RolloutConfig, resolve
from mbrl_controller.rollouts.episode import EpisodeRunner
from mbrl_controller.simulation.env import HandEnv
from mbrl_controller.simulation.hand_simulation import HandSimulation
from mbrl_controller.simulation.physical_parameters import PARAMETERS, find_parameters
from mbrl_controller.simulation.scene import load_scene
from mbrl_controller.simulation.sim_options import SimOptions
from mbrl_controller.training import identify, quantise, retrain, retrain_plan
from mbrl_controller.training.identify_config import COMMON, IdentifyConfig
from mbrl_controller.training.identify_fit import Fit, fit_parameters
from mbrl_controller.training.identify_intervals import covariance, describe, student_t
from mbrl_controller.training.identify_windows import WindowErrors, cut_windows
from mbrl_controller.training.parent import why_no_parent

VALVE = contract_for("valve")
TRUTH = {"gain_factor": 0.8, "damping_factor": 1.3, "command_latency": 0.02}


def moved(options: SimOptions, seed: int, steps: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """States [T+1, S] and commands [T, A] of a valve's hand under random motion."""
    hand = HandEnv(HandSimulation(VALVE, options))
    motion = RandomMotion(len(VALVE.action), seed=seed)
    states, commands = [hand.reset(seed)[1]], []
    for _ in range(steps):
        commands.append(VALVE.action.limit(VALVE.action.to_target(motion()), states[-1][VALVE.task.joint_positions]))
        states.append(hand.step(commands[-1])[1])
    return np.array(states), np.array(commands)


@pytest.fixture(scope="module")
def hand_log() -> list[tuple[np.ndarray, np.ndarray]]:
    options = SimOptions(**TRUTH, joint_noise=1e-4, joint_velocity_noise=1e-3)
    return [moved(options, seed) for seed in range(10)]


@pytest.fixture(scope="module")
def data(hand_log: list[tuple[np.ndarray, np.ndarray]]) -> TransitionSet:
    sizes = [len(commands) for _, commands in hand_log]
    return TransitionSet(
        state=np.concatenate([states[:-1] for states, _ in hand_log]),
        action=np.concatenate([commands for _, commands in hand_log]),
        next_state=np.concatenate([states[1:] for states, _ in hand_log]),
        episode=np.repeat(np.arange(len(sizes)), sizes),
        step=np.concatenate([np.arange(size) for size in sizes]),
        episode_keys=tuple(f"e{i}" for i in range(len(sizes))),
    )


@pytest.fixture(scope="module")
def fit(data: TransitionSet) -> Fit:
    scene, names = load_scene(VALVE), ("mass_factor", *TRUTH)
    errors = WindowErrors(scene, VALVE, data)
    return fit_parameters(errors, cut_windows(data, 1, 40), find_parameters(names, scene), scene, 1.5, 2)


def test_known_parameters_come_back_within_their_intervals(fit: Fit) -> None:
    found = {p.name: p for p in describe(fit, load_scene(VALVE))[0]}
    for name, true in TRUTH.items():
        own = found[name]
        assert own.fitted
        assert own.value == pytest.approx(true, rel=0.1)
        assert own.low <= true <= own.high
        assert own.high - own.low < true


def test_a_parameter_without_influence_stays_and_is_said(fit: Fit) -> None:
    found, warnings = describe(fit, load_scene(VALVE))
    mass = next(p for p in found if p.name == "mass_factor")  # a valve has no free object
    assert not mass.fitted
    assert (mass.value, mass.low, mass.high) == (1.0, PARAMETERS["mass_factor"].lower, PARAMETERS["mass_factor"].upper)
    assert any(text.startswith("mass_factor: nothing that is measured") for text in warnings)


def made_up_fit(jacobian: np.ndarray, noise: float, seed: int = 0) -> Fit:
    rng = np.random.default_rng(seed)
    rows = len(jacobian)
    names = ("gain_factor", "damping_factor")[: jacobian.shape[1]]
    return Fit(
        parameters=tuple(PARAMETERS[name] for name in names),
        x=np.zeros(jacobian.shape[1]),
        jacobian=jacobian,
        residual=noise * rng.standard_normal(rows),
        weight=np.ones(rows),
        cluster=np.arange(rows) // 20,
        without_influence=(),
        iterations=1,
    )


def test_intervals_are_those_of_least_squares_where_errors_are_independent() -> None:
    jacobian = np.random.default_rng(1).standard_normal((4000, 2))
    spread, clusters = covariance(made_up_fit(jacobian, 0.3))
    assert clusters == 200
    np.testing.assert_allclose(np.diag(spread), 0.3**2 * np.diag(np.linalg.inv(jacobian.T @ jacobian)), rtol=0.35)


@pytest.mark.parametrize(("degrees", "quantile"), [(5, 2.571), (10, 2.228), (30, 2.042), (1000, 1.962)])
def test_students_t(degrees: int, quantile: float) -> None:
    assert student_t(degrees) == pytest.approx(quantile, rel=0.01)


def test_what_the_data_cannot_tell_is_said() -> None:
    scene = load_scene(VALVE)
    one = np.random.default_rng(1).standard_normal((400, 1))
    alike = np.concatenate([one, one + 0.01 * np.random.default_rng(2).standard_normal((400, 1))], axis=1)
    assert any("only their combination" in text for text in describe(made_up_fit(alike, 0.01), scene)[1])
    assert any("spans its range" in text for text in describe(made_up_fit(0.01 * one, 1.0), scene)[1])
    apart = np.random.default_rng(1).standard_normal((400, 2))
    assert describe(made_up_fit(apart, 0.1), scene)[1] == []


def test_names_are_options_of_the_simulated_hand() -> None:
    assert set(COMMON) < set(PARAMETERS) <= set(SimOptions.model_fields)
    for p in PARAMETERS.values():
        assert p.from_search(p.to_search(p.upper)) == pytest.approx(p.upper)
        assert find_parameters((p.name,), load_scene(VALVE))[0] is p


def test_windows_do_not_overlap_and_begin_after_a_known_period(data: TransitionSet) -> None:
    windows = cut_windows(data, 3, 30)
    assert len(windows) == 10
    assert windows.action.shape[1] == 3
    np.testing.assert_array_equal(windows.measured[:, 0], _after(data, windows.state))
    with pytest.raises(DatasetError, match="window=1"):
        cut_windows(data, 30, 100)


def _after(data: TransitionSet, states: np.ndarray) -> np.ndarray:
    rows = [int(np.flatnonzero((data.state == state).all(-1))[0]) for state in states]
    return data.next_state[rows]


# ---- the command


@pytest.fixture(scope="module")
def episodes(hand_log: list[tuple[np.ndarray, np.ndarray]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    for number, (states, commands) in enumerate(hand_log[:4], start=1):
        info = EpisodeInfo(session="s", episode=number, seed=number, world="real")
        goals = np.zeros((len(states), len(VALVE.task.goal)))
        write_trajectory(folder / f"e{number}.mcap", VALVE, info, states=states, commands=commands, goals=goals)
    return folder


OPTIONS = {"parameters": ["gain_factor"], "max_periods": 20, "max_iterations": 1, "holdout_fraction": 0.3}


@pytest.fixture(scope="module")
def made(episodes: Path, tmp_path_factory: pytest.TempPathFactory) -> identify.IdentifyResult:
    folder = tmp_path_factory.mktemp("models")
    (folder / ".no_fallback").touch()
    request = identify.IdentifyRequest("valve", episodes=[episodes], models_dir=folder, options=OPTIONS)
    return identify.run(request)


def test_a_version_says_what_was_fitted_to_what(made: identify.IdentifyResult) -> None:
    registry = Registry(made.version.folder.parents[1])
    card = made.version.check_digest()
    assert card.identified is not None
    assert card.spec.data_digest
    assert card.command == (
        "mbrl identify valve --set parameters=[gain_factor] --set max_periods=20 --set max_iterations=1 "
        "--set holdout_fraction=0.3"
    )
    assert card.identified.parameters == made.parameters
    assert {o.world for o in card.origins} == {"real"}
    assert read_identified(made.version, card).options == {"gain_factor": made.parameters[0].value}
    assert (made.version.folder / "report.md").is_file()
    assert registry.promoted("valve") == []


def test_it_plans_and_what_does_not_fit_is_refused(made: identify.IdentifyResult) -> None:
    models = made.version.folder.parents[1]
    resolved = resolve(RolloutConfig("valve", dynamics="identified", model=made.version.name, models_dir=models))
    assert resolved.spec.fitted == {"gain_factor": made.parameters[0].value}
    assert resolved.version == made.version.name
    with pytest.raises(MbrlError, match="only fitted physics"):
        resolve(RolloutConfig("valve", model=made.version.name, models_dir=models))
    nominal = resolve(RolloutConfig("valve", dynamics="identified", model="nominal", models_dir=models))
    assert nominal.spec.fitted == {}


def copied(made: identify.IdentifyResult, folder: Path, **changed: object) -> Registry:
    """The version in another registry, with another file of parameters."""
    files = folder / "files"
    files.mkdir()
    content = read_identified(made.version, made.version.card()).model_copy(update=changed)
    (files / IDENTIFIED_FILE).write_text(content.model_dump_json())
    card = made.version.card()
    own = card.identified.model_copy(update={"sha256": file_sha256(files / IDENTIFIED_FILE)})
    registry = Registry(folder / "models", shipped=folder / "none")
    registry.add("valve", files, card.model_copy(update={"identified": own}))
    return registry


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"world": "0" * 64}, "fit them again"),
        ({"robot": "another"}, "fit them again"),
        ({"task": "baoding"}, "of task 'baoding'"),
        ({"parameters": (FittedParameter(name="colour", value=1, low=1, high=1, nominal=1),)}, "colour"),
        ({"parameters": (FittedParameter(name="gain_factor", value=99, low=9, high=99, nominal=1),)}, "gain_factor"),
    ],
)
def test_another_worlds_parameters_are_refused(
    made: identify.IdentifyResult, tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    registry = copied(made, tmp_path, **changed)
    with pytest.raises(MbrlError, match=message):
        resolve(RolloutConfig("valve", dynamics="identified", model="v0001", models_dir=registry.root))


def test_a_damaged_or_missing_file_is_refused(made: identify.IdentifyResult, tmp_path: Path) -> None:
    registry = copied(made, tmp_path)
    version = registry.resolve("valve", "v0001")
    path = version.folder / IDENTIFIED_FILE
    path.write_text(path.read_text().replace("gain", "pain"))
    with pytest.raises(ModelError, match="damaged or exchanged"):
        read_identified(version, version.card())
    path.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        version.check_digest()


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"task": 1}', '{"format_version": 9}', '{"task": "valve", "robot": "claw", "world": "x"}'],
)
def test_a_file_that_says_something_else_is_an_error_with_its_name(text: str) -> None:
    with pytest.raises(ModelError, match="there"):
        Identified.parse(text, "there")


def test_numbers_that_are_none_are_refused() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            FittedParameter(name="mass_factor", value=value, low=0, high=1, nominal=1)
    with pytest.raises(ValueError, match="interval"):
        FittedParameter(name="mass_factor", value=3, low=0, high=1, nominal=1)


def test_a_version_needs_something_that_plans_or_acts() -> None:
    spec = ModelSpec.of(VALVE.task, "claw", VALVE.action, 0, ())
    with pytest.raises(ValueError, match="fitted physics alone"):
        ModelCard(spec=spec)
    assert ModelCard(spec=spec, identified=IdentifiedCard(sha256="0" * 64)).model_sha256 is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": ["colour"]}, "colour cannot be fitted"),
        ({"parameters": []}, "at least one"),
        ({"windows": 3}, "window"),
        ({"window": 40}, "window=1"),
    ],
)
def test_what_cannot_be_fitted_is_said(
    episodes: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    request = identify.IdentifyRequest("valve", episodes=[episodes], models_dir=tmp_path, options=options)
    with pytest.raises(MbrlError, match=message):
        identify.run(request)
    assert not list(tmp_path.rglob("card.json"))


def test_without_episodes_or_with_another_hands_there_is_no_version(tmp_path: Path, episodes: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no episode files"):
        identify.run(identify.IdentifyRequest("valve", episodes=[tmp_path / "empty"], models_dir=tmp_path))
    with pytest.raises(EpisodeError, match="--episodes"):
        identify.run(identify.IdentifyRequest("valve", episodes=[tmp_path / "none"], models_dir=tmp_path))
    with pytest.raises(DatasetError, match="another contract"):
        identify.run(identify.IdentifyRequest("baoding", episodes=[episodes], models_dir=tmp_path))
    with pytest.raises(DatasetError, match="too little"):
        identify.run(identify.IdentifyRequest("valve", episodes=[episodes / "e1.mcap"], models_dir=tmp_path))


def test_the_options_are_listed_with_their_ranges() -> None:
    assert IdentifyConfig().parameters == COMMON
    assert all(field.description for field in IdentifyConfig.model_fields.values())


# ---- what the simulator misses


def test_a_retrain_learns_what_the_simulator_misses(made: identify.IdentifyResult, episodes: Path) -> None:
    pytest.importorskip("torch")
    models = made.version.folder.parents[1]
    # Four episodes of 16 steps: far too few for a model, enough for all that happens.
    options = {"hidden": [8], "ensemble_size": 2, "max_epochs": 2, "batch": 32, "holdout_fraction": 0.3}
    request = retrain_plan.RetrainRequest(
        "valve",
        episodes=[episodes],
        models_dir=models,
        options=options,
        residual=made.version.name,
        runs_dir=models / "runs",
        force=True,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrain, "MIN_TRANSITIONS", 10)
        result = retrain.run(request)
    assert result.status == "added"
    assert result.version is not None
    card = result.version.check_digest()
    assert card.identified is not None
    assert card.spec.residual_to == card.identified.sha256
    assert f"--residual {made.version.name}" in card.command
    assert result.baseline["one_step_nrmse"] > 0
    assert np.isfinite(result.metrics["horizon_nrmse"])
    assert "what a simulator misses" in why_no_parent(card, VALVE)
    resolved = resolve(RolloutConfig("valve", dynamics="residual", model=result.version.name, models_dir=models))
    assert resolved.spec.fitted == read_identified(made.version, made.version.card()).options
    model = EpisodeRunner(resolved.spec).policy.core.model  # type: ignore[attr-defined]
    state = np.zeros(len(VALVE.task.state))
    assert model.rollout(state, np.zeros((3, 2, len(VALVE.action)))).shape == (2, 3, 2, len(state))
    with pytest.raises(ModelError, match="only what its simulator misses"):
        resolve(RolloutConfig("valve", model=result.version.name, models_dir=models))
    with pytest.raises(ModelError, match="no network that corrects"):
        resolve(RolloutConfig("valve", dynamics="residual", model=made.version.name, models_dir=models))
    with pytest.raises(ModelError, match="only what its simulator misses"):
        quantise.run("valve", result.version.name, episodes=[episodes], models_dir=models)
    with pytest.raises(ValueError, match="residual_to"):
        ModelCard.model_validate(card.model_dump() | {"identified": None})
