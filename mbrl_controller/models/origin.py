# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Where data and models come from: which robot, in which world, real or simulated. Mixing them must be asked for.

A world is `real`, or `sim:` and the beginning of its scene's digest; it is empty where nobody knew, as in old logs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from mbrl_controller.base.errors import DatasetError, MbrlError, ModelError

REAL = "real"
DIGEST_LETTERS = 16  # enough to tell worlds apart, short enough to read

Mixed = Literal["robots", "worlds"]
MIXABLE: tuple[str, ...] = get_args(Mixed)


class Origin(BaseModel):
    """Episodes of one robot in one world."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    robot: str
    world: str = ""
    episodes: int = Field(ge=1)

    def __str__(self) -> str:
        return f"{self.episodes} episodes of {self.robot}, world {world_text(self.world)}"


def simulated_world(digest: str) -> str:
    """The name of a simulated world by its scene's digest."""
    return f"sim:{digest[:DIGEST_LETTERS]}"


def world_text(world: str) -> str:
    """A world for people."""
    return world or "unknown"


def parse_mix(text: str | Iterable[str]) -> frozenset[str]:
    """What may be mixed, as `robots,worlds`; raises MbrlError for an unknown word."""
    words = text.split(",") if isinstance(text, str) else text
    found = frozenset(word.strip() for word in words) - {""}
    if found - set(MIXABLE):
        raise MbrlError(f"mix: {', '.join(sorted(found - set(MIXABLE)))!r} is not known; known: {', '.join(MIXABLE)}")
    return found


def count_origins(episodes: Iterable[tuple[str, str]]) -> tuple[Origin, ...]:
    """Origins of episodes, given as (robot, world)."""
    return tuple(
        Origin(robot=robot, world=world, episodes=n) for (robot, world), n in sorted(Counter(episodes).items())
    )


def worlds_of(origins: Iterable[Origin]) -> set[str]:
    """The worlds that are known."""
    return {origin.world for origin in origins} - {""}


def check_one_world(
    origins: Sequence[Origin], mix: Collection[str], remedy: str = "choose those of one (--episodes)"
) -> None:
    """Raises DatasetError with `remedy` if episodes are of several worlds and `mix` does not name worlds."""
    if len(worlds_of(origins)) > 1 and "worlds" not in mix:
        raise DatasetError(
            f"the episodes are of different worlds ({'; '.join(map(str, origins))}): {remedy}, or ask for all of them: "
            "--mix worlds"
        )


def unknown_note(origins: Sequence[Origin]) -> str:
    """What to say of episodes whose world nobody noted beside others; empty if there is nothing to say."""
    unknown = sum(origin.episodes for origin in origins if not origin.world)
    return f"{unknown} episodes do not say whether they are real, or of which simulated world" if unknown else ""


def check_robot(own: str, robot: str, mix: Collection[str], version: str = "") -> None:
    """Raises ModelError if a model's robot is not the contract's and `mix` does not name robots."""
    if own != robot and "robots" not in mix:
        name = f"model {version}" if version else "the model"
        raise ModelError(
            f"{name} is of robot {own!r}, the contract says {robot!r}; --mix robots (parameter mix of the controller) "
            "takes it all the same; mbrl models list shows whose the others are"
        )
