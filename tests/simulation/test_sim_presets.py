# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Simulated hands by name: built in, and as files of a package."""

import json
from pathlib import Path

import pytest

from mbrl_controller.base.errors import ContractError, MbrlError
from mbrl_controller.simulation import sim_presets
from mbrl_controller.simulation.sim_options import NOMINAL, PERTURBED, SimOptions, differing

PAGE = Path(__file__).resolve().parents[2] / "docs" / "second_hand.md"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of presets."""
    folder = tmp_path / "sim" / "presets"
    folder.mkdir(parents=True)

    def files(pattern: str) -> dict[Path, str]:
        return dict.fromkeys(sorted(tmp_path.glob(pattern)), "own")

    monkeypatch.setattr(sim_presets, "shared_files", files)
    return folder


def test_shipped_presets_can_be_used_and_differ_from_nominal() -> None:
    names = sim_presets.preset_names()
    assert {"nominal", "perturbed", "randomised", "foreign_elliptic"} < set(names)
    hands = {name: sim_presets.preset(name) for name in names}
    assert len(set(map(SimOptions.model_dump_json, hands.values()))) == len(names)
    rows = {row["name"]: row for row in sim_presets.list_presets()}
    assert list(rows) == names
    assert all(row["about"] for row in rows.values())
    assert rows["foreign_elliptic"]["options"] == "cone=[elliptic], noslip_iterations=[5], physics_step=[0.002]"
    assert hands["foreign_elliptic"].cone == ("elliptic",)
    assert hands["randomised"].joint_noise == PERTURBED.joint_noise


@pytest.mark.skipif(not PAGE.is_file(), reason="runs in a checkout")
def test_the_page_has_every_shipped_preset() -> None:
    rows = {line.split("`")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")}
    assert set(sim_presets.preset_names()) - {"nominal", "perturbed"} <= rows


def test_a_file_is_a_preset_and_single_options_override_it(own: Path) -> None:
    (own / "mine.yaml").write_text("about: mine\nover: perturbed\noptions: {mass: 0.5, condim: 6}\n")
    assert sim_presets.preset_names() == ["nominal", "perturbed", "mine"]
    made = sim_presets.make_sim_options("mine", {"mass": 0.1, "cone": "elliptic"})
    assert made == PERTURBED.model_copy(update={"mass": 0.1, "condim": (6,), "cone": ("elliptic",)})
    assert differing(NOMINAL) == {}
    assert SimOptions(**json.loads(json.dumps(differing(made)))) == made


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("about: a\noptions: {cone: round}\n", "cone"),
        ("about: a\noptions: {colour: red}\n", "colour"),
        ("about: a\nover: other\noptions: {}\n", "over"),
        ("options: {}\n", "about"),
        ("[", "bad.yaml"),
    ],
)
def test_what_a_file_cannot_say_is_named_with_the_file(own: Path, text: str, named: str) -> None:
    (own / "bad.yaml").write_text(text)
    with pytest.raises(MbrlError, match=named) as error:
        sim_presets.preset("bad")
    assert "bad.yaml" in str(error.value)
    assert "cannot be used" in sim_presets.list_presets()[-1]["about"]


def test_a_name_stands_for_one_hand(own: Path) -> None:
    (own / "perturbed.yaml").write_text("about: another\noptions: {}\n")
    with pytest.raises(ContractError, match="perturbed"):
        sim_presets.preset_names()


def test_the_node_gets_lists_where_a_person_gave_one_entry() -> None:
    made = sim_presets.node_parameters("foreign_soft", {"cone": "elliptic", "friction": 0.2, "condim": []})
    assert made == {"preset": "foreign_soft", "options.cone": ["elliptic"], "options.friction": 0.2}
