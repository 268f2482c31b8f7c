# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Versions with heads: adding, loading, damage, and versions of a policy alone."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.models.card import ModelCard
from mbrl_controller.models.head_loading import HeadFiles, load_heads, open_heads
from mbrl_controller.models.heads import HeadCard, HeadSpec
from mbrl_controller.models.loading import load_model
from mbrl_controller.models.new_heads import add_heads
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.spec import ModelSpec
from mbrl_controller.training.parent import why_no_parent

from ..linear_head import linear_head_bytes

MakeSpec = Callable[..., HeadSpec]
S, A = 20, 9


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """With the shipped valve's models below it."""
    return Registry(tmp_path / "models", shipped=share_dir() / "models")


@pytest.fixture
def policy(head_spec: MakeSpec, rng: np.random.Generator) -> bytes:
    return linear_head_bytes(head_spec("policy", horizon=2), rng.normal(size=(S, 2 * A)))


@pytest.fixture
def value(head_spec: MakeSpec, rng: np.random.Generator) -> bytes:
    return linear_head_bytes(head_spec("value", members=3), rng.normal(size=(S, 3)))


def head_card(content: bytes, kind="distilled", **more) -> HeadCard:
    return HeadCard(sha256=hashlib.sha256(content).hexdigest(), kind=kind, **more)


