# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What installed packages offer by name: tasks, planners and folders of data, through Python's entry points.

A package offers something in its setup.py; the package mbrl_controller offers its own in the same way:

    entry_points={
        "mbrl_controller.tasks": ["spin = my_hand.task:Spin"],
        "mbrl_controller.planners": ["mine = my_hand.planner:MyPlanner"],
        "mbrl_controller.share": ["my_hand = my_hand:share_dir"],
    }

Contracts, models, logs and messages can name what is installed. They can never make this code import a path, because
they travel: a contract is part of every episode.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from typing import Any, TypeVar

from mbrl_controller.base.errors import MbrlError

T = TypeVar("T")


class PluginError(MbrlError):
    """A package offers something that cannot be used; the message names the package."""


@dataclass(frozen=True)
class Offer:
    """One thing that a package offers."""

    name: str
    package: str  # name and version of the distribution
    target: str  # what it is, as module:attribute
    load: Callable[[], Any]


class Catalog(Mapping[str, T]):
    """What installed packages offer in one entry-point group. Nothing is imported before it is asked for.

    One faulty package does not stop the others: its names raise PluginError when asked for, and iteration leaves them
    out.
    """

    def __init__(self, group: str, kind: str, check: Callable[[Any], T], error: type[MbrlError] = MbrlError) -> None:
        """Look up nothing yet.

        Args:
            group: the entry-point group, such as "mbrl_controller.tasks".
            kind: what it holds, in the singular, for messages.
            check: returns what was loaded if it can be used; raises TypeError or ValueError saying why not.
            error: raised for unknown names.
        """
        self.group, self.kind = group, kind
        self._check, self._error = check, error
        self._loaded: dict[str, T] = {}
        self._failed: dict[str, PluginError] = {}

    @cached_property
    def offers(self) -> dict[str, list[Offer]]:
        """All offers by name, sorted; several for a name that several packages use."""
        found: dict[str, list[Offer]] = defaultdict(list)
        for point in metadata.entry_points(group=self.group):
            package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
            found[point.name].append(Offer(point.name, package, point.value, point.load))
        return dict(sorted(found.items()))

    def names(self) -> list[str]:
        """All names that are offered, whether what they stand for can be used or not."""
        return sorted({*self.offers, *self._loaded})

    def add(self, name: str, item: T) -> None:
        """Offer `item` in this process alone, for scripts and tests: in place of what is installed under this name."""
        self._loaded[name] = self._checked(name, item, "this process")
        self._failed.pop(name, None)

    def __getitem__(self, name: str) -> T:
        """What is offered as `name`.

        Raises the catalog's error for an unknown name, and PluginError, which names the package, where two packages
        use the name, where importing it fails and where it lacks something.
        """
        if name in self._failed:
            raise self._failed[name]
        if name not in self._loaded:
            try:
                self._loaded[name] = self._load(name)
            except PluginError as error:
                self._failed[name] = error
                raise
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._loaded or name in self.offers

    def __iter__(self) -> Iterator[str]:
        faults = self.faults()
        return (name for name in self.names() if name not in faults)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def faults(self) -> dict[str, str]:
        """Why names cannot be used, by name."""
        found = {}
        for name in self.names():
            try:
                self[name]
            except PluginError as error:
                found[name] = str(error)
        return found

    def forget(self) -> None:
        """Look again: packages may have been installed since."""
        self.__dict__.pop("offers", None)
        self._loaded.clear()
        self._failed.clear()

    def _load(self, name: str) -> T:
        offers = self.offers.get(name)
        if offers is None:
            known = ", ".join(self.names()) or "none: is mbrl_controller installed (pip install, colcon build)?"
            raise self._error(f"unknown {self.kind} {name!r}; known: {known}")
        if len(offers) > 1:
            packages = " and ".join(sorted(offer.package for offer in offers))
            raise PluginError(f"{self.kind} {name!r} is offered by {packages}: uninstall one of them")
        offer = offers[0]
        package = f"{offer.package} ({offer.target})"
        try:
            loaded = offer.load()
        except Exception as error:  # whatever a foreign module raises when it is imported
            text = f"{type(error).__name__}: {error}"
            raise PluginError(f"{self._where(name, package)} cannot be imported: {text}") from error
        return self._checked(name, loaded, package)

    def _checked(self, name: str, item: Any, package: str) -> T:
        try:
            checked = self._check(item)
        except (TypeError, ValueError) as error:
            raise PluginError(f"{self._where(name, package)} cannot be used: {error}") from error
        if isinstance(checked, type) and (own := getattr(checked, "name", name)) != name:
            raise PluginError(f"{self._where(name, package)} cannot be used: its own name is {own!r}")
        return checked

    def _where(self, name: str, package: str) -> str:
        return f"{self.kind} {name!r} of {package}"


def subclass_of(base: type[T], attributes: tuple[str, ...] = ()) -> Callable[[Any], type[T]]:
    """A `check` for classes: a concrete subclass of `base` that has these class attributes."""

    def check(found: Any) -> type[T]:
        if not (isinstance(found, type) and issubclass(found, base)):
            raise TypeError(f"it is no subclass of {base.__module__}.{base.__qualname__}")
        if missing := sorted(getattr(found, "__abstractmethods__", ())):
            raise TypeError(f"it does not define {', '.join(missing)}")
        if missing := [name for name in attributes if not hasattr(found, name)]:
            raise TypeError(f"it does not set {', '.join(missing)}")
        return found

    return check
