# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What this machine has exchanged with a storage, so that a pass looks only at what is new.

A file of lines below MBRL_HOME; if it is lost, what was exchanged is compared once more, and nothing is done twice.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from mbrl_controller.base.errors import MbrlError


class Ledger:
    """Lines of one kind, each once."""

    def __init__(self, folder: Path, url: str, kind: str) -> None:
        """Read it; raises MbrlError. `kind`: a file's name, of what the lines are about."""
        self._file = folder / hashlib.sha256(url.encode()).hexdigest()[:16] / kind
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            text = self._file.read_text() if self._file.exists() else ""
        except OSError as error:
            raise MbrlError(f"{self._file}: cannot be read: {error.strerror}") from error
        self._lines = [line for line in text.split("\n")[:-1] if line]  # the last may be cut
        self._known = set(self._lines)

    def __contains__(self, line: str) -> bool:
        return line in self._known

    def add(self, line: str) -> None:
        """Remember a line. Raises MbrlError where it cannot be written."""
        if line not in self._known:
            self._append(line)

    def value(self, name: str) -> str:
        """What `set_value` remembered last under a name; empty if nothing."""
        begin = f"{name}="
        return next((line.removeprefix(begin) for line in reversed(self._lines) if line.startswith(begin)), "")

    def set_value(self, name: str, value: str) -> None:
        """Remember a value under a name. Raises MbrlError where it cannot be written."""
        self._append(f"{name}={value}")

    def _append(self, line: str) -> None:
        try:
            with self._file.open("a") as file:
                file.write(f"{line}\n" if self._ends_whole() else f"\n{line}\n")
        except OSError as error:
            raise MbrlError(f"{self._file}: cannot be written: {error.strerror}") from error
        self._lines.append(line)
        self._known.add(line)

    def _ends_whole(self) -> bool:
        content = self._file.read_bytes()[-1:]
        return content in (b"", b"\n")
