# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Models on disk: versions of each task, which one is current, promotion and roll-back.

Layout: `<root>/<task>/<version>/{model.onnx, card.json, ...}` and `<root>/<task>/current.json`. A version's folder is
written aside and renamed into place, `current.json` is replaced in one step: whoever reads sees the old or the new
state, whenever a writer is killed. Shipped models form a second, read-only root below the user's own; a root that holds
a file `alone` shows its own versions only.

`model.onnx` is in single precision. Beside it there may be the same network in 8 bit, once it was found to plan alike
(training/quantise.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mbrl_controller.base.errors import ModelError, RegistryError
from mbrl_controller.base.files import write_atomically
from mbrl_controller.base.resources import home_dir, share_dir
from mbrl_controller.models.files import MAX_TEXT_BYTES, ModelFile, read_bounded
from mbrl_controller.models.spec import ModelSpec, check_format, describe_validation

MODEL_FILE = "model.onnx"
INT8_FILE = "model.int8.onnx"
CARD_FILE = "card.json"
CURRENT_FILE = "current.json"
ALONE_FILE = "alone"
VERSION = re.compile(r"^v\d{4,}$")

ServedPrecision = Literal["auto", "fp32", "int8"]  # auto: 8 bit where the version has it
PRECISIONS: tuple[str, ...] = get_args(ServedPrecision)


class ModelCard(BaseModel):
    """What a person wants to know of a version, and the digests that its files must have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    spec: ModelSpec
    model_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    command: str = ""
    notes: str = ""
    evaluation: dict[str, float] = Field(default_factory=dict)
    evaluation_precision: Literal["fp32", "int8"] = "fp32"  # of the file that was evaluated
    int8_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")  # None: there is no 8-bit file
    int8_figures: dict[str, float] = Field(default_factory=dict)  # how it compares with the fp32 one
    int8_refused: str = ""  # why there is none, where one was tried
    measured: dict[str, str] = Field(default_factory=dict)  # as in episodes/meaning.py; empty: an older card

    @property
    def precisions(self) -> str:
        """What it can be served in, for people: `int8`, or `fp32` with the reason why no more."""
        if self.int8_sha256 or self.spec.precision == "int8":
            return "int8"
        return f"fp32 ({self.int8_refused})" if self.int8_refused else "fp32"


class _Current(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    history: tuple[str, ...] = ()  # versions that were current before, oldest first


@dataclass(frozen=True)
class Version:
    """One version's folder."""

    task: str
    name: str
    folder: Path
    shipped: bool = False  # then it may be installed as links; a user's own may not lead elsewhere

    @property
    def model(self) -> Path:
        """The ONNX file, fp32."""
        return self.folder / MODEL_FILE

    @property
    def int8(self) -> Path:
        """Where the 8-bit ONNX file is, if the version has one."""
        return self.folder / INT8_FILE

    def served(self, precision: str = "auto", card: ModelCard | None = None) -> Path:
        """The file to serve; auto: the 8-bit one if the card (`card`, if it was read before) tells of it and it is
        there.

        Raises ModelError for a bad card, for an unknown precision, and for "int8" where there is no such file.
        """
        if precision not in PRECISIONS:
            raise ModelError(f"unknown precision {precision!r}; known: {', '.join(PRECISIONS)}")
        if precision == "fp32":
            return self.model
        card = card or self.card()
        if card.int8_sha256 and os.path.lexists(self.int8):
            return self.int8
        if precision == "int8":
            why = card.int8_refused or f"none was made: mbrl models quantise {self.task} {self.name}"
            raise ModelError(f"{self.task} {self.name} has no {INT8_FILE}: {why}")
        return self.model

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
        """One of its two model files, if it is the one that `card` was written for; raises ModelError."""
        digest = card.int8_sha256 if path == self.int8 else card.model_sha256
        return ModelFile.read(path, digest or "", links=self.shipped)

    def check_digest(self) -> ModelCard:
        """Its card, after checking that its model files are those the card was written for.

        Raises ModelError for another file, and for one that is missing.
        """
        card = self.card()
        for path in (self.model, self.int8) if card.int8_sha256 else (self.model,):
            self.read(path, card)
        return card


class Registry:
    """Versions of `root`, and below them those of the read-only `shipped` root."""

    def __init__(self, root: str | Path | None = None, shipped: str | Path | None = None) -> None:
        self.root = Path(root) if root else home_dir() / "models"
        if shipped is None:
            shipped = self.root if (self.root / ALONE_FILE).exists() else share_dir() / "models"
        self.shipped = Path(shipped)

    def versions(self, task: str) -> list[Version]:
        """All versions, oldest first; the user's own stands before a shipped one of the same name."""
        found: dict[str, Version] = {}
        for base in (self.shipped, self.root):
            folder = base / task
            if folder.is_dir():
                for path in folder.iterdir():
                    if VERSION.match(path.name) and path.is_dir():
                        found[path.name] = Version(task, path.name, path, shipped=base != self.root)
        return sorted(found.values(), key=lambda v: _number(v.name))

    def current(self, task: str) -> Version:
        """The promoted version; raises RegistryError when there is none."""
        for base in (self.root, self.shipped):
            current = self._read_current(base / task)
            if current is not None:
                return self._find(task, current.version)
        raise RegistryError(
            f"no model of task {task!r} in {self.root} or {self.shipped}; train one: mbrl retrain {task}"
        )

    def promoted(self, task: str) -> list[str]:
        """Names of the version that is current and of those that were before, newest first; some may be gone.

        Raises RegistryError where the note of it cannot be read.
        """
        for base in (self.root, self.shipped):
            current = self._read_current(base / task)
            if current is not None:
                return list(dict.fromkeys([current.version, *reversed(current.history)]))
        return []

    def resolve(self, task: str, version: str = "current") -> Version:
        """`current`, or a version by name (`v0003`); raises RegistryError."""
        return self.current(task) if version in ("", "current") else self._find(task, version)

    def add(self, task: str, files: Path, card: ModelCard) -> Version:
        """Take in a new version: `files` is a folder with the model (and report); it is copied, then named.

        The caller's card must carry the version name from `next_name`; raises RegistryError if it was taken meanwhile.
        """
        with self._locked(task) as folder:
            name = card.spec.version
            if not VERSION.match(name):
                raise RegistryError(f"{name!r} is not a version name (v0001, v0002, ...)")
            if any(v.name == name for v in self.versions(task)):
                raise RegistryError(f"{task} {name} exists already")
            aside = Path(tempfile.mkdtemp(prefix=".adding-", dir=folder))
            try:
                for path in files.iterdir():
                    if path.is_file():
                        shutil.copy2(path, aside / path.name)
                (aside / CARD_FILE).write_text(card.model_dump_json(indent=2) + "\n")
                for path in aside.iterdir():
                    _to_disk(path)  # or a power cut could leave the folder's name and empty files
                aside.chmod(0o755)
                os.rename(aside, folder / name)
            except BaseException:
                shutil.rmtree(aside, ignore_errors=True)
                raise
            return Version(task, name, folder / name)

    def check_writable(self, task: str) -> None:
        """Raises RegistryError where no version of `task` could be added: best asked before the work is done."""
        with self._locked(task) as folder:
            try:
                os.rmdir(tempfile.mkdtemp(prefix=".adding-", dir=folder))
            except OSError as error:
                raise RegistryError(f"{folder}: cannot be written: {error.strerror}") from error

    def next_name(self, task: str) -> str:
        """The name the next version will have."""
        numbers = [_number(v.name) for v in self.versions(task)]
        return f"v{max(numbers, default=0) + 1:04d}"

    def promote(self, task: str, version: str) -> Version:
        """Make `version` the current one, in one step."""
        with self._locked(task) as folder:
            found = self._find(task, version)
            before = self._read_current(folder) or self._read_current(self.shipped / task)
            if before is not None and before.version == version:
                return found
            history = () if before is None else (*before.history, before.version)
            _replace(folder / CURRENT_FILE, _Current(version=version, history=history[-20:]).model_dump_json(indent=2))
            return found

    def roll_back(self, task: str) -> Version:
        """Make the version that was current before the current one again; raises RegistryError if there was none."""
        with self._locked(task) as folder:
            now = self._read_current(folder)
            if now is None or not now.history:
                raise RegistryError(f"{task}: nothing to roll back to")
            found = self._find(task, now.history[-1])
            _replace(
                folder / CURRENT_FILE, _Current(version=found.name, history=now.history[:-1]).model_dump_json(indent=2)
            )
            return found

    def record_evaluation(
        self, task: str, version: str, figures: dict[str, float], precision: Literal["fp32", "int8"] = "fp32"
    ) -> Version:
        """Keep an evaluation's figures on a version's card, with the precision of the file that was evaluated.

        Raises RegistryError where the card cannot be written.
        """
        with self._locked(task):
            found = self._find(task, version)
            card = found.card().model_copy(update={"evaluation": figures, "evaluation_precision": precision})
            _replace(found.folder / CARD_FILE, card.model_dump_json(indent=2))
            return found

    def own(self, task: str, version: str = "current") -> Version:
        """`resolve`, but for a version of this root; raises RegistryError for a shipped one."""
        found = self.resolve(task, version)
        if not found.folder.is_relative_to(self.root):
            raise RegistryError(
                f"{task} {found.name} is a shipped version ({found.folder}), which is not written to; "
                "--models-dir names the registry to change"
            )
        return found

    def record_int8(
        self, task: str, version: str, file: Path | None, figures: dict[str, float], refused: str = ""
    ) -> Version:
        """Give a version the 8-bit `file` (a copy; None: take its own away) and tell of it on the card.

        Killed at any moment, it leaves a version that can be served: first the card forgets the old file, then the
        new one comes, then the card tells of it. Raises RegistryError for a version that is shipped and where
        nothing can be written, ModelError for a file that cannot be read.
        """
        with self._locked(task):
            found = self.own(task, version)
            card_file = found.folder / CARD_FILE
            card = found.card().model_copy(
                update={"int8_sha256": None, "int8_figures": figures, "int8_refused": refused}
            )
            _replace(card_file, card.model_dump_json(indent=2))
            if file is None:
                found.int8.unlink(missing_ok=True)
                return found
            new = ModelFile.read(file)
            _replace(found.int8, new.content)
            card = card.model_copy(update={"int8_sha256": new.sha256})
            _replace(card_file, card.model_dump_json(indent=2))
            return found

    def _find(self, task: str, version: str) -> Version:
        known = self.versions(task)
        for candidate in known:
            if candidate.name == version:
                return candidate
        names = ", ".join(v.name for v in known) or "none"
        raise RegistryError(f"no version {version!r} of task {task!r}; there are: {names}")

    def _read_current(self, folder: Path) -> _Current | None:
        path = folder / CURRENT_FILE
        try:
            return _Current.model_validate_json(read_bounded(path, MAX_TEXT_BYTES, links=folder.parent != self.root))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RegistryError(f"{path}: cannot be read: {error.strerror or error}") from error
        except ValidationError as error:
            raise RegistryError(f"{path}: cannot be read: {describe_validation(error)}") from error

    @contextlib.contextmanager
    def _locked(self, task: str) -> Iterator[Path]:
        """The task's folder, with other writers kept out."""
        folder = self.root / task
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / ".lock").open("w")
        except OSError as error:
            raise RegistryError(f"{folder}: cannot be written: {error.strerror}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in folder.glob(".adding-*"):  # of a writer that was killed
                shutil.rmtree(left, ignore_errors=True)
            for left in folder.rglob(".*.part"):
                left.unlink(missing_ok=True)
            yield folder


def file_sha256(path: Path) -> str:
    """Digest of a model file; raises ModelError if it cannot be read."""
    return ModelFile.read(path).sha256


def _number(name: str) -> int:
    """Of a version's name."""
    return int(name.removeprefix("v"))


def _to_disk(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _replace(path: Path, content: str | bytes) -> None:
    try:
        write_atomically(path, content if isinstance(content, bytes) else f"{content}\n".encode())
    except OSError as error:
        raise RegistryError(f"{path}: cannot be written: {error.strerror}") from error
