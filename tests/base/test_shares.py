# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest

from mbrl_controller.base.resources import share_dir
from mbrl_controller.base.shares import config_file


@pytest.mark.parametrize("name", ["adroit_baoding.yaml", "hands/wuji.yaml"])
def test_a_file_of_config_is_found_by_its_name_there_unless_there_is_one_here(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert config_file(name) == share_dir() / "config" / name
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert config_file(name) == Path(name)


@pytest.mark.parametrize("name", ["../setup.py", "hands/../../setup.py", "hands/none.yaml", "none.yaml", "/none.yaml"])
def test_another_path_is_left_as_it_is(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name leads no way out of config/."""
    monkeypatch.chdir(tmp_path)
    assert config_file(name) == Path(name)
