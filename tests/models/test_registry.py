# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Versions, promotion and roll-back on disk."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from pathlib import Path

import pytest

from mbrl_controller.base.errors import ModelError, RegistryError
from mbrl_controller.models.card import ModelCard, Version
from mbrl_controller.models.registry import Registry, file_sha256
from mbrl_controller.models.spec import ModelSpec

KilledAt = Callable[[int, Callable[[], object]], bool]


def make_card(version: str, data: bytes = b"weights") -> ModelCard:
    spec = ModelSpec(
        task="valve",
        robot="claw",
        state_names=("a.position",),
        state_units=("rad",),
        action_names=("a",),
        action_units=("rad",),
        action_lower=(-1.0,),
        action_upper=(1.0,),
        action_max_rate=(3.0,),
        control_period_s=0.1,
        ensemble_size=3,
        hidden=(8,),
        version=version,
    )
    return ModelCard(spec=spec, model_sha256=hashlib.sha256(data).hexdigest())


def add(registry: Registry, data: bytes = b"weights") -> str:
    return add_named(registry, registry.next_name("valve"), data)


def add_named(registry: Registry, name: str, data: bytes = b"weights") -> str:
    files = registry.root.parent / f"new-{name}"
    files.mkdir(parents=True)
    (files / "model.onnx").write_bytes(data)
    registry.add("valve", files, make_card(name, data))
    return name


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models", shipped=tmp_path / "shipped")


def test_an_empty_registry_says_how_to_get_a_model(registry: Registry) -> None:
    assert registry.versions("valve") == []
    with pytest.raises(RegistryError, match="retrain valve"):
        registry.current("valve")


def test_a_user_has_a_registry_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MBRL_HOME", str(tmp_path / "home"))
    for root in (None, ""):
        assert Registry(root).root == tmp_path / "home" / "models"


def test_a_version_that_was_added_can_be_read_by_everybody(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "model.onnx").write_bytes(b"weights")
    version = registry.add("valve", tmp_path / "files", make_card("v0001"))
    assert version == registry.resolve("valve", "v0001")
    assert stat.S_IMODE(version.folder.stat().st_mode) == 0o755


def test_a_version_that_cannot_be_added_leaves_nothing(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "model.onnx").write_bytes(b"weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space left"):
            registry.add("valve", tmp_path / "files", make_card("v0001"))
    with pytest.raises(FileNotFoundError):
        registry.add("valve", tmp_path / "none", make_card("v0001"))
    assert [path.name for path in (registry.root / "valve").iterdir()] == [".lock"]
    assert registry.versions("valve") == []


@pytest.mark.parametrize("words", [(), ("",), ("current",)])
def test_without_a_name_it_is_the_current_version(registry: Registry, words: tuple[str, ...]) -> None:
    names = [add(registry) for _ in range(3)]
    assert registry.promote("valve", names[1]).name == names[1]
    for find in (registry.resolve, registry.own):
        assert find("valve", *words).folder == registry.root / "valve" / names[1]


def test_adding_does_not_promote(registry: Registry) -> None:
    first = add(registry)
    registry.promote("valve", first)
    second = add(registry)
    assert [v.name for v in registry.versions("valve")] == [first, second]
    assert registry.current("valve").name == first
    assert registry.resolve("valve", second).card().spec.version == second


def test_roll_back_walks_through_history(registry: Registry) -> None:
    names = [add(registry) for _ in range(3)]
    for name in names:
        registry.promote("valve", name)
    assert registry.roll_back("valve").name == names[1]
    assert registry.roll_back("valve").name == names[0]
    with pytest.raises(RegistryError):
        registry.roll_back("valve")
    assert registry.current("valve").name == names[0]


def test_names_go_on_after_the_last_whatever_was_deleted(registry: Registry) -> None:
    names = [add(registry) for _ in range(3)]
    assert names == ["v0001", "v0002", "v0003"]
    shutil.rmtree(registry.root / "valve" / "v0002")
    assert registry.next_name("valve") == "v0004"
    assert add(registry) == "v0004"


def test_versions_are_in_the_order_of_their_numbers(registry: Registry) -> None:
    names = [add_named(registry, name) for name in ("v10000", "v0002", "v9999", "v0010")]
    assert [v.name for v in registry.versions("valve")] == ["v0002", "v0010", "v9999", "v10000"]
    assert names[0] == "v10000"
    assert registry.next_name("valve") == "v10001"


