# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Runs a node's callbacks on their own thread."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future


class _End(Future):
    """What a thread spins until. Before each callback rclpy asks it to wake the executor when it is done, and it would
    keep every such request: some MiB a minute. One is enough."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = False

    def add_done_callback(self, callback: Callable[[Future], None]) -> None:
        if not self._asked:
            self._asked = True
            super().add_done_callback(callback)


class Spinner:
    """Runs the callbacks of a node, one at a time, until `stop`, or until the first one that raises.

    rclpy's executors can be shut down from another thread, but that takes away what the spinning one may just be about
    to wait for. Here the thread ends first.
    """

    def __init__(self, node: Node, name: str, on_end: Callable[[], object] = lambda: None) -> None:
        """Begin, on a thread called `name`; `on_end` is called there at the end, whatever the reason."""
        self.failed = False  # a callback raised
        self._on_end = on_end
        self._ended = _End()
        self._executor = SingleThreadedExecutor()  # never the multi-threaded one: see nodes/polling.py
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, name=name)
        self._thread.start()

    def stop(self) -> None:
        """End the callback at hand, and then the thread."""
        self._ended.set_result(None)
        self._thread.join()
        self._executor.shutdown()

    def _spin(self) -> None:
        try:
            self._executor.spin_until_future_complete(self._ended)
        except ExternalShutdownException:
            pass
        except BaseException:
            traceback.print_exc()
            self.failed = True
        finally:
            self._on_end()
