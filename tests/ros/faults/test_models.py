# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Model files that are damaged, exchanged or hostile, given to a controller that is commanding a hand."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper

from ...outer_product import insert_outer_product
from .service import Service

pytestmark = [pytest.mark.ros, pytest.mark.slow]

NEW = "v0003"
GROWTH_MIB = 64  # of the controller's memory that any of these files may cost


@pytest.fixture(scope="module")
def service(ros_env: dict[str, str], small_hand: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service.running(ros_env, small_hand, tmp_path_factory.mktemp("models")) as running:
        yield running


def edit(folder: Path, change: Callable[[Any], None]) -> None:
    """Change the model in a version's folder, with a card to fit."""
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    change(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    resign(folder)


def resign(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    card["model_sha256"] = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))


def truncated(folder: Path, outside: Path) -> None:
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[: len(content) // 2])


def truncated_with_a_card_to_fit(folder: Path, outside: Path) -> None:
    truncated(folder, outside)
    resign(folder)


def other_format(folder: Path, outside: Path) -> None:
    def change(model: Any) -> None:
        entry = model.metadata_props[0]
        entry.value = entry.value.replace('"format_version":1', '"format_version":2')

    edit(folder, change)


def other_card_format(folder: Path, outside: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    card["spec"] |= {"format_version": 2, "colour": "blue", "task": 3}
    (folder / "card.json").write_text(json.dumps(card))


def external(location: Callable[[Path, Path], str]) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, outside: Path) -> None:
        def change(model: Any) -> None:
            tensor = model.graph.initializer[0]
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=location(folder, outside))

        edit(folder, change)

    return spoil


def link(name: str) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, outside: Path) -> None:
        path = folder / name if name else folder
        os.rename(path, outside / (name or "version"))
        path.symlink_to(outside / (name or "version"))

    return spoil


def pipe(folder: Path, outside: Path) -> None:
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")


def oversize(name: str) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, outside: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.truncate(200 << 30)  # sparse: it takes no room

    return spoil


def much_to_say(folder: Path, outside: Path) -> None:
    edit(folder, lambda model: model.metadata_props.add(key="poem", value="x" * (32 << 20)))


def custom_operator(folder: Path, outside: Path) -> None:
    edit(folder, lambda model: model.graph.node.append(helper.make_node("Run", ["state"], ["y"], domain="evil.org")))


def huge_constant(folder: Path, outside: Path) -> None:
    """ConstantOfShape: eight bytes for each dimension of an array of any size."""

    def change(model: Any) -> None:
        model.graph.initializer.append(numpy_helper.from_array(np.array([10**6, 10**6]), "shape"))
        model.graph.node.append(helper.make_node("ConstantOfShape", ["shape"], ["y"]))

    edit(folder, change)


def huge_initialiser(folder: Path, outside: Path) -> None:
    """Dimensions of a terabyte for a few bytes of weights."""
    edit(folder, lambda model: model.graph.initializer[0].dims.__setitem__(0, 10**12))


def huge_product(folder: Path, outside: Path) -> None:
    """Our own operators, a file of some hundred kB, and 6 GB on the way to its result."""
    edit(folder, lambda model: insert_outer_product(model, 40_000))


