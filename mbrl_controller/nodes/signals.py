# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What viewers show without knowing this package: each number of ~/tick by name, and markers of objects, goal and plan.

A process of its own, so that the controller's tick costs the same. It listens only while somebody listens to it: the
controller builds no plan message for nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rclpy.clock import Clock, ClockType
from rclpy.publisher import Publisher
from std_msgs.msg import Float64, Float64MultiArray
from visualization_msgs.msg import MarkerArray

from mbrl_controller.base.extras import how_to_install
from mbrl_controller.contract.contract import RobotContract, load_contract
from mbrl_controller.episodes.named_signals import SIGNALS, labelled
from mbrl_controller.nodes import qos
from mbrl_controller.nodes.controller_options import find_contract
from mbrl_controller.nodes.controller_output import TICK_ROW
from mbrl_controller.nodes.lifecycle import ManagedNode, run
from mbrl_controller.nodes.parameter_spec import Spec
from mbrl_controller.nodes.parameters import Parameters, check_name

if TYPE_CHECKING:
    from mbrl_controller.nodes.shown_hand import ShownHand

SPECS = [
    Spec("autostart", True, "configure and activate at the start", read_only=True),
    Spec("contract", "", "robot contract: a path, or a file of the package's config/; empty: adroit_baoding.yaml"),
    Spec("controller", "controller", "name of the controller's node: topics are called after it"),
    Spec("rate", 10.0, "of the markers", unit="Hz", lower=0.1, upper=60.0),
    Spec("frame", "", "frame_id of the markers; empty: the frame that the contract gives its objects in, else world"),
]  # fmt: skip


class Signals(ManagedNode):
    """Publishes `<controller>/signals/<name>` and `<controller>/markers`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("signals", **options)
        self._settings = Parameters(self, SPECS, lambda values: None, lambda: None)
        self._handles: list[Callable[[], object]] = []
        self._numbers: dict[str, Publisher] = {}
        self._tick: Any = None  # the subscription, while there is a listener
        self._hand: ShownHand | None = None

    def setup(self) -> None:
        """Read the parameters, make the topics."""
        values = self._settings.values()
        check_name("controller", values["controller"])
        contract: RobotContract = load_contract(find_contract(values["contract"]))
        controller = values["controller"]
        self._row_topic = f"{controller}/tick"
        for label in TICK_ROW:
            self._numbers[label] = self.create_publisher(Float64, f"{controller}/{SIGNALS}/{label}", qos.RECORD)
        self._markers = self.create_publisher(MarkerArray, f"{controller}/markers", qos.RECORD)
        self._hand = self._shown_hand(contract, controller, values["frame"])
        timer = self.create_timer(1.0 / values["rate"], self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._handles = [
            lambda: self.destroy_timer(timer),
            self.stop,
            lambda: self.destroy_publisher(self._markers),
            *(lambda p=publisher: self.destroy_publisher(p) for publisher in self._numbers.values()),
        ]

    def stop(self) -> None:
        """Listen to nothing."""
        self._stop_listening()
        if self._hand is not None:
            self._hand.close()

    def teardown(self) -> None:
        """Leave all topics."""
        for destroy in self._handles:
            destroy()
        self._handles, self._numbers, self._hand = [], {}, None

    def _look(self) -> None:
        """Listen to what is needed for those who listen; publish the markers."""
        if not self.is_active:
            return
        if any(publisher.get_subscription_count() for publisher in self._numbers.values()):
            if self._tick is None:
                self._tick = self.create_subscription(Float64MultiArray, self._row_topic, self._spread, qos.RECORD)
        else:
            self._stop_listening()
        if (hand := self._hand) is None:
            return
        if self._markers.get_subscription_count():
            hand.open()
            if (message := hand.markers()) is not None:
                self._markers.publish(message)
        else:
            hand.close()

    def _shown_hand(self, contract: RobotContract, controller: str, frame: str) -> ShownHand | None:
        try:
            from mbrl_controller.nodes.shown_hand import ShownHand
        except ImportError as error:  # a robot may be without MuJoCo
            self.get_logger().warning(f"no markers: {error}; they need: {how_to_install('sim')}")
            return None
        return ShownHand(self, contract, controller, frame)

    def _stop_listening(self) -> None:
        if self._tick is not None:
            self.destroy_subscription(self._tick)
            self._tick = None

    def _spread(self, row: Float64MultiArray) -> None:
        for label, value in labelled(row):
            publisher = self._numbers.get(label)
            if publisher is not None and publisher.get_subscription_count():
                publisher.publish(Float64(data=value))


def main() -> int:
    """Entry point of `signals`."""
    return run(Signals)


if __name__ == "__main__":
    raise SystemExit(main())
