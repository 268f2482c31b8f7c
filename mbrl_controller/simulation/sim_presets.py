# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Simulated hands by name: nominal, perturbed, and those that packages describe in sim/presets/NAME.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mbrl_controller.base.errors import ContractError, MbrlError
from mbrl_controller.base.option_rows import value_text
from mbrl_controller.base.shares import shared_files
from mbrl_controller.base.yaml_text import load_yaml
from mbrl_controller.models.spec import describe_validation
from mbrl_controller.simulation.sim_options import PRESETS, SimOptions, checked_options, differing

FILES = "sim/presets/*.yaml"
BUILT_IN = {
    "nominal": "as the scene says, without noise",
    "perturbed": "noise, latency and losses as of a real hand, and other masses, friction and gains",
}


class PresetFile(BaseModel):
    """What sim/presets/NAME.yaml says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str = Field(description="in what it differs, in one sentence")
    over: str = Field(default="nominal", description="the preset whose options it overrides: nominal or perturbed")
    options: dict[str, Any] = Field(description="as `mbrl options sim` lists them")


def preset_names() -> list[str]:
    """The names that `--sim` takes; raises ContractError where two packages have one of the same name."""
    return [*PRESETS, *_files()]


def preset(name: str) -> SimOptions:
    """Options by name; raises ContractError for an unknown name, MbrlError for a file that cannot be used."""
    if name in PRESETS:
        return PRESETS[name]
    found = _files()
    if name not in found:
        raise ContractError(f"unknown simulation preset {name!r}; known: {', '.join([*PRESETS, *found])}")
    file = _read(found[name])
    return checked_options(PRESETS[file.over].model_dump() | file.options, str(found[name]))


def list_presets() -> list[dict[str, str]]:
    """A row for each preset: its name, what it is, the options that differ from the nominal ones, and its file.

    A file that cannot be used has the reason in place of what it is.
    """
    rows = [_row(name, text, "") for name, text in BUILT_IN.items()]
    for name, path in _files().items():
        try:
            rows.append(_row(name, _read(path).about, str(path)))
        except MbrlError as error:
            rows.append({"name": name, "about": f"cannot be used: {error}", "options": "", "file": str(path)})
    return rows


def _row(name: str, text: str, file: str) -> dict[str, str]:
    options = ", ".join(f"{option}={value_text(value)}" for option, value in differing(preset(name)).items())
    return {"name": name, "about": text, "options": options, "file": file}


def make_sim_options(name: str, overrides: Mapping[str, Any]) -> SimOptions:
    """The preset `name` with single options in `overrides`; raises MbrlError for what is unknown or out of range."""
    return checked_options(preset(name).model_dump() | dict(overrides))


def node_parameters(name: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the node `sim` that make it this hand; raises MbrlError.

    A list is one there, too, where a person gave its only entry. An empty one has no type and is left out: nothing
    can empty the list of a preset.
    """
    own = make_sim_options(name, overrides).model_dump(mode="json", include=set(overrides))
    return {"preset": name, **{f"options.{option}": value for option, value in own.items() if value != []}}


def _files() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in shared_files(FILES):
        if path.stem in PRESETS or path.stem in found:
            other = found.get(path.stem, "this package")
            raise ContractError(f"{path}: there is a simulation preset {path.stem!r} already, in {other}")
        found[path.stem] = path
    return found


@lru_cache(maxsize=32)
def _read(path: Path) -> PresetFile:
    try:
        file = PresetFile.model_validate(load_yaml(path.read_text()))
    except ValidationError as error:
        raise ContractError(f"{path}: {describe_validation(error)}") from error
    except (OSError, ValueError) as error:
        raise ContractError(f"{path}: {error}") from error
    if file.over not in PRESETS:
        raise ContractError(f"{path}: over: {file.over!r} is not known; known: {', '.join(PRESETS)}")
    return file