FAULTS: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "model file truncated": (truncated, "its sha256 is not the one"),
    "truncated, with a card to fit": (truncated_with_a_card_to_fit, "not an ONNX file, or damaged"),
    "model of another format": (other_format, "model format 2, but this controller reads format 1"),
    "card of another format": (other_card_format, "model format 2, but this controller reads format 1"),
    "weights in ../../": (external(lambda folder, outside: f"../../../{outside.name}/secret"), "other files"),
    "weights at an absolute path": (external(lambda folder, outside: str(outside / "secret")), "other files"),
    "model.onnx leads outside": (link("model.onnx"), "symbolic link"),
    "card.json leads outside": (link("card.json"), "symbolic link"),
    "the version's folder leads outside": (link(""), "symbolic link"),
    "a pipe for a model file": (pipe, "no regular file"),
    "model.onnx of 200 GiB": (oversize("model.onnx"), "larger than"),
    "card.json of 200 GiB": (oversize("card.json"), "larger than"),
    "description of 32 MiB": (much_to_say, "KiB of metadata"),
    "custom operator": (custom_operator, "'Run' of 'evil.org'"),
    "constant of 4 TB": (huge_constant, "'ConstantOfShape'"),
    "weights declared as 1 TB": (huge_initialiser, "model.onnx"),
    "6 GB while predicting": (huge_product, "alloc"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_model_is_refused_and_control_goes_on(
    service: Service, tmp_path: Path, fault_row: Callable[..., None], fault: str
) -> None:
    spoil, complaint = FAULTS[fault]
    versions = service.registry.root / "valve"
    folder, outside = versions / NEW, service.folder / "outside"
    shutil.copytree(versions / "v0002", folder)
    outside.mkdir()
    (outside / "secret").write_bytes(b"\0" * 4096)
    before, peak = service.model(), memory(service, reset=True)
    watch = service.watch()
    try:
        spoil(folder, outside)
        with opened(outside) as opens:
            answer = service.load(NEW)
        refusal = service.report("last model refusal", complaint)[2]
        columns = watch.ends()
    finally:
        for path in (folder, outside):
            path.unlink() if path.is_symlink() else shutil.rmtree(path)
    assert not answer.success
    assert complaint in answer.message == refusal["last model refusal"]
    assert NEW in answer.message  # where
    assert refusal["model version"] == before
    assert opens() == 0, "something outside of the version's folder was opened"
    assert memory(service) - peak < GROWTH_MIB
    said = re.sub(r"/\S*/(?=valve/)", "", answer.message)
    fault_row(fault=f"load: {fault}", diagnostics=said, lost=f"nothing: {before} serves", **columns)


def test_what_is_checked_is_what_is_loaded(service: Service, fault_row: Callable[..., None]) -> None:
    """The file is exchanged all the time while it is loaded: for one with other weights that would load as well."""
    versions = service.registry.root / "valve"
    folder = versions / "v0002"
    good = (folder / "model.onnx").read_bytes()
    edit_aside = shutil.copytree(folder, service.folder / "aside")
    edit(edit_aside, lambda model: model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(2 * numpy_helper.to_array(model.graph.initializer[0]), "mix")))  # fmt: skip
    other = (edit_aside / "model.onnx").read_bytes()
    stop = threading.Event()
    swaps = 0

    def exchange() -> None:
        nonlocal swaps
        while not stop.wait(0.001):
            aside = service.folder / "swapped.onnx"
            aside.write_bytes(good if swaps % 2 else other)
            os.replace(aside, folder / "model.onnx")
            swaps += 1

    thread = threading.Thread(target=exchange)
    watch = service.watch()
    thread.start()
    answers = []
    try:
        for _ in range(8):
            answer = service.load("v0002")
            answers.append(answer)
            if answer.success:
                served = service.report("model version", "v0002")[2]
                assert served["model digest"] == hashlib.sha256(good).hexdigest()
            else:
                assert "its sha256 is not the one" in answer.message
    finally:
        stop.set()
        thread.join()
        (folder / "model.onnx").write_bytes(good)
    columns = watch.ends()
    loaded = sum(answer.success for answer in answers)
    refused = next((answer.message for answer in answers if not answer.success), "")
    fault_row(
        fault=f"model exchanged {swaps} times during {len(answers)} loads",
        diagnostics=re.sub(r"/\S*/(?=valve/)", "", refused) or "model digest: the card's",
        lost=f"nothing: {loaded} loaded, each with the card's digest, {len(answers) - loaded} refused",
        **columns,
    )


def memory(service: Service, reset: bool = False) -> float:
    """The controller's largest resident memory since the last reset, MiB."""
    process = Path(f"/proc/{service.process.popen.pid}")
    if reset:
        (process / "clear_refs").write_text("5")
    status = (process / "status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Callable[[], int]]:
    """How often files in `folder` and below are opened, by anyone (inotify)."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK)
    assert fd >= 0
    in_open = 0x20
    events = 0
    try:
        for place in (folder, *(p for p in folder.rglob("*") if p.is_dir())):
            assert libc.inotify_add_watch(fd, os.fsencode(place), in_open) > 0
        yield lambda: events
        with contextlib.suppress(BlockingIOError):
            while data := os.read(fd, 65536):
                events += len(data)
    finally:
        os.close(fd)