def with_heads(registry: Registry, folder: Path, version: str = "v0001", **heads: bytes):
    """Add the heads given by kind."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    cards = {}
    for kind, content in heads.items():
        (folder / f"{kind}.onnx").write_bytes(content)
        cards[kind] = head_card(content, "distilled" if kind == "policy" else "td_lambda")
    return add_heads(registry, "valve", version, folder, cards, created="2026-01-01T00:00:00+00:00", command="made")


@pytest.fixture
def policy_alone(registry: Registry, valve: RobotContract, policy: bytes, tmp_path: Path):
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "policy.onnx").write_bytes(policy)
    spec = ModelSpec.of(valve.task, valve.file.robot, valve.action, 0, ())
    spec = spec.model_copy(update={"version": registry.next_name("valve")})
    return registry.add("valve", tmp_path / "alone", ModelCard(spec=spec, policy=head_card(policy, "sac")))


def test_a_version_with_new_heads_has_the_same_model_files(
    registry: Registry, tmp_path: Path, policy: bytes, value: bytes
) -> None:
    old, current = registry.resolve("valve", "v0001"), registry.current("valve")
    new = with_heads(registry, tmp_path / "files", policy=policy, value=value)
    before, card = old.card(), new.check_digest()
    assert (new.model.read_bytes(), new.int8.read_bytes()) == (old.model.read_bytes(), old.int8.read_bytes())
    assert (card.model_sha256, card.int8_sha256) == (before.model_sha256, before.int8_sha256)
    assert card.head_names == "policy (distilled), value (td_lambda)"
    assert (card.spec.version, card.spec.parent, card.command, card.evaluation) == (new.name, "v0001", "made", {})
    assert card.origins == before.origins
    assert registry.current("valve") == current
    assert {p.name for p in old.folder.iterdir()} <= {p.name for p in new.folder.iterdir()}


def test_a_head_that_is_not_replaced_stays(registry: Registry, tmp_path: Path, policy: bytes, value: bytes) -> None:
    first = with_heads(registry, tmp_path / "files", policy=policy)
    second = with_heads(registry, tmp_path / "files", first.name, value=value)
    assert second.head("policy").read_bytes() == policy
    assert second.card().policy == first.card().policy
    assert second.card().heads.keys() == {"policy", "value"}
    assert first.card().heads.keys() == {"policy"}


def test_a_report_of_the_new_heads_comes_over_the_old_one(registry: Registry, tmp_path: Path, policy: bytes) -> None:
    first = with_heads(registry, tmp_path / "files", policy=policy)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "policy.onnx").write_bytes(policy)
    (tmp_path / "more" / "report.md").write_text("of the policy")
    heads = {"policy": head_card(policy)}
    second = add_heads(registry, "valve", first.name, tmp_path / "more", heads, created="now")  # type: ignore[arg-type]
    assert (second.folder / "report.md").read_text() == "of the policy"


def test_heads_that_do_not_belong_add_nothing(
    registry: Registry, tmp_path: Path, policy: bytes, head_spec: MakeSpec
) -> None:
    folder = tmp_path / "files"
    before = registry.versions("valve")
    folder.mkdir()
    (folder / "policy.onnx").write_bytes(policy)
    foreign = head_spec("policy", horizon=2).model_copy(update={"robot": "another"})
    other = linear_head_bytes(foreign, np.zeros((S, 2 * A)))
    for content, heads, reason in (
        (policy, {}, "no heads"),
        (policy, {"policy": head_card(b"another file")}, "sha256"),
        (policy, {"value": head_card(policy, "td_lambda")}, "cannot be read"),
        (b"no policy", {"policy": head_card(b"no policy")}, "damaged"),
        (other, {"policy": head_card(other)}, "its robot are not those"),
    ):
        (folder / "policy.onnx").write_bytes(content)
        with pytest.raises(ModelError, match=reason):
            add_heads(registry, "valve", "v0001", folder, heads, created="now")  # type: ignore[arg-type]
    assert registry.versions("valve") == before


def test_whenever_it_is_killed_the_version_is_there_whole_or_not_at_all(
    registry: Registry, tmp_path: Path, policy: bytes, killed_at: Callable[[int, Callable[[], object]], bool]
) -> None:
    original = registry.resolve("valve", "v0001").model.read_bytes()
    for event in range(0, 1000, 3):
        killed = killed_at(event, lambda: with_heads(registry, tmp_path / "files", policy=policy))
        for version in registry.versions("valve"):
            version.check_digest()
            if not version.shipped:
                assert version.model.read_bytes() == original
                assert version.head("policy").read_bytes() == policy
        if not killed:
            break
    else:
        raise AssertionError("it never came to its end")
    names = {version.name for version in registry.versions("valve") if not version.shipped}
    left = {path.name for path in (registry.root / "valve").iterdir()}
    assert left == {*names, ".lock"}


def test_a_version_is_loaded_with_its_heads(
    registry: Registry, valve: RobotContract, tmp_path: Path, policy: bytes, value: bytes
) -> None:
    version = with_heads(registry, tmp_path / "files", policy=policy, value=value)
    model = load_model(version, "fp32", task=valve.task, action=valve.action, sandbox_size=(4, 2))
    assert model.policy is not None
    assert model.value is not None
    assert model.policy.plan(np.zeros(S), np.zeros((4, 1))).shape == (2, A)
    assert model.value.digest == version.card().heads["value"].sha256
    without = load_model(version, "fp32", heads=False)
    assert (without.policy, without.value) == (None, None)
    shipped = load_model(registry.resolve("valve", "v0001"), "fp32")
    assert (shipped.policy, shipped.value) == (None, None)


@pytest.mark.parametrize("damage", ["changed", "missing", "link"])
def test_a_damaged_head_is_an_error_that_names_it(
    registry: Registry, tmp_path: Path, policy: bytes, damage: str
) -> None:
    version = with_heads(registry, tmp_path / "files", policy=policy)
    path = version.head("policy")
    path.unlink()
    if damage == "changed":
        path.write_bytes(policy[:-1])
    elif damage == "link":
        path.symlink_to(tmp_path / "files" / "policy.onnx")
    for load in (load_model, load_heads, HeadFiles.of, lambda v: v.check_digest()):
        with pytest.raises(ModelError, match=r"policy\.onnx: "):
            load(version)
    assert load_model(version, "fp32", heads=False).policy is None


def test_a_file_without_a_digest_on_the_card_is_never_loaded(registry: Registry, tmp_path: Path, value: bytes) -> None:
    version = with_heads(registry, tmp_path / "files", value=value)
    shutil.copy(version.head("value"), version.head("policy"))
    assert load_heads(version).policy is None
    with pytest.raises(ModelError, match="sha256"):
        version.read(version.head("policy"), version.card())


def test_a_policy_alone_acts_but_is_no_model(policy_alone, valve: RobotContract) -> None:
    card = policy_alone.check_digest()
    heads = load_heads(policy_alone, card, task=valve.task, action=valve.action, sandbox_rows=3)
    assert heads.policy is not None
    assert heads.value is None
    for load in (load_model, lambda v: v.path_for("fp32"), lambda v: v.read(v.model, card)):
        with pytest.raises(ModelError, match="has no model, only a policy"):
            load(policy_alone)
    assert "only a policy" in why_no_parent(card, valve)


def test_a_policy_alone_is_promoted_and_rolled_back_as_any_version(policy_alone, registry: Registry) -> None:
    before = registry.current("valve")
    assert registry.promote("valve", policy_alone.name) == policy_alone
    assert registry.current("valve") == policy_alone
    assert registry.roll_back("valve") == before


def test_files_that_are_named_in_one_process_and_read_in_another_are_the_same(
    registry: Registry, tmp_path: Path, policy: bytes, value: bytes
) -> None:
    version = with_heads(registry, tmp_path / "files", policy=policy, value=value)
    files = HeadFiles.model_validate_json(HeadFiles.of(version).model_dump_json())
    heads = open_heads(files.read())
    assert heads.policy is not None
    heads.check_sees(4)
    with pytest.raises(ModelError, match="looks 4 periods ahead"):
        heads.check_sees(3)
    version.head("policy").write_bytes(policy + b" ")
    with pytest.raises(ModelError, match="sha256"):
        files.read()
    assert HeadFiles().read() == {}
