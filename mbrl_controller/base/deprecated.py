# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Old names of options, parameters and fields: accepted for one release, with a warning that gives the new name.

A table of renames is a plain dictionary {old: new} beside the code that reads the names:

    RENAMED = {"candidates": "num_samples"}

    options = with_new_names(options, RENAMED, "--planner-set ")       # a dictionary that a person gave
    settings = with_new_names_within(settings, {"planner": RENAMED, "collect.*.planner": RENAMED}, "--set ")
    name = new_name(name, RENAMED, "parameter ")                       # one name
    words = with_new_flags(words, {"--core-set": "--controller-set"})  # the words of a command line

    class PddmConfig(BaseModel):
        _new_names = renamed_fields(RENAMED)                           # whatever a pydantic model is made from

    Parameters(node, specs, check, changed, RENAMED)                   # ROS: overrides, files, get and set

Translate what a person gave before you merge it with defaults: defaults have the new name, and both names in one
dictionary are an error. Where the program wrote the names itself, in an earlier release (run folders, model cards,
logs), nobody can act on a warning: pass `warn=silent`, or read within `old_files()`.

A warning is a `RenamedWarning`, which Python shows once for each text; `show_renamed` sends it to a console or logger.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pydantic import model_validator

from mbrl_controller.base.errors import MbrlError

Warn = Callable[[str], None]
_reading_old_files: ContextVar[bool] = ContextVar("reading_old_files", default=False)


class RenamedWarning(FutureWarning):
    """An old name was used; the text gives the new one."""


def silent(text: str) -> None:
    """A `warn` that says nothing."""


def warn_renamed(text: str) -> None:
    """The default `warn`: a RenamedWarning, unless files of an earlier release are being read."""
    if not _reading_old_files.get():
        warnings.warn(text, RenamedWarning, stacklevel=2)


@contextmanager
def old_files() -> Iterator[None]:
    """Do not warn within this block, on this thread: the names come from files of an earlier release."""
    token = _reading_old_files.set(True)
    try:
        yield
    finally:
        _reading_old_files.reset(token)


def show_renamed(show: Warn) -> None:
    """From now on pass the text of each RenamedWarning to `show`; other warnings are shown as before."""
    before = warnings.showwarning

    def showwarning(message: Any, category: type[Warning], *args: Any, **kwargs: Any) -> None:
        if issubclass(category, RenamedWarning):
            show(str(message))
        else:
            before(message, category, *args, **kwargs)

    warnings.showwarning = showwarning


def new_name(name: str, renamed: Mapping[str, str], prefix: str = "", warn: Warn = warn_renamed) -> str:
    """The new name of `name`, with a warning if it is an old one; any other name as it is."""
    if name not in renamed:
        return name
    warn(f"{prefix}{name} is now {renamed[name]}; the old name will be removed in the next release")
    return renamed[name]


def with_new_names(
    given: Mapping[str, Any], renamed: Mapping[str, str], prefix: str = "", warn: Warn = warn_renamed
) -> dict[str, Any]:
    """A copy of `given` with new names, in the same order.

    Args:
        given: values by name, old or new.
        renamed: new names by old name.
        prefix: text in front of a name in the warning and the error, such as "--planner-set ".
        warn: takes the text of each warning.

    Raises:
        MbrlError: a value is given by its old and by its new name.
    """
    for old in given:
        if (new := renamed.get(old)) in given and new != old:
            raise MbrlError(f"{prefix}{old} is the old name of {new}: give only {new}")
    return {new_name(name, renamed, prefix, warn): value for name, value in given.items()}


def with_new_names_within(
    given: Any, tables: Mapping[str, Mapping[str, str]], prefix: str = "", warn: Warn = warn_renamed
) -> Any:
    """`given` with new names in the mappings inside it.

    Args:
        given: mappings and lists in each other; whatever is neither is left as it is.
        tables: renames by dotted path. The path "" is `given` itself, and `*` stands for each value of a mapping or
            list. Paths are made of new names.
        prefix: see with_new_names; the path follows it.
        warn: takes the text of each warning.

    Raises:
        MbrlError: a value is given by its old and by its new name.
    """
    below: dict[str, dict[str, Mapping[str, str]]] = {}
    for path, table in tables.items():
        if path:
            first, _, rest = path.partition(".")
            below.setdefault(first, {})[rest] = table

    def inside(name: Any, value: Any) -> Any:
        inner = below.get("*", {}) | below.get(str(name), {})
        return with_new_names_within(value, inner, f"{prefix}{name}.", warn) if inner else value

    if isinstance(given, Mapping):
        result = with_new_names(given, tables.get("", {}), prefix, warn)
        return {name: inside(name, value) for name, value in result.items()}
    return [inside(i, value) for i, value in enumerate(given)] if isinstance(given, list | tuple) else given


def with_new_flags(words: Sequence[str], renamed: Mapping[str, str], warn: Warn = warn_renamed) -> list[str]:
    """The words of a command line with new flags, as `--flag value` or `--flag=value`, up to a lone `--`.

    Raises MbrlError if a flag is given by its old and by its new name.
    """
    end = list(words).index("--") if "--" in words else len(words)
    flags = {word.partition("=")[0] for word in words[:end]}
    with_new_names(dict.fromkeys(flags), renamed, "", silent)  # both names?
    result = []
    for word in words[:end]:
        flag, equals, value = word.partition("=")
        result.append(new_name(flag, renamed, "", warn) + equals + value)
    return [*result, *words[end:]]


def renamed_fields(renamed: Mapping[str, str], prefix: str = "", warn: Warn = warn_renamed) -> Any:
    """A pydantic validator that takes a model's fields by their old names too: assign it in the model's body."""

    def translate(cls: type[Any], given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        try:
            return with_new_names(given, renamed, prefix, warn)
        except MbrlError as error:
            raise ValueError(str(error)) from error  # which pydantic reports like any other wrong input

    return model_validator(mode="before")(classmethod(translate))  # type: ignore[arg-type]
