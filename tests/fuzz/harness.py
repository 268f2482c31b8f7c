# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Counts what becomes of each fuzzed input: taken, or refused with a clear error. All else is a crash, and fails."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings

from mbrl_controller.base.errors import MbrlError

HANG_S = 300.0  # an input that takes longer ends the run, with the place where it hangs
SLOW_S = 10.0  # counted in the table
MEMORY_MIB = 1024.0  # by which one kind of input may raise what the process holds at most


@dataclass
class Tally:
    """What became of one kind of input."""

    kind: str
    accepted: int = 0
    refused: int = 0
    crashes: int = 0
    slow: int = 0
    slowest: float = 0.0  # s
    memory: float = 0.0  # MiB by which the largest size of the process grew
    reasons: dict[str, int] = field(default_factory=dict)  # class of error -> inputs

    @property
    def tried(self) -> int:
        """All of them."""
        return self.accepted + self.refused + self.crashes


class Fuzz:
    """One kind of input in one test; `inputs` is how many are to be tried."""

    def __init__(self, kind: str, inputs: int) -> None:
        self.tally = Tally(kind)
        self._inputs = inputs
        self._largest = _largest_size()

    def settings(self, inputs_an_example: int = 1) -> settings:
        """For an example that tries so many inputs."""
        return settings(
            max_examples=max(1, round(self._inputs / inputs_an_example)),
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        )

    @contextlib.contextmanager
    def one(self, *where: str) -> Iterator[None]:
        """Around what is done with one input. An error must be the project's own, and name all of `where`."""
        gc.disable()  # a collection of all that hypothesis remembers would count as the input's time
        began = time.monotonic()
        faulthandler.dump_traceback_later(HANG_S, exit=True, file=sys.__stderr__)
        try:
            yield
        except MbrlError as error:
            text = str(error)
            if not text.strip() or any(name not in text for name in where):
                self.tally.crashes += 1
                raise AssertionError(
                    f"the error does not say what is wrong, or not where ({where}): {text!r}"
                ) from error
            self.refuse(type(error).__name__)
        except Exception:
            self.tally.crashes += 1
            raise
        else:
            self.tally.accepted += 1
        finally:
            faulthandler.cancel_dump_traceback_later()
            took = time.monotonic() - began
            self.tally.slowest = max(self.tally.slowest, took)
            self.tally.slow += took > SLOW_S
            gc.enable()

    def refuse(self, reason: str) -> None:
        """One more was refused."""
        self.tally.refused += 1
        self.tally.reasons[reason] = self.tally.reasons.get(reason, 0) + 1

    def finish(self) -> Tally:
        """All were tried."""
        self.tally.memory = _largest_size() - self._largest
        assert self.tally.memory < MEMORY_MIB, f"{self.tally.kind}: the process grew by {self.tally.memory:.0f} MiB"
        return self.tally


def _largest_size() -> float:
    """MiB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
