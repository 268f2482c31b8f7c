# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""One model version on disk: its folder, its model files and its card."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mbrl_controller.base.errors import ModelError
from mbrl_controller.models.files import MAX_TEXT_BYTES, ModelFile, read_bounded
from mbrl_controller.models.fitted import IdentifiedCard
from mbrl_controller.models.heads import METHODS, HeadCard, HeadKind
from mbrl_controller.models.origin import Origin, world_text
from mbrl_controller.models.spec import ModelSpec, Precision, check_format, describe_validation

MODEL_FILE = "model.onnx"
INT8_FILE = "model.int8.onnx"
HEAD_FILES: dict[HeadKind, str] = {kind: f"{kind}.onnx" for kind in METHODS}
ONNX_FILES = (MODEL_FILE, INT8_FILE, *HEAD_FILES.values())
IDENTIFIED_FILE = "identified.json"
CARD_FILE = "card.json"

ServedPrecision = Literal["auto", "fp32", "int8"]  # auto: the 8-bit file if the version has one
PRECISIONS: tuple[str, ...] = get_args(ServedPrecision)


class ModelCard(BaseModel):
    """A version's description, results and history, and the digests that its files must have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    spec: ModelSpec
    model_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")  # None: it has none
    command: str = ""
    notes: str = ""
    evaluation: dict[str, float] = Field(default_factory=dict)
    evaluation_precision: Precision = "fp32"  # of the file that was evaluated
    int8_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")  # None: there is no 8-bit file
    int8_figures: dict[str, float] = Field(default_factory=dict)  # compared with the fp32 file
    int8_refused: str = ""  # why one was made and rejected
    origins: tuple[Origin, ...] = ()  # of the episodes it was trained on; empty: an older card
    measured: dict[str, str] = Field(default_factory=dict)  # as in episodes/data_schema.py; empty: an older card
    policy: HeadCard | None = None
    value: HeadCard | None = None
    reward: HeadCard | None = None
    inverse: HeadCard | None = None
    multistep_inverse: HeadCard | None = None
    action_free: HeadCard | None = None
    between: HeadCard | None = None
    joint: HeadCard | None = None
    identified: IdentifiedCard | None = None  # fitted physics of the simulator

    @model_validator(mode="after")
    def _files_fit(self) -> ModelCard:
        alone = self.policy is not None or self.identified is not None
        if self.model_sha256 is None and (not alone or self.int8_sha256 is not None):
            raise ValueError("a version has a model (model_sha256), or a policy or fitted physics alone")
        if (self.model_sha256 is None) != (self.spec.ensemble_size == 0):
            raise ValueError("spec.ensemble_size is 0 where there is no model, and only there")
        if self.spec.residual_to and (self.identified is None or self.identified.sha256 != self.spec.residual_to):
            raise ValueError("spec.residual_to: the version has no fitted physics of this digest")
        for kind, head in self.heads.items():
            if head.kind not in METHODS[kind]:
                raise ValueError(f"{kind}.kind: {head.kind!r} is none of {', '.join(METHODS[kind])}")
        return self

    @property
    def heads(self) -> dict[HeadKind, HeadCard]:
        """The heads that the version has."""
        found: dict[HeadKind, HeadCard | None] = {kind: getattr(self, kind) for kind in HEAD_FILES}
        return {kind: head for kind, head in found.items() if head is not None}

    @property
    def head_names(self) -> str:
        """Its heads and how each was made, for display: `policy (distilled), value (td_lambda)`; empty: none."""
        return ", ".join(f"{kind} ({head.kind})" for kind, head in self.heads.items())

    @property
    def worlds(self) -> str:
        """The worlds of the episodes it was trained on, for display."""
        return ", ".join(sorted({world_text(origin.world) for origin in self.origins})) or world_text("")

    @property
    def precisions(self) -> str:
        """The best precision it can be served in, for display: `int8`, or `fp32` with the reason for not int8.

        Empty without a model; `physics` where it has fitted physics instead, or beside a model that corrects it.
        """
        if self.model_sha256 is None:
            return "physics" if self.identified is not None else ""
        if self.spec.residual_to:
            return f"physics and {self.spec.precision}"
        if self.int8_sha256 or self.spec.precision == "int8":
            return "int8"
        return f"fp32 ({self.int8_refused})" if self.int8_refused else "fp32"


@dataclass(frozen=True)
class Version:
    """One version's folder."""

    task: str
    name: str
    folder: Path
    shipped: bool = False  # may be installed as symbolic links; a user's own version may not

    @property
    def model(self) -> Path:
        """The ONNX file, fp32."""
        return self.folder / MODEL_FILE

    @property
    def int8(self) -> Path:
        """Where the 8-bit ONNX file is, if the version has one."""
        return self.folder / INT8_FILE

    def head(self, kind: HeadKind) -> Path:
        """Where the ONNX file of a head is, if the version has one."""
        return self.folder / HEAD_FILES[kind]

    def path_for(self, precision: str = "auto", card: ModelCard | None = None) -> Path:
        """The file for a ServedPrecision; auto: the 8-bit file if it exists and the card has its digest.

        `card`: the version's card, if it was read before. Raises ModelError for a bad card, an unknown precision,
        "int8" without an 8-bit file, and a version without a model.
        """
        if precision not in PRECISIONS:
            raise ModelError(f"unknown precision {precision!r}; known: {', '.join(PRECISIONS)}")
        card = card or self.card()
        self.require_model(card)
        if precision == "fp32":
            return self.model
        if card.int8_sha256 and os.path.lexists(self.int8):
            return self.int8
        if precision == "int8":
            why = card.int8_refused or f"none was made: mbrl models quantise {self.task} {self.name}"
            raise ModelError(f"{self.task} {self.name} has no {INT8_FILE}: {why}")
        return self.model

    def require_model(self, card: ModelCard) -> None:
        """Raises ModelError if the version has no model that predicts by itself."""
        if card.spec.residual_to:
            raise ModelError(
                f"{self.task} {self.name} predicts only what its simulator misses: plan with both (dynamics: residual) "
                "or for anything else choose a version with a whole model (mbrl models list)"
            )
        self._require_file(card)

    def _require_file(self, card: ModelCard) -> None:
        if card.model_sha256 is None and card.identified is not None:
            raise ModelError(
                f"{self.task} {self.name} has no model, only fitted physics, with which the simulator plans "
                "(dynamics: identified); for anything else choose a version with a model (mbrl models list)"
            )
        if card.model_sha256 is None:
            raise ModelError(
                f"{self.task} {self.name} has no model, only a policy ({self.head('policy')}); it can act (policy: "
                "distilled), but not plan, be trained on or be tested against data: choose a version with a model "
                "(mbrl models list)"
            )

    def require_policy(self, card: ModelCard) -> None:
        """Raises ModelError if the version has no policy that could act."""
        if card.policy is None:
            raise ModelError(f"{self.task} {self.name} has no policy; choose a version that has one (mbrl models list)")

    def card(self) -> ModelCard:
        """Its card; raises ModelError."""
        path = self.folder / CARD_FILE
        if self.folder.is_symlink() and not self.shipped:
            raise ModelError(f"{self.folder}: it is a symbolic link, which may lead anywhere; a version is a folder")
        try:
            content = read_bounded(path, MAX_TEXT_BYTES, links=self.shipped)
            check_format(content, str(path), within="spec")
            return ModelCard.model_validate_json(content)
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise ModelError(f"{path}: bad card: {describe_validation(error)}") from error

    def read(self, path: Path, card: ModelCard) -> ModelFile:
        """One of its files, at `path`; raises ModelError if its digest is not the card's, or has none there."""
        digests = {MODEL_FILE: card.model_sha256, INT8_FILE: card.int8_sha256}
        digests |= {HEAD_FILES[kind]: head.sha256 for kind, head in card.heads.items()}
        digests[IDENTIFIED_FILE] = None if card.identified is None else card.identified.sha256
        if path == self.model:
            self._require_file(card)
        return ModelFile.read(path, digests.get(path.name) or "", links=self.shipped)

    def read_all(self, card: ModelCard) -> dict[str, ModelFile]:
        """Its files by name, each with the digest on `card`; raises ModelError, also for a missing file."""
        paths = [self.model] if card.model_sha256 else []
        paths += [self.int8] if card.int8_sha256 else []
        paths += [self.head(kind) for kind in card.heads]
        paths += [self.folder / IDENTIFIED_FILE] if card.identified else []
        return {path.name: self.read(path, card) for path in paths}

    def check_digest(self) -> ModelCard:
        """Its card, after comparing its files' digests with it; raises ModelError, also for a missing file."""
        card = self.card()
        self.read_all(card)
        return card
