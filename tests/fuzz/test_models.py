# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Damaged models, cards and pointers are refused, naming the file; what is served predicts numbers of its own size."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from hypothesis import example, given

from mbrl_controller.base.errors import MbrlError, ModelError
from mbrl_controller.contract.contract import parse_contract
from mbrl_controller.models.card import CARD_FILE, MODEL_FILE, ModelCard
from mbrl_controller.models.golden_samples import PROBE_KEY
from mbrl_controller.models.onnx_ensemble import OnnxEnsemble
from mbrl_controller.models.registry import CURRENT_FILE, Registry, file_sha256
from mbrl_controller.models.selection import select_model_file
from mbrl_controller.models.spec import METADATA_KEY, ModelSpec

from ..linear_model import linear_model
from .damage import cuts, damaged, edited, edits
from .hand import OBJECTS

CONTRACT = parse_contract(OBJECTS)
S, A = len(CONTRACT.task.state), len(CONTRACT.action)
SPEC = ModelSpec.of(CONTRACT.task, CONTRACT.file.robot, CONTRACT.action, 2, (4,)).model_copy(
    update={"version": "v0001", "delta_scale": (0.1,) * S, "disagreement_limit": 0.5, "metrics": {"rmse": 0.1}}
)
DESCRIPTION = json.loads(SPEC.model_dump_json())


def graph_model(description: str) -> Any:
    """A linear model with this text as its description."""
    mix = np.random.default_rng(0).normal(size=(2, A, S)).astype(np.float32)
    return linear_model(mix, {METADATA_KEY: description})


@pytest.fixture(scope="module")
def model() -> bytes:
    return bytes(graph_model(json.dumps(DESCRIPTION)).SerializeToString())


@pytest.fixture
def registry(tmp_path: Path, model: bytes) -> Registry:
    """One version, promoted; the fuzzed files are written over its own."""
    files = tmp_path / "files"
    files.mkdir()
    (files / MODEL_FILE).write_bytes(model)
    made = Registry(tmp_path / "models", shipped=tmp_path / "none")
    made.add(CONTRACT.task.name, files, ModelCard(spec=SPEC, model_sha256=file_sha256(files / MODEL_FILE)))
    made.promote(CONTRACT.task.name, "v0001")
    return made


def check_served(path: Path) -> None:
    """Raises ModelError, or it predicts numbers, and its limit of disagreement can be exceeded."""
    served = OnnxEnsemble.load(path, task=CONTRACT.task, action=CONTRACT.action)
    assert served.spec.state_names == CONTRACT.task.state.names
    assert np.isfinite(served.delta_scale).all()
    limit = served.spec.disagreement_limit
    assert limit is None or 0 <= limit < np.inf
    states = served.rollout(np.zeros(S), np.zeros((3, 2, A)))
    assert states.shape == (served.size, 3, 2, S)


def test_description(fuzz, tmp_path: Path) -> None:
    counted, path = fuzz("models: description"), tmp_path / MODEL_FILE

    @counted.settings()
    @given(edits)
    def run(changes) -> None:
        text = json.dumps(edited(DESCRIPTION, changes))
        path.write_bytes(graph_model(text.replace("\0", "")).SerializeToString())
        with counted.one(str(path)):
            check_served(path)

    run()


@pytest.mark.parametrize(
    "change",
    [
        {"disagreement_limit": float("nan")},
        {"disagreement_limit": float("inf")},
        {"disagreement_limit": -1.0},
        {"delta_scale": [float("inf")] * S},
        {"control_period_s": float("nan")},
        {"ensemble_size": 10**400},
    ],
)
def test_what_would_switch_off_a_check_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / MODEL_FILE
    path.write_bytes(graph_model(json.dumps(DESCRIPTION | change)).SerializeToString())
    with pytest.raises(ModelError):
        check_served(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format_version": ' * 100_000, "", "null", "1"])
def test_a_description_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / MODEL_FILE
    path.write_bytes(graph_model(text).SerializeToString())
    with pytest.raises(ModelError):
        check_served(path)


@pytest.mark.parametrize("probe", ["[" * 100_000, "[]", '{"state": {"float32": "AAAA", "shape": [-1, 1e400]}}'])
def test_rows_to_check_an_8_bit_model_on_that_are_none_are_refused(tmp_path: Path, probe: str) -> None:
    path, made = tmp_path / MODEL_FILE, graph_model(json.dumps(DESCRIPTION | {"precision": "int8"}))
    made.metadata_props.add(key=PROBE_KEY, value=probe)
    path.write_bytes(made.SerializeToString())
    with pytest.raises(ModelError, match="rows it is checked on"):
        check_served(path)


def test_bytes(fuzz, tmp_path: Path, model: bytes) -> None:
    counted, path = fuzz("models: bytes"), tmp_path / MODEL_FILE

    @counted.settings()
    @given(cuts)
    def run(changes) -> None:
        path.write_bytes(damaged(model, changes))
        with counted.one(str(path)), np.errstate(all="ignore"):
            check_served(path)

    run()


def test_card_and_current(fuzz, registry: Registry, model: bytes) -> None:
    """By structure and by bytes, the card and the pointer to the current version."""
    counted = fuzz("models: card, current")
    task = CONTRACT.task.name
    files = {name: registry.root / task / name for name in (f"v0001/{CARD_FILE}", CURRENT_FILE)}
    good = {name: path.read_bytes() for name, path in files.items()}

    def serve() -> None:
        version = registry.resolve(task)
        chosen = select_model_file(version, task=CONTRACT.task, action=CONTRACT.action)
        assert chosen.file.content == model
        assert chosen.file.path.is_relative_to(registry.root)

    @counted.settings(inputs_an_example=4)
    @given(edits, cuts)
    @example([], [])
    def run(changes, byte_changes) -> None:
        for name, path in files.items():
            structured = json.dumps(edited(json.loads(good[name]), changes)).encode()
            for content in (structured, damaged(good[name], byte_changes)):
                path.write_bytes(content)
                with counted.one():
                    serve()
            path.write_bytes(good[name])

    run()
    serve()


@pytest.mark.parametrize("pointer", ["../../elsewhere/v0001", "v0001/../v0001", "/etc", "v0001\0"])
def test_the_pointer_names_a_version_and_no_path(registry: Registry, pointer: str) -> None:
    task = CONTRACT.task.name
    elsewhere = registry.root.parent / "elsewhere"
    shutil.copytree(registry.root / task, elsewhere)
    (registry.root / task / CURRENT_FILE).write_text(json.dumps({"version": pointer}))
    with pytest.raises(MbrlError):
        registry.resolve(task)
