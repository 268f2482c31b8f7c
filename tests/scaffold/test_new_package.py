# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl new`: what it writes can be installed, is found, passes its own tests and the linter as it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("mujoco")

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.resources import share_dir
from mbrl_controller.scaffold import new_package
from mbrl_controller.simulation.scene import compile_world

from ..hand_urdf import TWO_JOINTS

ROOT = Path(__file__).resolve().parent.parent.parent
CLAW = share_dir() / "sim" / "valve" / "claw.xml"
MJCF = """<mujoco>
  <compiler angle="radian"/>
  <worldbody>
    <body name="palm">
      <geom type="box" size=".06 .06 .01"/>
      <body name="finger" pos=".08 0 0"><joint name="bend" axis="0 -1 0" range="-.5 1.5" damping=".1"/>
        <geom type="capsule" fromto="0 0 0 .05 0 0" size=".01"/></body>
    </body>
    <body name="box" pos="0 0 .0305"><freejoint/><geom type="box" size=".02 .02 .02"/></body>
  </worldbody>
  <actuator><position joint="bend" kp="2"/></actuator>
  <keyframe><key name="hold" qpos=".3 0 0 .0305 1 0 0 0"/></keyframe>
</mujoco>"""


def installed(folder: Path) -> dict[str, str]:
    """Variables with which Python finds the package and its entry points, as after `pip install -e`."""
    subprocess.run([sys.executable, "setup.py", "-q", "egg_info"], cwd=folder, check=True, timeout=60)
    paths = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    return {**os.environ, "PYTHONPATH": paths, "MBRL_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}


def test_servos_give_no_more_than_the_efforts_of_a_urdf(tmp_path: Path) -> None:
    file = tmp_path / "hand.urdf"
    file.write_text(TWO_JOINTS.replace('effort="1" velocity="9"', 'effort="0.25" velocity="9"'))
    folder = new_package.run("some_hand", urdf=file, parent=tmp_path).folder / "some_hand" / "share"
    model = compile_world(folder / "sim" / "some_hand" / "scene.yaml").model
    ranges = {model.actuator(i).name: model.actuator_forcerange[i].tolist() for i in range(model.nu)}
    assert ranges == {"first": [-1.0, 1.0], "second": [-0.25, 0.25]}
    assert model.actuator_forcelimited.all()


@pytest.mark.parametrize(("kind", "text"), [("urdf", TWO_JOINTS), ("mjcf", MJCF)])
def test_a_package_passes_its_own_tests_and_the_linter(kind: str, text: str, tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    model = tmp_path / f"hand.{'urdf' if kind == 'urdf' else 'xml'}"
    model.write_text(text)
    folder = new_package.run("some_hand", **{kind: model}, parent=tmp_path).folder
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, env=installed(folder), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
    ruff = shutil.which("ruff") or shutil.which("ruff", path=str(Path(sys.executable).parent))
    if ruff is None:
        pytest.skip("ruff is not installed")
    for check in (["check"], ["format", "--check"]):
        subprocess.run([ruff, *check, "--no-cache", str(folder)], check=True, timeout=60)


def mbrl(environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "mbrl_controller", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_task_is_listed_and_runs_with_options_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    environment = installed(new_package.run("some_hand", mjcf=CLAW, parent=tmp_path).folder)
    assert "some_hand" in mbrl(environment, "tasks")
    few = ["--planner-set", "num_samples=16", "--episodes", "1", "--seconds", "1", "--goal", "spread=0.5"]
    assert "return" in mbrl(environment, "evaluate", "some_hand", "--dynamics", "oracle", *few)


@pytest.mark.slow
def test_installed_for_editing_it_is_found_from_the_folder_above(tmp_path: Path) -> None:
    """Where Python finds a folder of the package's name, which is not the package."""
    pytest.importorskip("setuptools")
    folder = new_package.run("some_hand", mjcf=CLAW, parent=tmp_path).folder
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--no-build-isolation", "--prefix"]
    subprocess.run([*pip, str(tmp_path / "prefix"), "-e", str(folder)], check=True, timeout=120)
    site = next((tmp_path / "prefix").glob("lib/python*/site-packages"))
    code = f"import site; site.addsitedir({str(site)!r}); import some_hand; print(some_hand.share_dir())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == str(folder / "some_hand" / "share"), done.stderr


@pytest.mark.ros
@pytest.mark.slow
def test_the_hand_moves_in_a_demo_before_there_is_a_model(tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    pytest.importorskip("setuptools")
    environment = installed(new_package.run("some_hand", mjcf=CLAW, parent=tmp_path).folder)
    file = tmp_path / "figures.json"
    text = mbrl(environment, "demo", "some_hand", "--headless", "--seconds", "3", "--json", str(file))
    assert "at random" in text
    figures = json.loads(file.read_text())
    assert (figures["model"], figures["episode files"]) == ("random", 1)
    assert figures["ticks"] > 10
    assert figures["time to first motion (s)"] > 0


def test_an_object_that_falls_is_not_part_of_the_task(tmp_path: Path) -> None:
    model = tmp_path / "hand.xml"
    falling = '<body name="ball" pos=".5 0 .3"><freejoint/><geom size=".02"/></body></worldbody>'
    model.write_text(
        MJCF.replace("</worldbody>", falling).replace(
            'qpos=".3 0 0 .0305 1 0 0 0"', 'qpos=".3 0 0 .0305 1 0 0 0 .5 0 .3 1 0 0 0"'
        )
    )
    written = new_package.run("some_hand", mjcf=model, parent=tmp_path)
    assert written.left_out == ("ball",)
    contract = yaml.safe_load((written.folder / "some_hand/share/config/some_hand.yaml").read_text())
    assert [source["object"] for source in contract["state"][1:]] == ["box"]


@pytest.mark.parametrize("name", ["", "a", "My_hand", "my hand", "9hand", "my__hand", "hand_", "class", "../hand", "é"])
def test_a_name_that_no_package_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(MbrlError, match="name has"):
        new_package.run(name, mjcf=CLAW, parent=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "said"), [("valve", "a task"), ("numpy", "a Python package")])
def test_a_name_that_is_taken_is_refused(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(MbrlError, match=f"{said} of this name"):
        new_package.run(name, mjcf=CLAW, parent=tmp_path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "some_hand").mkdir()
    with pytest.raises(MbrlError, match="exists already"):
        new_package.run("some_hand", mjcf=CLAW, parent=tmp_path)
    with pytest.raises(MbrlError, match="no such folder"):
        new_package.run("some_hand", mjcf=CLAW, parent=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<mujoco><worldbody/></mujoco>", "no joint to command"),
        ("<mujoco>", "XML"),
        ("", "XML"),
        ("<robot/>", "--urdf"),
    ],
)
def test_a_file_without_a_hand_leaves_nothing_behind(text: str, said: str, tmp_path: Path) -> None:
    model = tmp_path / "hand.xml"
    model.write_text(text)
    with pytest.raises(MbrlError, match=said):
        new_package.run("some_hand", mjcf=model, parent=tmp_path)
    assert list(tmp_path.iterdir()) == [model]
