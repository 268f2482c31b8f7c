# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`scene:` of a contract names a file beside it; the rest of a contract does not depend on where it is."""

from __future__ import annotations

import json

import pytest

from mbrl_controller.base.errors import ContractError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import copy_contract, load_contract, parse_contract

TEXT = (share_dir() / "config" / "claw_valve.yaml").read_text()
NEWER = TEXT.replace("format_version: 1", "format_version: 2\nscene: sim/scene.yaml")


def test_a_contract_knows_its_folder_only_if_it_was_read_from_one(tmp_path):
    (tmp_path / "claw.yaml").write_text(NEWER)
    assert load_contract(tmp_path / "claw.yaml").folder == tmp_path
    assert parse_contract(NEWER).folder is None
    assert parse_contract(NEWER, folder=tmp_path).digest == parse_contract(NEWER).digest


def test_format_1_has_no_scene_and_keeps_its_digest():
    with pytest.raises(ContractError, match="format_version: 2"):
        parse_contract(TEXT.replace("format_version: 1", "format_version: 1\nscene: scene.yaml"))
    assert parse_contract(TEXT).digest == "2048a2efc2471075c842128448059e241d961780ceee2677eb3eb1ebcec728d1"


def test_a_scene_changes_the_digest():
    assert parse_contract(NEWER).digest != parse_contract(NEWER.replace("sim/scene", "sim/other")).digest


@pytest.mark.parametrize("path", ["/etc/scene.yaml", "../scene.yaml", "a/../../scene.yaml", "", "a\tb", 3])
def test_a_scene_elsewhere_is_refused(path):
    with pytest.raises(ContractError, match="scene"):
        parse_contract(NEWER.replace("sim/scene.yaml", json.dumps(path)))


def test_a_copy_finds_the_same_scene(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "sim").mkdir(parents=True)
    there.mkdir()
    (here / "sim" / "scene.yaml").write_text("a scene")
    (here / "claw.yaml").write_text(NEWER)
    for _ in range(2):  # again: as when a run is resumed
        copy = load_contract(copy_contract(load_contract(here / "claw.yaml"), there / "contract.yaml"))
        assert copy.text == NEWER
        assert (copy.folder / copy.file.scene).resolve() == here / "sim" / "scene.yaml"
