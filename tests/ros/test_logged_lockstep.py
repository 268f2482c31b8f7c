"""Sim, controller and logger together, in lockstep: the log is what happened, to the bit."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")
pytest.importorskip("onnx")

import onnx

from mbrl_controller.episodes.contract import load_contract
from mbrl_controller.episodes.reader import read_episode
from mbrl_controller.episodes.transitions import transitions
from mbrl_controller.model_spec import ModelSpec
from mbrl_controller.registry import ModelCard, Registry, file_sha256
from mbrl_controller.resources import share_dir
from mbrl_controller.simulation.hand import HandSimulation

pytestmark = pytest.mark.ros
CONTRACT = share_dir() / "config" / "claw_valve.yaml"
STEPS = 8


def still_model(contract, folder: Path) -> Path:
    """A registry whose model says that nothing ever moves: any plan is as good, but the whole path is real."""
    spec = ModelSpec.of(contract.task, contract.file.robot, contract.action, 1, (1,))
    spec = spec.model_copy(update={"version": "v0001"})
    S, A = len(contract.task.state), len(contract.action)
    info, number = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    nodes = [
        onnx.helper.make_node("MatMul", ["action", "mix"], ["change"]),
        onnx.helper.make_node("Add", ["state", "change"], ["next_state"]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "still",
        [info("state", number, [1, "N", S]), info("action", number, ["N", A])],
        [info("next_state", number, [1, "N", S])],
        [onnx.numpy_helper.from_array(np.zeros((1, A, S), np.float32), "mix")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=7)
    for key, value in spec.to_metadata().items():
        model.metadata_props.add(key=key, value=value)
    (folder / "new").mkdir()
    path = folder / "new" / "model.onnx"
    onnx.save(model, path)
    registry = Registry(folder / "models", shipped=folder / "none")
    registry.add("valve", folder / "new", ModelCard(spec=spec, model_sha256=file_sha256(path)))
    registry.promote("valve", "v0001")
    return folder / "models"


def test_a_lockstep_session_is_logged_as_it_was_simulated(ros, tmp_path):
    contract = load_contract(CONTRACT)
    models = still_model(contract, tmp_path)
    space = f"/hand_{uuid.uuid4().hex[:8]}"
    namespace = ("--ros-args", "-r", f"__ns:={space}", "--")
    common = {"contract": str(CONTRACT), "autostart": True}
    logged = tmp_path / "episodes"
    ros.start("mbrl_controller.nodes.logger", common | {"log_dir": str(logged)}, *namespace)
    ros.start("mbrl_controller.nodes.sim", common | {"lockstep": True}, *namespace)
    seen = ros.diagnostics(f"{space[1:]}/logger: logging")
    # In lockstep an episode may be over before DDS has brought logger and sim together.
    ros.wait(lambda: seen and seen[-1][2]["silent topics"] == f"{space}/controller/command", "the logger to hear")
    controller = common | {
        "models_dir": str(models),
        "lockstep": True,
        "session": "night",
        "episode_s": STEPS * contract.action.period,
        "auto_reset": True,
        "reset_service": "sim/reset",
        "planner.candidates": 16,
    }
    ros.start("mbrl_controller.nodes.controller", controller, *namespace)
    folder = logged / "valve" / "night"
    # Episodes take less time here than DDS may need to bring two nodes together: the first ones may be missed.
    ros.wait(lambda: len(list(folder.glob("*.mcap"))) >= 3, "logged episodes")
    for file in sorted(folder.glob("*.mcap"))[1:3]:
        seed = int(file.stem.rpartition("_")[2])  # each episode begins with a reset, each reset takes the next seed
        episode = read_episode(file, contract)
        found = transitions(episode)
        assert episode.whole
        assert set(found.skipped) <= {"outside the episode"}  # the next one's first command, while the file lingers
        assert not episode.rejected
        assert episode.closed["reason"] == "timeout"
        assert len(found) == STEPS
        # the state's messages hold what the simulation computed, and the commands what it was told
        simulation = HandSimulation(contract)
        assert found.state[0].tobytes() == simulation.reset(seed).tobytes()
        for action, after in zip(found.action, found.next_state, strict=True):
            assert simulation.step(action).tobytes() == after.tobytes()
        assert len(episode.goals) >= STEPS
        assert len(episode.ticks["reward"]) >= STEPS