def test_history_goes_back_over_the_last_promotions(registry: Registry) -> None:
    names = [add(registry) for _ in range(25)]
    for name in names:
        registry.promote("valve", name)
    assert [registry.roll_back("valve").name for _ in range(20)] == names[-2:-22:-1]
    with pytest.raises(RegistryError, match="roll back"):
        registry.roll_back("valve")


def test_promoting_the_current_version_again_keeps_history(registry: Registry) -> None:
    first, second = add(registry), add(registry)
    for name in (first, second, second):
        registry.promote("valve", name)
    assert registry.roll_back("valve").name == first


def test_promoted_versions_come_newest_first_each_once_and_whether_they_are_still_there(registry: Registry) -> None:
    assert registry.promoted("valve") == []
    names = [add(registry) for _ in range(4)]
    for i in (0, 1, 2, 0, 3):
        registry.promote("valve", names[i])
    shutil.rmtree(registry.root / "valve" / names[2])
    assert registry.promoted("valve") == ["v0004", "v0001", "v0003", "v0002"]


def test_what_was_promoted_goes_on_from_the_shipped_note(tmp_path: Path) -> None:
    shipped = Registry(tmp_path / "shipped", shipped=tmp_path / "none")
    shipped.promote("valve", add(shipped))
    own = Registry(tmp_path / "models", shipped=tmp_path / "shipped")
    assert own.promoted("valve") == ["v0001"]
    own.promote("valve", add(own))
    assert own.promoted("valve") == ["v0002", "v0001"]


def of_robot(registry: Registry, robot: str) -> str:
    """Add and promote a version of `robot`."""
    name = add(registry)
    card = registry.resolve("valve", name).card()
    changed = card.model_copy(update={"spec": card.spec.model_copy(update={"robot": robot})})
    (registry.root / "valve" / name / "card.json").write_text(changed.model_dump_json())
    registry.promote("valve", name)
    return name


def test_a_robots_current_version_is_its_own_that_was_promoted_last(registry: Registry) -> None:
    first, second, other = (of_robot(registry, robot) for robot in ("claw", "claw", "paw"))
    assert registry.resolve("valve").name == other
    assert registry.resolve("valve", robot="claw").name == second
    assert registry.resolve("valve", robot="paw").name == other
    assert registry.resolve("valve", robot="fin").name == other  # none of its own: the caller refuses it
    assert registry.resolve("valve", first, robot="paw").name == first
    shutil.rmtree(registry.root / "valve" / second)
    assert registry.resolve("valve", robot="claw").name == first
    (registry.root / "valve" / other / "card.json").write_text("{")
    assert registry.resolve("valve", robot="claw").name == other  # who knows whose it is: no step back in silence
    shutil.rmtree(registry.root / "valve" / other)
    with pytest.raises(RegistryError, match=other):
        registry.resolve("valve", robot="claw")


def test_whether_a_version_could_be_added_is_known_without_adding_one(registry: Registry) -> None:
    registry.check_writable("valve")
    assert [path.name for path in (registry.root / "valve").iterdir()] == [".lock"]
    (registry.root / "baoding").write_text("a file where the folder should be")
    with pytest.raises(RegistryError, match="baoding: cannot be written"):
        registry.check_writable("baoding")


def test_a_user_version_lies_over_the_shipped_ones(tmp_path: Path) -> None:
    shipped = Registry(tmp_path / "shipped", shipped=tmp_path / "none")
    shipped_name = add(shipped)
    shipped.promote("valve", shipped_name)
    registry = Registry(tmp_path / "mine" / "models", shipped=tmp_path / "shipped")
    assert registry.current("valve").name == shipped_name
    own = add(registry)
    assert own != shipped_name
    registry.promote("valve", own)
    assert registry.current("valve").name == own
    assert shipped.current("valve").name == shipped_name
    assert registry.roll_back("valve").name == shipped_name


def test_an_own_version_stands_before_a_shipped_one_of_the_same_name(tmp_path: Path) -> None:
    shipped = Registry(tmp_path / "shipped" / "models", shipped=tmp_path / "none")
    shipped.promote("valve", add(shipped, b"shipped"))
    registry = Registry(tmp_path / "mine" / "models", shipped=shipped.root)
    add_named(registry, "v0002")
    shutil.copytree(shipped.root / "valve" / "v0001", registry.root / "valve" / "v0001")
    (registry.root / "valve" / "v0001" / "model.onnx").write_bytes(b"own")
    first, second = registry.versions("valve")
    for found in (first, registry.current("valve"), registry.resolve("valve", "v0001")):
        assert found.model.read_bytes() == b"own"
        assert not found.shipped
    assert second.name == "v0002"
    assert [v.shipped for v in shipped.versions("valve")] == [False]
    assert [v.shipped for v in Registry(tmp_path / "new", shipped=shipped.root).versions("valve")] == [True]


