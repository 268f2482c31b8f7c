# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Model versions from who trains to the storage, and from there into each hand's own registry.

`models/<task>/files/<sha256>` are files; `models/<task>/versions/<version>` names those of a version. It is created
once and never changed: of two trainers with the same version name, the second is refused. `models/<task>/current` names
the promoted version, and moves last.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.models.card import CARD_FILE, ModelCard, Version
from mbrl_controller.models.files import MAX_MODEL_BYTES, MAX_TEXT_BYTES
from mbrl_controller.models.registry import VERSION, Registry
from mbrl_controller.sharing.ledger import Ledger
from mbrl_controller.sharing.store import ShareError, Store

MAX_FILES = 32
MAX_NOTE = 64 * 1024  # bytes
FILE_NAME = r"^\w[\w.-]{0,99}$"
SHA256 = r"^[0-9a-f]{64}$"


class SharedFile(BaseModel):
    """A file of a version; its name is a name, never a path."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str = Field(pattern=FILE_NAME)
    sha256: str = Field(pattern=SHA256)
    size: int = Field(ge=0, le=MAX_MODEL_BYTES)


class VersionNote(BaseModel):
    """What `versions/<version>` holds."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    created: str  # as on the card: two versions of one name differ in it
    files: tuple[SharedFile, ...] = Field(min_length=1, max_length=MAX_FILES)


class CurrentNote(BaseModel):
    """What `current` holds."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: str = Field(pattern=VERSION.pattern)


def push_versions(store: Store, registry: Registry, task: str) -> tuple[int, list[str]]:
    """Publish a task's own versions, and then which one is current.

    Returns:
        How many the storage did not have, and what was refused, with the reasons.

    Raises:
        MbrlError: the storage failed, or a version here is damaged.
    """
    ours: set[str] = set()
    published = {key.rpartition("/")[2] for key in store.keys(f"models/{task}/versions")}
    sent = 0
    faults: list[str] = []
    for version in registry.versions(task):
        if version.shipped:
            continue
        if version.name not in published:
            note = _upload(store, version)
            sent += store.create(_key(task, version.name), note.model_dump_json().encode())
        there = _note(store, task, version.name)
        if there.created != version.card().spec.created:
            faults.append(
                f"{store.url}/{_key(task, version.name)}: another trainer published a {version.name}; yours stays "
                "here only: let one trainer publish a task, or give yours a new name with `mbrl models rewrite`"
            )
            continue
        ours.add(version.name)
    current = next(iter(registry.promoted(task)), "")
    if current in ours and _current(store, task) != current:
        store.replace(f"models/{task}/current", CurrentNote(version=current).model_dump_json().encode())
    return sent, faults


def pull_versions(store: Store, registry: Registry, task: str, ledger: Ledger) -> tuple[list[str], str, list[str]]:
    """Fetch the versions of a task that the registry lacks, and make the promoted one current when that moved.

    A version that a person promotes here stays current until the storage's moves again.

    Returns:
        Names of the versions that came; the one made current, empty for none; what could not be used.

    Raises:
        MbrlError: the storage failed, or the registry cannot be written.
    """
    own = {version.name: version for version in registry.versions(task)}
    came: list[str] = []
    faults: list[str] = []
    for key in store.keys(f"models/{task}/versions"):
        name = key.rpartition("/")[2]
        if not VERSION.match(name) or key in ledger:
            continue
        try:
            if name not in own:
                _download(store, registry, task, name)
                came.append(name)
            elif own[name].card().spec.created != _note(store, task, name).created:
                raise ShareError(f"{store.url}/{key}: {own[name].folder} is another version of this name")
            ledger.add(key)
        except ShareError as error:
            faults.append(str(error))
    current = _current(store, task)
    if not current or ledger.value("current") == current or _key(task, current) not in ledger:
        return came, "", faults
    registry.promote(task, current)
    ledger.set_value("current", current)
    return came, current, faults


def _upload(store: Store, version: Version) -> VersionNote:
    """Send the files of a version, after a check that they are intact."""
    card = version.check_digest()
    files = []
    for path in sorted(version.folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            store.upload(path, _file_key(version.task, digest), len(content))
            files.append(SharedFile(name=path.name, sha256=digest, size=len(content)))
    return VersionNote(created=card.spec.created, files=tuple(files))


def _download(store: Store, registry: Registry, task: str, name: str) -> None:
    """Add a published version to the registry as it adds any other. Raises ShareError for one that does not fit."""
    where = f"{store.url}/{_key(task, name)}"
    note = _note(store, task, name)
    with tempfile.TemporaryDirectory() as folder:
        for file in note.files:
            content = store.read(_file_key(task, file.sha256), MAX_MODEL_BYTES)
            if hashlib.sha256(content).hexdigest() != file.sha256:
                raise ShareError(f"{where}: {file.name} is damaged: its digest is another one")
            (Path(folder) / file.name).write_bytes(content)
        try:
            text = (Path(folder) / CARD_FILE).read_bytes()
            if len(text) > MAX_TEXT_BYTES:
                raise ShareError(f"{where}: its card is too large")
            card = ModelCard.model_validate_json(text)
            if (card.spec.task, card.spec.version) != (task, name):
                raise ShareError(f"{where}: its card is of {card.spec.task} {card.spec.version}")
            Version(task, name, Path(folder)).check_digest()
        except (OSError, ValidationError, MbrlError) as error:
            raise error if isinstance(error, ShareError) else ShareError(f"{where}: {error}") from error
        registry.add(task, Path(folder), card)


def _note(store: Store, task: str, name: str) -> VersionNote:
    try:
        return VersionNote.model_validate_json(store.read(_key(task, name), MAX_NOTE))
    except ValidationError as error:
        raise ShareError(f"{store.url}/{_key(task, name)}: is no note of a version") from error


def _current(store: Store, task: str) -> str:
    """The promoted version; empty where there is none."""
    key = f"models/{task}/current"
    if store.size(key) is None:
        return ""
    try:
        return CurrentNote.model_validate_json(store.read(key, MAX_NOTE)).version
    except ValidationError as error:
        raise ShareError(f"{store.url}/{key}: names no version") from error


def _key(task: str, name: str) -> str:
    return f"models/{task}/versions/{name}"


def _file_key(task: str, sha256: str) -> str:
    return f"models/{task}/files/{sha256}"
