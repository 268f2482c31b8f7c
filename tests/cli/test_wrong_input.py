# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The first hour of a person who gets things wrong: one line that says what and where, and never a traceback."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("mujoco")

from mbrl_controller.base.deprecated import RenamedWarning
from mbrl_controller.base.resources import share_dir
from mbrl_controller.cli.command_group import RENAMED_FLAGS
from mbrl_controller.cli.main import app
from mbrl_controller.rollouts import evaluate

SHIPPED = ("--models-dir", str(share_dir() / "models"))
ONE = ("--policy", "hold", "--episodes", "1", "--processes", "1")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Odd files, and an empty home."""
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.mcap").write_bytes(b"")
    (tmp_path / "nothing").write_text("")
    monkeypatch.setenv("MBRL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Any:
    result = CliRunner().invoke(app, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result


@pytest.mark.parametrize(
    ("words", "said"),
    [
        # what does not exist
        (("evaluate", "nosuch", *ONE), "unknown task 'nosuch'"),
        (("models", "list", "nosuch"), "unknown task 'nosuch'"),
        (("models", "show", "baoding", "v9999", *SHIPPED), "there are: v0001"),
        (("models", "rollback", "baoding"), "nothing to roll back to"),
        (("evaluate", "baoding", "--contract", "nosuch.yaml", *ONE), "nosuch.yaml: cannot be read"),
        (("episodes", "info", "nosuch.mcap"), "nosuch.mcap: cannot be read: No such file"),
        (("episodes", "list", "nosuch"), "nosuch: no such folder"),
        (("episodes", "list"), "episodes: no such folder"),
        (("evaluate", "--sim", "foggy", *ONE), "known: nominal, perturbed"),
        (("learn-curve", "nosuch"), "no learning run"),
        (("replay", "nosuch"), "nosuch: no such folder"),
        # what is something else
        (("evaluate", "baoding", "--contract", ".", *ONE), "Is a directory"),
        (("evaluate", "baoding", "--contract", "binary", *ONE), "binary: cannot be read"),
        (("evaluate", "baoding", "--contract", "nothing", *ONE), "expected a mapping"),
        (("episodes", "info", "."), "Is a directory"),
        (("episodes", "info", "binary"), "binary"),
        (("episodes", "info", "empty.mcap"), "empty.mcap"),
        (("episodes", "list", "binary"), "binary: is no folder"),
        (("replay", "binary"), "binary"),
        (("replay", "empty.mcap"), "empty.mcap"),
        (("replay", "empty"), "no episode that can be read"),
        (("film", "film.bmp"), ".gif or .png"),
        # numbers
        (("evaluate", "--seconds", "5,0"), "decimal point, not a comma"),
        (("benchmark", "loop", "--rate", "10,5"), "decimal point, not a comma"),
        (("evaluate", "--controller-set", "drop_cost=5,0", *ONE), "decimal point, not a comma"),
        (("evaluate", "--goal", "period=5,0", *ONE), "decimal point, not a comma"),
        (("evaluate", "--goal", "period=abc", *ONE), "period must be a number"),
        (("evaluate", "--goal", "direction", *ONE), "NAME=VALUE"),
        (("evaluate", "--goal", "rng=1", *ONE), "unknown goal options"),
        (("evaluate", "--seconds", "nan", *ONE), "seconds"),
        (("evaluate", "--seconds", "inf", *ONE), "seconds"),
        (("evaluate", "--seconds", "-1", *ONE), "seconds"),
        (("evaluate", "--processes", "0"), "processes"),
        (("collect", "--exploration", "7", *ONE), "exploration"),
        (
            ("evaluate", "--controller-set", "no_such=1", *ONE),
            "no_such: there is no option of this name; `mbrl options controller` lists all",
        ),
        (("evaluate", "--planner-set", "num_sample=9", *SHIPPED), "near it: num_samples; `mbrl options planner --pl"),
        (("evaluate", "--controller-set", "risk.knd=mean", *ONE), "risk.knd: there is no option of this name; near it"),
        (("evaluate", "--controller-set", "risk.kind=average", *ONE), "'mean', 'mean_std' or 'worst'"),
        (("collect", "--sim-set", "frction=0.1", *ONE), "near it: friction, "),
        (("film", "film.gif", "--policy", "hold", "--sim-set", "options.frction=0.1"), "near it: friction"),
        (("soak", "--sim-set", "friction=3"), "friction"),
        (("soak", "--contract", "nosuch.yaml"), "nosuch.yaml: cannot be read"),
        (("learn", "valve", "--set", "hidden=[8]"), "training.reward_fit.hidden; `mbrl options learn` lists all"),
        (("learn", "valve", "--set", "training.hidden_=[8]"), "near it: training.hidden"),
        (("learn", "valve", "--set", "collect.plain.epsodes=2"), "near it: episodes"),
        (("learn", "valve", "--sim-set", "frction=0.1"), "near it: friction"),
        (("options", "planner", "--planner", "nosuch"), "unknown planner 'nosuch'"),
        (("evaluate", "--planner-set", "num_samples=1e9", *SHIPPED), "num_samples"),
        (("evaluate", "--planner-set", "sigma=.nan", *SHIPPED), "sigma"),
    ],
)
def test_it_is_told_in_one_line(folder: Path, words: tuple[str, ...], said: str) -> None:
    if words[0] in ("learn", "learn-curve"):
        pytest.importorskip("matplotlib")
    if words[0] in ("demo", "soak"):
        pytest.importorskip("rclpy")
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == "" or words[0] in ("evaluate", "collect")  # where a bar may have begun


@pytest.mark.parametrize("home", ["binary", "binary/home"])
@pytest.mark.parametrize(
    "words", [("collect", *ONE, "--seconds", "0.5"), ("models", "promote", "valve", "v0001"), ("retrain", "valve")]
)
def test_a_home_that_cannot_be_is_told_with_what_to_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch, home: str, words: tuple[str, ...]
) -> None:
    if words[0] == "retrain":
        pytest.importorskip("torch")
    monkeypatch.setenv("MBRL_HOME", str(folder / home))
    result = run(*words)
    assert result.exit_code == 2
    assert "binary" in result.stderr
    if home == "binary" or words[0] != "retrain":  # which looks for episodes first
        assert "set MBRL_HOME" in result.stderr


@pytest.mark.skipif(os.getuid() == 0, reason="who may write everywhere cannot be refused")
def test_a_home_that_may_not_be_written_is_told_with_what_to_set(folder: Path) -> None:
    (folder / "home").mkdir(mode=0o500)
    result = run("collect", *ONE, "--seconds", "0.5")
    assert result.exit_code == 2
    assert "set MBRL_HOME" in result.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/some/file"), "/some/file: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (TimeoutError("took too long"), "TimeoutError: took too long"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(evaluate, "run", refuse)
    result = run("evaluate")
    assert result.exit_code == 2
    assert said in result.stderr
    assert "MBRL_HOME" not in result.stderr


@pytest.mark.parametrize(("old", "new"), RENAMED_FLAGS.items())
def test_an_option_is_taken_by_its_old_name_with_a_warning_and_not_beside_the_new(old: str, new: str) -> None:
    words = ({"--controller-set": "evaluate", "--env-steps": "learn"}.get(new, "soak"),)
    with pytest.warns(RenamedWarning, match=new):
        result = run(*words, old, "no_such")
    assert result.exit_code == 2
    assert "o such option" not in result.stderr
    result = run(*words, old, "1", new, "1")
    assert result.exit_code == 2
    assert "give only" in result.stderr