WRITERS: dict[str, Callable[[Registry, Path], object]] = {
    "promote": lambda registry, file: registry.promote("valve", "v0001"),
    "roll back": lambda registry, file: registry.roll_back("valve"),
    "add": lambda registry, file: add_named(registry, "v0009"),
    "evaluation": lambda registry, file: registry.record_evaluation("valve", "v0001", {"return_mean": 1.0}),
    "8 bit": lambda registry, file: registry.record_int8("valve", "v0001", file, {}),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_writer_waits_for_the_one_that_is_at_work(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    for name in (add(registry), add(registry)):
        registry.promote("valve", name)
    (tmp_path / "rounded.onnx").write_bytes(b"rounded")
    at_work, go_on, copy = threading.Event(), threading.Event(), shutil.copy2

    def slow_copy(source: Path, target: Path) -> object:
        if not at_work.is_set():
            at_work.set()
            assert go_on.wait(20)
        return copy(source, target)

    monkeypatch.setattr(shutil, "copy2", slow_copy)
    with ThreadPoolExecutor(2) as pool:
        adding = pool.submit(add, registry)
        assert at_work.wait(20)
        waiting = pool.submit(WRITERS[writer], registry, tmp_path / "rounded.onnx")
        try:
            with pytest.raises(TimeoutError):
                waiting.result(0.3)
        finally:
            go_on.set()
        assert adding.result(20) == "v0003"
        waiting.result(20)
    assert registry.resolve("valve", "v0003").check_digest().spec.version == "v0003"


@pytest.mark.parametrize("version", ["v9999", "../v0001", "v1", "nonsense"])
def test_an_unknown_version_is_refused_with_the_known_ones(registry: Registry, version: str) -> None:
    name = add(registry)
    other = add(registry)
    with pytest.raises(RegistryError, match=f"there are: {name}, {other}$"):
        registry.resolve("valve", version)
    with pytest.raises(RegistryError, match=r"there are: none$"):
        registry.resolve("baoding", version)


def test_an_exchanged_model_file_is_noticed(registry: Registry) -> None:
    version = registry.resolve("valve", add(registry))
    version.check_digest()
    version.model.write_bytes(b"other")
    with pytest.raises(ModelError, match="sha256"):
        version.check_digest()


def test_the_digest_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"weights")
    assert file_sha256(tmp_path / "model.onnx") == hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(ModelError, match=r"none\.onnx"):
        file_sha256(tmp_path / "none.onnx")


@pytest.mark.parametrize("damage", [b"", b"{", b'{"spec": 3}'])
def test_a_damaged_card_is_a_model_error(registry: Registry, damage: bytes) -> None:
    version = registry.resolve("valve", add(registry))
    (version.folder / "card.json").write_bytes(damage)
    with pytest.raises(ModelError, match=r"card\.json"):
        version.card()


def test_a_name_taken_meanwhile_is_refused_and_leaves_the_first(registry: Registry, tmp_path: Path) -> None:
    name = add(registry, b"first")
    files = tmp_path / "again"
    files.mkdir()
    (files / "model.onnx").write_bytes(b"second")
    with pytest.raises(RegistryError, match="exists"):
        registry.add("valve", files, make_card(name, b"second"))
    assert registry.resolve("valve", name).model.read_bytes() == b"first"


def test_an_unwritable_root_is_a_registry_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    registry = Registry(tmp_path / "file" / "models", shipped=tmp_path / "none")
    with pytest.raises(RegistryError, match="cannot be written"):
        registry.promote("valve", "v0001")


def with_int8(registry: Registry, tmp_path: Path, data: bytes = b"rounded") -> Version:
    file = tmp_path / "rounded.onnx"
    file.write_bytes(data)
    return registry.record_int8("valve", add(registry), file, {"rank_median": 0.99})


def test_the_8_bit_file_is_served_where_the_card_tells_of_it(registry: Registry, tmp_path: Path) -> None:
    version = with_int8(registry, tmp_path)
    card = version.check_digest()
    assert (card.int8_figures, card.precisions) == ({"rank_median": 0.99}, "int8")
    assert [version.path_for(p) for p in ("auto", "int8", "fp32")] == [version.int8, version.int8, version.model]
    with pytest.raises(ModelError, match="auto, fp32, int8"):
        version.path_for("fp16")
    version.int8.unlink()
    assert version.path_for() == version.model
    with pytest.raises(ModelError, match=r"model\.int8\.onnx"):
        version.path_for("int8")
    with pytest.raises(ModelError, match=r"model\.int8\.onnx: cannot be read"):
        version.check_digest()


def test_a_file_that_the_card_does_not_know_is_not_served(registry: Registry) -> None:
    version = registry.resolve("valve", add(registry))
    version.int8.write_bytes(b"found on the street")
    assert version.path_for() == version.model
    with pytest.raises(ModelError, match="mbrl models quantise valve v0001"):
        version.path_for("int8")


def test_a_refused_8_bit_file_leaves_its_reason(registry: Registry, tmp_path: Path) -> None:
    version = with_int8(registry, tmp_path)
    registry.record_int8("valve", version.name, None, {}, "elites agree in 0.71 of cases")
    assert not version.int8.exists()
    assert version.check_digest().precisions == "fp32 (elites agree in 0.71 of cases)"
    with pytest.raises(ModelError, match=r"0\.71"):
        version.path_for("int8")
    registry.record_int8("valve", version.name, None, {})  # there is none any more
    assert version.check_digest().precisions == "fp32"


def test_an_exchanged_8_bit_file_is_noticed(registry: Registry, tmp_path: Path) -> None:
    version = with_int8(registry, tmp_path)
    version.int8.write_bytes(b"other")
    with pytest.raises(ModelError, match=r"model\.int8\.onnx: its sha256"):
        version.check_digest()
    assert version.read(version.model, version.card()).content == b"weights"


def test_an_8_bit_file_is_exchanged_without_a_moment_of_a_wrong_digest(registry: Registry, tmp_path: Path) -> None:
    """Whatever moment a writer dies at, the version can be served and its files are those of its card."""
    version = with_int8(registry, tmp_path)
    seen = []
    replace = os.replace

    def watched(source: str, target: str) -> None:
        replace(source, target)
        version.check_digest()
        seen.append(version.path_for().name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", watched)
        (tmp_path / "new.onnx").write_bytes(b"newly rounded")
        registry.record_int8("valve", version.name, tmp_path / "new.onnx", {})
    assert seen == ["model.onnx", "model.onnx", "model.int8.onnx"]


def test_a_shipped_version_gets_no_8_bit_file(tmp_path: Path) -> None:
    name = add(Registry(tmp_path / "shipped" / "models", shipped=tmp_path / "none"))
    registry = Registry(tmp_path / "mine" / "models", shipped=tmp_path / "shipped" / "models")
    with pytest.raises(RegistryError, match=r"shipped version .*--models-dir"):
        registry.record_int8("valve", name, None, {})


def test_a_card_of_before_8_bit_is_read_and_keeps_what_is_added(registry: Registry, tmp_path: Path) -> None:
    version = with_int8(registry, tmp_path)
    file = version.folder / "card.json"
    card = json.loads(file.read_text())
    old = {k: v for k, v in card.items() if not k.startswith("int8") and k != "evaluation_precision"}
    file.write_text(json.dumps(old))
    assert (version.card().int8_sha256, version.card().evaluation_precision) == (None, "fp32")
    file.write_text(json.dumps(card))
    for words, precision in ((("int8",), "int8"), ((), "fp32")):
        registry.record_evaluation("valve", version.name, {"return_mean": 1.0}, *words)
        after = version.check_digest()
        assert (after.evaluation, after.evaluation_precision) == ({"return_mean": 1.0}, precision)
        assert (after.int8_sha256, after.int8_figures) == (card["int8_sha256"], card["int8_figures"])


@pytest.mark.parametrize("what", ["model.onnx", "card.json", "", "current.json"])
def test_what_leads_out_of_its_version_is_not_read(registry: Registry, tmp_path: Path, what: str) -> None:
    version = registry.resolve("valve", add(registry))
    registry.promote("valve", version.name)
    path = version.folder.parent / what if what == "current.json" else version.folder / what
    os.rename(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises((ModelError, RegistryError), match="symbolic link") as caught:
        registry.current("valve").check_digest()
    assert str(path) in str(caught.value)


def test_shipped_versions_may_be_installed_as_links(tmp_path: Path) -> None:
    """So they are by `colcon build --symlink-install`."""
    source = Registry(tmp_path / "source", shipped=tmp_path / "none")
    source.promote("valve", add(source))
    for path in [p for p in source.root.rglob("*") if p.is_file()]:
        link = tmp_path / "installed" / path.relative_to(source.root)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    registry = Registry(tmp_path / "mine", shipped=tmp_path / "installed")
    assert registry.current("valve").check_digest().spec.version == "v0001"


def test_a_card_of_another_format_says_so_and_not_what_differs(registry: Registry) -> None:
    version = registry.resolve("valve", add(registry))
    card = json.loads((version.folder / "card.json").read_text())
    card["spec"] |= {"format_version": 2, "task": 3, "more": None}
    (version.folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=r"card\.json.*model format 2"):
        version.card()


def test_a_huge_card_is_refused_unread(registry: Registry) -> None:
    version = registry.resolve("valve", add(registry))
    with (version.folder / "card.json").open("r+b") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(ModelError, match="larger than"):
        version.card()


def test_a_foreign_note_of_the_current_version_shows_nothing_of_its_content(registry: Registry) -> None:
    registry.promote("valve", add(registry))
    (registry.root / "valve" / "current.json").write_text('{"password": "hunter2"}')
    with pytest.raises(RegistryError, match=r"current\.json: cannot be read") as caught:
        registry.current("valve")
    assert "hunter2" not in str(caught.value)


def _promote_forever(root: Path, names: list[str]) -> None:
    registry = Registry(root, shipped=root / "none")
    while True:
        for name in names:
            registry.promote("valve", name)


def test_a_writer_killed_at_any_moment_leaves_a_current_version(registry: Registry) -> None:
    names = [add(registry) for _ in range(2)]
    registry.promote("valve", names[0])
    context = multiprocessing.get_context("fork")
    for pause in (0.01, 0.013, 0.02, 0.031):
        writer = context.Process(target=_promote_forever, args=(registry.root, names))
        writer.start()
        time.sleep(pause)
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        assert registry.current("valve").name in names
        registry.promote("valve", names[0])  # the lock of the killed one is gone


@pytest.mark.parametrize("mark", [".no_fallback", "alone"])  # the latter in run folders of version 0.1
def test_a_registry_that_stands_alone_shows_no_shipped_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str
) -> None:
    monkeypatch.setattr("mbrl_controller.models.registry.share_dir", lambda: tmp_path)
    add(Registry(tmp_path / "models", shipped=tmp_path / "none"))
    root = tmp_path / "run" / "models"
    assert len(Registry(root).versions("valve")) == 1
    root.mkdir(parents=True)
    (root / mark).touch()
    registry = Registry(root)
    assert registry.versions("valve") == []
    assert add(registry) == "v0001"
    registry.promote("valve", "v0001")
    assert Registry(root).current("valve").folder == root / "valve" / "v0001"
    with pytest.raises(RegistryError, match="roll back"):
        registry.roll_back("valve")


def test_whenever_a_writer_is_killed_versions_are_whole_and_one_is_current(
    registry: Registry, tmp_path: Path, killed_at: KilledAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"  # where another file system may be, from which nothing can be renamed
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    registry.promote("valve", add(registry))
    work = tmp_path / "work"
    for event in range(1000):
        name = registry.next_name("valve")

        def add_and_promote(name: str = name) -> None:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            for file in ("model.onnx", "report.md"):
                (work / file).write_bytes(b"weights")
            registry.add("valve", work, make_card(name))
            registry.promote("valve", name)

        killed = killed_at(event, add_and_promote)
        found = registry.versions("valve")
        for version in found:
            assert version.check_digest().spec.version == version.name
        assert registry.current("valve") in found
        if not killed:
            break
    else:
        raise AssertionError("it never came to its end")
    assert registry.current("valve").name == name
    assert len(found) > 2  # some were killed between adding and promoting
    add(registry)
    names = {version.name for version in registry.versions("valve")}
    assert {path.name for path in (registry.root / "valve").iterdir()} == {*names, "current.json", ".lock"}
    assert not list(elsewhere.iterdir())


def test_whenever_an_8_bit_file_is_exchanged_by_a_killed_writer_a_checked_file_is_served(
    registry: Registry, tmp_path: Path, killed_at: KilledAt
) -> None:
    version = with_int8(registry, tmp_path)
    for event in range(1000):
        (tmp_path / "new.onnx").write_bytes(b"rounded for the %d. time" % event)
        killed = killed_at(event, lambda: registry.record_int8("valve", version.name, tmp_path / "new.onnx", {}))
        card = version.card()
        version.read(version.path_for("auto", card), card)
        if not killed:
            break
    assert version.int8.read_bytes() == (tmp_path / "new.onnx").read_bytes()
