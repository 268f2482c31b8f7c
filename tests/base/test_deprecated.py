# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Old names: taken with a warning that gives the new one, refused beside it, silent where nobody can act on it."""

from __future__ import annotations

import warnings

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from mbrl_controller.base.deprecated import (
    RenamedWarning,
    new_name,
    old_files,
    renamed_fields,
    show_renamed,
    silent,
    with_new_flags,
    with_new_names,
    with_new_names_within,
)
from mbrl_controller.base.errors import MbrlError

RENAMED = {"kept": "num_kept", "old": "new"}


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")
    _new_names = renamed_fields(RENAMED)
    num_kept: int = 0


def test_an_old_name_becomes_the_new_one_in_its_place_with_a_warning() -> None:
    told: list[str] = []
    assert list(with_new_names({"a": 1, "kept": 2, "b": 3}, RENAMED, "--set ", told.append).items()) == [
        ("a", 1),
        ("num_kept", 2),
        ("b", 3),
    ]
    assert len(told) == 1
    assert "--set kept is now num_kept" in told[0]


def test_new_names_are_taken_without_a_word() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert with_new_names({"num_kept": 2}, RENAMED) == {"num_kept": 2}
        assert new_name("num_kept", RENAMED) == "num_kept"
        assert Model(num_kept=2).num_kept == 2


def test_both_names_are_an_error_whatever_their_order() -> None:
    for names in ("kept", "num_kept"), ("num_kept", "kept"):
        with pytest.raises(MbrlError, match=r"--set kept.*num_kept"):
            with_new_names(dict.fromkeys(names, 1), RENAMED, "--set ")


def test_names_within_are_found_by_their_path_in_mappings_and_lists() -> None:
    tables = {"": {"collecting": "collect"}, "planner": RENAMED, "collect.*.planner": RENAMED}
    told: list[str] = []
    given = {
        "planner": {"kept": 1},
        "collecting": {"bold": {"planner": {"kept": 2}, "kept": 3}, "calm": 7},
        "other": {"kept": 4},
    }
    assert with_new_names_within(given, tables, "--set ", told.append) == {
        "planner": {"num_kept": 1},
        "collect": {"bold": {"planner": {"num_kept": 2}, "kept": 3}, "calm": 7},
        "other": {"kept": 4},
    }
    assert any("--set collect.bold.planner.kept" in text for text in told)
    assert len(told) == 3
    listed = {"collect": [{"planner": {"kept": 2}}, "no mapping"]}
    assert with_new_names_within(listed, tables, warn=silent)["collect"] == [{"planner": {"num_kept": 2}}, "no mapping"]
    assert with_new_names_within("no mapping", tables) == "no mapping"


def test_flags_are_translated_up_to_the_lone_dashes() -> None:
    told: list[str] = []
    words = ["run", "--old", "1", "--old=2", "--other", "old", "--", "--old"]
    flags = {"--old": "--new"}
    assert with_new_flags(words, flags, told.append) == [
        "run",
        "--new",
        "1",
        "--new=2",
        "--other",
        "old",
        "--",
        "--old",
    ]
    assert told
    with pytest.raises(MbrlError, match="--new"):
        with_new_flags(["--old", "1", "--new=2"], flags, silent)


def test_a_model_takes_its_fields_by_old_names() -> None:
    with pytest.warns(RenamedWarning, match="num_kept"):
        assert Model.model_validate({"kept": 3}).num_kept == 3
    with pytest.warns(RenamedWarning, match="num_kept"):
        assert Model.model_validate_json('{"kept": 3}').num_kept == 3
    with pytest.raises(ValidationError, match="kept is the old name"):
        Model.model_validate({"kept": 3, "num_kept": 3})
    with pytest.raises(ValidationError):
        Model.model_validate([])


def test_files_of_an_earlier_release_are_read_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with old_files():
            assert Model.model_validate({"kept": 3}).num_kept == 3
    with pytest.warns(RenamedWarning):
        Model.model_validate({"kept": 3})


def test_warnings_go_where_a_command_or_node_wants_them() -> None:
    told: list[str] = []
    with warnings.catch_warnings(record=True) as others:
        warnings.simplefilter("always")
        show_renamed(told.append)
        Model.model_validate({"kept": 3})
        warnings.warn("something else", UserWarning, stacklevel=1)
    assert [text for text in told if "num_kept" in text] == told != []
    assert [str(w.message) for w in others] == ["something else"]
