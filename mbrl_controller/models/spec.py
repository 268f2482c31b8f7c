# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The description of a model, and whether the model fits a robot and a task.

It is stored as metadata in the ONNX file (key `mbrl_controller`, JSON) and on the version's card.
"""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mbrl_controller.base.errors import ModelError
from mbrl_controller.base.option_rows import unknown_option
from mbrl_controller.base.overrides import COMMA_HINT, comma_hint
from mbrl_controller.base.validation_text import complaints
from mbrl_controller.models.fit import layout_fields, misfits
from mbrl_controller.models.hand_geometry import HandGeometry
from mbrl_controller.tasks.base import Task
from mbrl_controller.tasks.spaces import ActionSpace, VectorSpec

FORMAT_VERSION: Literal[1] = 1
METADATA_KEY = "mbrl_controller"
Precision = Literal["fp32", "int8"]  # of a model file


class ModelSpec(BaseModel):
    """Identity of a dynamics model: (state [E, N, S], action [N, A]) -> next state [E, N, S], physical units."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = FORMAT_VERSION
    task: str
    robot: str
    state_names: tuple[str, ...]
    state_units: tuple[str, ...]
    periodic: tuple[int, ...] = ()
    action_names: tuple[str, ...]
    action_units: tuple[str, ...]
    action_lower: tuple[float, ...]
    action_upper: tuple[float, ...]
    action_max_rate: tuple[float, ...]
    control_period_s: float = Field(gt=0)
    ensemble_size: int = Field(ge=0, le=64)  # 0: on the card of a version without a model
    hidden: tuple[int, ...]
    precision: Precision = "fp32"
    version: str = ""
    parent: str = ""
    created: str = ""
    data_digest: str = ""
    transitions: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)
    delta_scale: tuple[float, ...] = ()  # [S] std of one step's change in training, the unit of disagreement
    # See models/disagreement.py; None: no limit known. NaN or infinity would disable the check.
    disagreement_limit: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    # SHA-256 of the fitted physics whose errors it predicts (models/residual.py); empty: it predicts the whole change.
    residual_to: str = ""
    geometry: HandGeometry | None = None  # for contact features computed from the state; None: it has none

    @model_validator(mode="after")
    def _geometry_fits(self) -> ModelSpec:
        needed = self.geometry.state_names if self.geometry is not None else ()
        missing = [name for name in needed if name not in self.state_names]
        if missing:
            raise ValueError(f"its geometry needs state entries that it has not: {', '.join(missing)}")
        return self

    @model_validator(mode="after")
    def _orientations_are_whole(self) -> ModelSpec:
        if len(set(self.state_names)) == len(self.state_names):
            VectorSpec(self.state_names, ("",) * len(self.state_names))
        return self

    @classmethod
    def of(cls, task: Task, robot: str, action: ActionSpace, ensemble_size: int, hidden: tuple[int, ...]) -> ModelSpec:
        """The spec of a model for this task on this robot; training fills in the rest."""
        return cls(
            **layout_fields(task, robot, action),
            ensemble_size=ensemble_size,
            hidden=hidden,
        )

    @property
    def state(self) -> VectorSpec:
        """Layout of the state vector."""
        return VectorSpec(self.state_names, self.state_units, self.periodic)

    def check_fits(self, task: Task, action: ActionSpace) -> None:
        """Raises ModelError with every difference between this model and the task and action space."""
        wrong = misfits(self, task, action)
        if wrong:
            raise ModelError(
                f"model {self.version or '(unnamed)'} of robot {self.robot} does not fit: {'; '.join(wrong)}"
            )

    def to_metadata(self) -> dict[str, str]:
        """Metadata entries to store in the ONNX file."""
        return {METADATA_KEY: self.model_dump_json()}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], where: str) -> ModelSpec:
        """The spec in an ONNX file's metadata; `where` names the file in errors (ModelError)."""
        if METADATA_KEY not in metadata:
            raise ModelError(f"{where}: not an mbrl_controller model (no {METADATA_KEY!r} metadata)")
        return cls.parse(metadata[METADATA_KEY], where)

    @classmethod
    def parse(cls, text: str | bytes, where: str) -> ModelSpec:
        """Parse JSON; raises ModelError naming the fields at fault."""
        check_format(text, where)
        try:
            spec = cls.model_validate_json(text)
        except ValidationError as error:
            raise ModelError(f"{where}: bad model description: {describe_validation(error)}") from error
        if not spec.ensemble_size:
            raise ModelError(f"{where}: bad model description: ensemble_size: a model has at least one network")
        return spec


def check_format(text: str | bytes, where: str, within: str | None = None) -> None:
    """Raises ModelError if the JSON object `text` (or its entry `within`) is of another format.

    A newer format may differ in any field, so this error comes before errors of single fields.
    """
    try:
        document = json.loads(text)
        version = (document[within] if within else document).get("format_version", FORMAT_VERSION)
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return  # which pydantic explains
    if version != FORMAT_VERSION:
        raise ModelError(f"{where}: model format {version!r:.100}, but this controller reads format {FORMAT_VERSION}")


def describe_validation(error: ValidationError, options: type[BaseModel] | None = None, listing: str = "") -> str:
    """Pydantic's complaints in one line: `field: what is wrong; ...`.

    Args:
        error: the complaints.
        options: the configuration that was asked for, if a person chose single options of it: an unknown one is
            answered with those of a similar name.
        listing: the command that lists them all.
    """
    found: list[Any] = error.errors(include_url=False)
    parts = [part for part in found if not _only_follows(part, found)]
    texts = []
    for complaint in complaints(parts)[:5]:
        name, part = ".".join(complaint.place), complaint.part
        if options is not None and part["type"] == "extra_forbidden":
            texts.append(f"{name}: {unknown_option(name, options, listing)}{_comma_hint(part)}")
        else:
            where = f"{name}: " if name else ""
            texts.append(f"{where}{complaint.text}{_near_missing(part, parts)}{_comma_hint(part)}")
    return "; ".join(texts)


def _only_follows(part: dict[str, Any], found: list[Any]) -> bool:
    """Whether a list counts as too short only because its items are refused, which is said of them."""
    loc = part["loc"]
    below = (other["loc"] for other in found if len(other["loc"]) > len(loc))
    return part["type"] == "too_short" and any(other[: len(loc)] == loc for other in below)


def _near_missing(part: dict[str, Any], parts: list[Any]) -> str:
    """The entry that is missing beside an unknown one of a similar name."""
    if part["type"] != "extra_forbidden":
        return ""
    *folder, name = part["loc"]
    missing = [str(p["loc"][-1]) for p in parts if p["type"] == "missing" and list(p["loc"][:-1]) == folder]
    near = get_close_matches(str(name), missing, n=1)
    return f"; near it: {near[0]}" if near else ""


def _comma_hint(part: dict[str, Any]) -> str:
    """YAML reads `{upper: 0,5}` as two entries: upper is 0, and 5, which is no name, is nothing."""
    is_rest = part["type"] == "invalid_key" and isinstance(part["input"], int)
    return f"; {COMMA_HINT}" if is_rest else comma_hint(part["input"])
