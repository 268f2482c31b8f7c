"""NAME=VALUE on the command line."""

from __future__ import annotations

import pytest

from mbrl_controller.errors import MbrlError
from mbrl_controller.jobs.pairs import parse_pairs


def test_values_are_yaml() -> None:
    pairs = ["seed=1", "hidden=[250, 250]", "direction=clockwise", "period=4.5", "name=a=b"]
    assert parse_pairs("--set", pairs) == {
        "seed": 1,
        "hidden": [250, 250],
        "direction": "clockwise",
        "period": 4.5,
        "name": "a=b",
    }
    assert parse_pairs("--set", None) == {}


@pytest.mark.parametrize("pair", ["seed", "=1", " =1", "x=[1", "x={"])
def test_what_is_no_pair_is_named_with_its_option(pair: str) -> None:
    with pytest.raises(MbrlError, match=r"--goal .*") as error:
        parse_pairs("--goal", ["fine=1", pair])
    assert pair in str(error.value)
