# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`mbrl new`: a package for a hand of one's own, from its model file: contract, world, task, launch files, tests."""

from __future__ import annotations

import importlib.util
import json
import keyword
import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from string import Template

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.contract.draft import PERIOD, draft_contract, scalar
from mbrl_controller.simulation.hand_model import HandModel, copy_hand, fitting_step, held_objects, is_urdf
from mbrl_controller.tasks.catalog import TASKS

MODEL = "hand.xml"
LAUNCH = {
    "sim.launch.py": "The simulated hand with its controller and logger",
    "robot.launch.py": "Controller and logger for the real hand",
}
# Template -> file in the package; `$name` stands for its name.
FILES = {
    "README.md": "README.md",
    "setup.py": "setup.py",
    "package.xml": "package.xml",
    "pyproject.toml": "pyproject.toml",
    "__init__.py": "$name/__init__.py",
    "task.py": "$name/task.py",
    "tasks.yaml": "$name/share/config/tasks.yaml",
    "scene.yaml": "$name/share/sim/$name/scene.yaml",
    "test_package.py": "test/test_$name.py",
}


@dataclass(frozen=True)
class NewPackage:
    """A package that was written."""

    folder: Path
    left_out: tuple[str, ...]  # objects of the model that fall in its start pose, which the task does not have


def run(name: str, *, mjcf: Path | None = None, urdf: Path | None = None, parent: Path) -> NewPackage:
    """Write the package `parent`/`name` for the hand in a model file, `mjcf` or `urdf`.

    Raises MbrlError: the name cannot be used, something is there already, or the model is not one of a hand. Nothing is
    left half written.
    """
    check_name(name)
    model = mjcf or urdf
    if model is None:
        raise ValueError("either mjcf or urdf")
    if is_urdf(model) != (urdf is not None):
        raise MbrlError(f"{model}: is {'a URDF: --urdf' if mjcf else 'no URDF but an MJCF: --mjcf'}")
    folder = parent / name
    if folder.exists():
        raise MbrlError(f"{folder}: exists already; choose another name or --dir")
    if not parent.is_dir():
        raise MbrlError(f"{parent}: there is no such folder")
    with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=parent) as temporary:
        draft = Path(temporary) / name
        left_out = _write(draft, name, model)
        shutil.move(draft, folder)
    return NewPackage(folder, left_out)


def check_name(name: str) -> None:
    """Raises MbrlError unless `name` can be that of a ROS package, of a Python package and of a new task."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) < 2 or keyword.iskeyword(name):
        raise MbrlError(f"{name!r:.100}: a package's name has lower-case letters, digits and single underscores")
    if name in TASKS:
        raise MbrlError(f"{name}: there is a task of this name already; `mbrl tasks` lists them")
    if importlib.util.find_spec(name) is not None:
        raise MbrlError(f"{name}: there is a Python package of this name already, which it would hide")


def _write(folder: Path, name: str, model: Path) -> tuple[str, ...]:
    """Write all files; returns the objects that were left out."""
    share = folder / name / "share"
    for below in (share / "config", share / "sim" / name, folder / "launch", folder / "resource", folder / "test"):
        below.mkdir(parents=True)
    copied = copy_hand(model, share / "sim" / name, MODEL)
    hand = replace(copied, objects=held_objects(share / "sim" / name / MODEL, copied))
    contract = draft_contract(name, name, hand.joints, model.name, tuple(hand.objects))
    (share / "config" / f"{name}.yaml").write_text(contract, encoding="utf-8")
    (folder / "resource" / name).touch()
    values = _values(name, model, hand)
    for template, place in FILES.items():
        _render(template, folder / Template(place).substitute(name=name), values)
    for file, what in LAUNCH.items():
        _render("launch.py", folder / "launch" / file, values | {"file": file, "what": what})
    return tuple(thing for thing in copied.objects if thing not in hand.objects)


def _values(name: str, model: Path, hand: HandModel) -> dict[str, str]:
    """What stands for the names in the templates."""
    places = "".join(f"    {json.dumps(thing)}: {place},\n" for thing, place in hand.objects.items())
    step = fitting_step(hand.timestep, PERIOD)
    return {
        "name": name,
        "class_name": "".join(word.capitalize() for word in name.split("_")),
        "title": name.replace("_", " ").capitalize(),
        "origin": model.name,
        "objects": f"{{\n{places}}}" if places else "{}",
        "and_hold": " while the objects stay where they are" if hand.objects else "",
        "options": f"options: {{timestep: {step!r}}}\n" if step != hand.timestep else "",
        "servos": _servos(hand) if hand.bare else "",
        "key": f"  key: {scalar(hand.key)}\n" if hand.key else "",
        "vary": '    objects: {"*": {position: option}}\n' if hand.objects else "",
    }


def _servos(hand: HandModel) -> str:
    """The part of scene.yaml that gives servos to the joints of a model without actuators."""
    force = {name: f", force: {effort:g}" for name, effort in hand.efforts.items() if effort > 0}
    rows = "".join(f"  {scalar(joint.name)}: {{kp: 2.0{force.get(joint.name, '')}}}\n" for joint in hand.joints)
    return f"""
# The model file has no actuators. These are a guess, to be replaced by what is known of the hand: kp in N m/rad, force
# (the largest, N m) from its limits of effort, damping in N m s/rad, armature (the motor's inertia) in kg m^2.
add_actuators:
{rows}edit:
  joints: {{"*": {{damping: 0.1, armature: 0.001}}}}
"""


def _render(template: str, path: Path, values: dict[str, str]) -> None:
    text = (resources.files(__package__) / "templates" / f"{template}.in").read_text(encoding="utf-8")
    path.write_text(Template(text).substitute(values), encoding="utf-8")
