# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The model registry: versions of each task on disk, which one is current, promotion and roll-back.

Layout: `<root>/<task>/<version>/{model.onnx, card.json, ...}` and `<root>/<task>/current.json`. A version's folder is
written under a temporary name and then renamed; `current.json` is replaced atomically. So a reader sees the old or the
new state, even if a writer is killed. The shipped models are a second, read-only root; a file `.no_fallback` in the
first root hides them.

`model.onnx` is in single precision. Next to it there may be the same network in 8 bit, if it was found to plan alike
(training/quantise.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mbrl_controller.base.errors import ModelError, RegistryError
from mbrl_controller.base.files import write_atomically
from mbrl_controller.base.resources import home_dir, share_dir
from mbrl_controller.models.card import CARD_FILE, HEAD_FILES, ModelCard, Version
from mbrl_controller.models.files import MAX_TEXT_BYTES, ModelFile, read_bounded
from mbrl_controller.models.heads import HeadCard, HeadKind
from mbrl_controller.models.spec import Precision, describe_validation

CURRENT_FILE = "current.json"
NO_FALLBACK_FILE = ".no_fallback"
NO_FALLBACK_FILES = (NO_FALLBACK_FILE, "alone")  # the latter: of version 0.1
VERSION = re.compile(r"^v\d{4,}$")


class _Current(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    history: tuple[str, ...] = ()  # versions that were current before, oldest first


class Registry:
    """Versions of `root`, and of the read-only `shipped` root if `root` has none of the same name."""

    def __init__(self, root: str | Path | None = None, shipped: str | Path | None = None) -> None:
        self.root = Path(root) if root else home_dir() / "models"
        if shipped is None:
            hidden = any((self.root / name).exists() for name in NO_FALLBACK_FILES)
            shipped = self.root if hidden else share_dir() / "models"
        self.shipped = Path(shipped)

    def versions(self, task: str) -> list[Version]:
        """All versions, oldest first; a user's own version hides a shipped one of the same name."""
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
            f"no model of task {task!r} in {self.root} or {self.shipped}; make one: `mbrl learn {task} --keep`, or, "
            f"from logged episodes, `mbrl retrain {task}`"
        )

    def promoted(self, task: str) -> list[str]:
        """Names of the current version and of earlier current ones, newest first; some may no longer exist.

        Raises RegistryError if `current.json` cannot be read.
        """
        for base in (self.root, self.shipped):
            current = self._read_current(base / task)
            if current is not None:
                return list(dict.fromkeys([current.version, *reversed(current.history)]))
        return []

    def resolve(self, task: str, version: str = "current", robot: str = "") -> Version:
        """`current`, or a version by name (`v0003`); raises RegistryError.

        With `robot`, current is the version of that robot that was promoted last, where it has one.
        """
        if version not in ("", "current"):
            return self._find(task, version)
        return (self._current_of(task, robot) if robot else None) or self.current(task)

    def _current_of(self, task: str, robot: str) -> Version | None:
        known, names = {version.name: version for version in self.versions(task)}, self.promoted(task)
        if names and names[0] not in known:
            return None  # `current` says that it is gone
        for found in (known[name] for name in names if name in known):
            try:
                if found.card().spec.robot == robot:
                    return found
            except ModelError:
                return found  # damaged: it may be this robot's, and an older one would be a step back
        return None

    def add(self, task: str, files: Path, card: ModelCard) -> Version:
        """Add a version: copies the folder `files`, which has the model (and report).

        The card must have the version name from `next_name`; raises RegistryError if the name is taken by now.
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
        """Raises RegistryError if no version of `task` can be added; call it before long work."""
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
        """Make `version` the current one, atomically."""
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
        self, task: str, version: str, figures: dict[str, float], precision: Precision = "fp32"
    ) -> Version:
        """Write an evaluation's results to a version's card, with the precision of the evaluated file.

        Raises RegistryError if the card cannot be written.
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
        """Copy the 8-bit `file` into a version (None: delete the version's own) and record it on the card.

        If it is killed, the version can still be served: first it removes the old file from the card, then it writes
        the new file, then the card. Raises RegistryError for a shipped version and if nothing can be written, and
        ModelError if `file` cannot be read.
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

    def record_heads(self, task: str, version: str, files: Path, heads: Mapping[HeadKind, HeadCard]) -> Version:
        """Copy heads' files from the folder `files` into a version that nobody uses yet, and record them on the card.

        If it is killed, the version is as before, or without heads. Raises RegistryError for a shipped version and if
        nothing can be written, and ModelError if a file is not the one of its card.
        """
        with self._locked(task):
            found = self.own(task, version)
            content = {kind: ModelFile.read(files / HEAD_FILES[kind], head.sha256) for kind, head in heads.items()}
            card = found.card().model_copy(update=dict.fromkeys(heads))
            _replace(found.folder / CARD_FILE, card.model_dump_json(indent=2))
            for kind, file in content.items():
                _replace(found.head(kind), file.content)
            card = card.model_copy(update=dict(heads.items()))
            _replace(found.folder / CARD_FILE, card.model_dump_json(indent=2))
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
        """The task's folder, locked against other writers."""
        folder = self.root / task
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / ".lock").open("w")
        except OSError as error:
            raise RegistryError(f"{folder}: cannot be written: {error.strerror}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in folder.glob(".adding-*"):  # from a killed writer
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
