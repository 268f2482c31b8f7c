# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which of a version's two files is served on this processor, and what is remembered of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.models import file_choice, selection
from mbrl_controller.models.card import Version
from mbrl_controller.models.file_choice import FOLDER, ChoiceKey, FileChoice
from mbrl_controller.models.files import ModelFile
from mbrl_controller.models.registry import Registry
from mbrl_controller.models.sandbox import time_in_sandbox
from mbrl_controller.models.selection import ModelFileChoice, select_model_file, served_here

SIZE = (8, 2)


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Version:
    """The valve's, whose 8-bit file passes wherever these tests run: they are about what follows."""
    monkeypatch.setenv("MBRL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(selection.OnnxEnsemble, "load", lambda *_, **__: None)
    monkeypatch.setattr(selection, "check_in_sandbox", lambda *_: None)
    shutil.copytree(share_dir() / "models" / "valve", tmp_path / "models" / "valve")
    return Registry(tmp_path / "models").current("valve")


@pytest.fixture
def choose(version: Version, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[ModelFileChoice, list[str]]]:
    """Selects with these times (s) of the fp32 and the 8-bit file; what was chosen, and which files were timed."""

    def choose(fp32: float = 1.0, int8: float = 0.5, size: tuple[int, int] = SIZE) -> tuple[ModelFileChoice, list[str]]:
        timed: list[str] = []

        def time_file(file: ModelFile, candidates: int, horizon: int) -> float:
            timed.append(file.path.name)
            assert (candidates, horizon) == size
            return int8 if file.path == version.int8 else fp32

        monkeypatch.setattr(selection, "time_in_sandbox", time_file)
        return select_model_file(version, sandbox_size=size), timed

    return choose


BOTH = ["model.int8.onnx", "model.onnx"]


@pytest.mark.parametrize(
    ("fp32", "int8", "served"), [(1.0, 0.5, "int8"), (1.0, 0.94, "int8"), (1.0, 0.97, "fp32"), (0.5, 1.0, "fp32")]
)
def test_the_faster_file_is_served_and_remembered(choose, fp32: float, int8: float, served: str) -> None:
    for asked in (BOTH, []):  # the second time nothing is timed
        chosen, timed = choose(fp32, int8)
        assert (chosen.precision, chosen.fallback, timed) == (served, "", asked)
        assert f"fp32 {1e3 * fp32:.3g} ms" in chosen.why
        assert f"{1e3 * int8:.3g} ms" in chosen.why


def test_a_decision_is_of_one_processor_one_size_and_one_pair_of_files(choose, version, monkeypatch) -> None:
    choose()
    assert choose(size=(16, 2))[1] == choose(size=(8, 3))[1] == BOTH
    monkeypatch.setattr(file_choice.machine, "processor", lambda: "another")
    assert choose()[1] == BOTH
    assert choose()[1] == []
    key = ChoiceKey.of(version.card(), *SIZE)
    for name in ("fp32_sha256", "int8_sha256", "kernels", "onnxruntime"):
        assert key.model_copy(update={name: "x"}).path != key.path


@pytest.mark.parametrize("damage", ["", "{}", "\x00" * 100, "[" * 10_000, "other", "infinite", "negative", "huge"])
def test_a_damaged_decision_is_ignored_and_replaced(choose, version, tmp_path: Path, damage: str) -> None:
    choose(1.0, 2.0)
    (file,) = (tmp_path / "home" / FOLDER).iterdir()
    good = file.read_text()
    wrong = {
        "other": good.replace('"horizon": 2', '"horizon": 3'),
        "infinite": good.replace(": 2.0", ": Infinity"),
        "negative": good.replace(": 2.0", ": -2.0"),
        "huge": good + " " * 2_000_000,
    }
    file.write_text(wrong.get(damage, damage))
    assert choose(1.0, 2.0)[1] == BOTH
    assert file.read_text() == good


def test_where_nothing_can_be_written_the_files_are_timed_again(choose, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / FOLDER).write_text("a file")
    for _ in range(2):
        chosen, timed = choose()
        assert (chosen.precision, timed) == ("int8", BOTH)


def test_a_file_that_was_damaged_since_gives_way_to_the_other(choose, version) -> None:
    assert choose(0.5, 1.0)[0].precision == "fp32"
    content = version.model.read_bytes()
    version.model.write_bytes(b"damaged")
    chosen, _ = choose(0.5, 1.0)
    assert chosen.precision == "int8"
    assert "fp32 file cannot be served" in chosen.why
    version.int8.write_bytes(b"damaged")
    with pytest.raises(ModelError, match="sha256"):
        choose()
    version.model.write_bytes(content)
    assert choose()[0].precision == "fp32"


def test_an_8_bit_file_that_is_refused_is_not_timed_again_and_the_reason_is_told(choose, version, monkeypatch) -> None:
    version.int8.write_bytes(b"damaged")
    chosen, timed = choose()
    assert (chosen.precision, timed) == ("fp32", [])
    assert "sha256" in chosen.fallback


def test_what_is_asked_for_by_name_is_served_untimed(version, monkeypatch) -> None:
    monkeypatch.setattr(selection, "time_in_sandbox", lambda *_: pytest.fail("timed"))
    for precision in ("fp32", "int8"):
        assert select_model_file(version, precision, sandbox_size=SIZE).precision == precision
    assert select_model_file(version).precision == "int8"  # rollouts: the same everywhere
    version.int8.unlink()
    assert select_model_file(version, sandbox_size=SIZE).precision == "fp32"


def test_what_serves_here_is_told_without_a_trial_only_where_it_is_known(version, choose) -> None:
    card = version.card()
    assert served_here(version, card, SIZE, trial=False)["file"] == ""
    choose(0.5, 1.0)
    assert served_here(version, card, SIZE, trial=False)["file"] == "model.onnx"
    assert "fp32 500 ms" in served_here(version, card, SIZE, trial=True)["why"]
    version.int8.unlink()
    assert served_here(version, card, (9, 9), trial=False) == {"file": "model.onnx", "why": "it is the only one"}


def test_the_process_that_checks_a_file_times_it() -> None:
    file = ModelFile.read(share_dir() / "models" / "valve" / "v0001" / "model.onnx")
    small, large = time_in_sandbox(file, 2, 2), time_in_sandbox(file, 1000, 10)
    assert 0 < small < large < 20


def test_a_choice_without_a_time_is_none() -> None:
    key = ChoiceKey(
        processor="p", onnxruntime="1", kernels="U8S8", fp32_sha256="a", int8_sha256="b", candidates=1, horizon=1
    )
    for bad in (0.0, float("nan"), float("inf"), -1.0):
        with pytest.raises(ValueError, match="fp32_cpu_s"):
            FileChoice(key=key, fp32_cpu_s=bad, int8_cpu_s=1.0)
