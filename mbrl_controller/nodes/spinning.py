"""A node's callbacks on a thread of their own."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future


class Spinner:
    """Runs the callbacks of a node, one at a time, until `stop`, or until the first one that raises.

    rclpy's executors can be shut down from another thread, but that takes away what the spinning one may just be about
    to wait for. Here the thread ends first.
    """

    def __init__(self, node: Node, name: str, on_end: Callable[[], object] = lambda: None) -> None:
        """Begin, on a thread called `name`; `on_end` is called there at the end, whatever the reason."""
        self.failed = False  # a callback raised
        self._on_end = on_end
        self._ended = Future()
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
