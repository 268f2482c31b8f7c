# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Logs every transition, one MCAP file per episode, and starts retraining between sessions.

Episodes are the controller's, or a person's (~/begin_episode, ~/end_episode) around commands of anybody.

A logger that fails never stops the control: a full disk ends the logging of an episode and is shown on /diagnostics.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from std_srvs.srv import Trigger

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.resources import home_dir
from mbrl_controller.contract import ros_types
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.contract.frames import TF_STATIC
from mbrl_controller.contract.reward_label import ROLE as REWARD
from mbrl_controller.episodes.episode_topics import OWN_EPISODE
from mbrl_controller.episodes.offered_qos import OfferedQos, qos_by_topic, to_yaml
from mbrl_controller.episodes.recorder import Recorder
from mbrl_controller.episodes.recovery import recover_folder
from mbrl_controller.nodes.controller_options import expanded, find_contract
from mbrl_controller.nodes.diagnostics import ERROR, OK, WARN, DiagnosticsPublisher
from mbrl_controller.nodes.disputed_states import DisputedStates
from mbrl_controller.nodes.graph import Unheard
from mbrl_controller.nodes.lifecycle import ManagedNode, run
from mbrl_controller.nodes.manual_episodes import ManualEpisodes
from mbrl_controller.nodes.messages import message_class
from mbrl_controller.nodes.parameter_spec import Spec
from mbrl_controller.nodes.parameters import Parameters, check_name
from mbrl_controller.nodes.qos import offered_on
from mbrl_controller.nodes.report_process import ReportProcess
from mbrl_controller.nodes.retrain_process import RetrainProcess
from mbrl_controller.nodes.world_topic import WorldListener

DEPTH = 500  # messages a topic that may wait for this process: it may be slow, but nothing should be lost
RECORDED = {
    "command": ros_types.JOINT_STATE,
    "plan": ros_types.TRAJECTORY,
    "goal": ros_types.TRAJECTORY,
    "tick": ros_types.MULTI_ARRAY,
}

SPECS = [
    Spec("autostart", False, "configure and activate at the start, where no launch file does it", read_only=True),
    Spec("contract", "", "robot contract: a path, or a file of the package's config/; empty: adroit_baoding.yaml"),
    Spec("log_dir", "", "folder of the episodes; empty: $MBRL_HOME/episodes", read_only=True),
    Spec("controller", "controller", "name of the controller's node, whose topics are logged"),
    Spec("before_s", 1.0, "recorded time before an episode's first command", lower=0.0, upper=60.0),
    Spec("flush_s", 0.2, "longest time before received messages are written", lower=0.0, upper=0.4),
    Spec("queue_size", 20_000, "maximum number waiting for the disk; more are dropped and counted", unit="messages",
         lower=1, upper=1_000_000),
    # Read only, as are all folders: who can reach the node could have it run or write anything.
    Spec("max_episode_s", 0.0, "maximum duration of an episode begun with ~/begin_episode; 0.0: none", lower=0.0,
         upper=86_400.0),
    Spec("silence_s", 5.0, "time without a command, or a state, after which such an episode ends", lower=0.2,
         upper=3600.0),
    Spec("world", "", "where the hand is, kept with each episode: real, or a name for another simulator; empty: what a "
         "simulated hand says on simulated_world, else real; with use_sim_time unknown"),
    Spec("retrain_command", "", "what ~/retrain runs; empty: this package's retrain job for the contract's task",
         read_only=True),
    Spec("report", False, "write report.html into a session's folder when it is over, in a process of its own"),
]  # fmt: skip


class Logger(ManagedNode):
    """Subscribes as raw bytes; a Recorder does the rest."""

    def __init__(self) -> None:
        super().__init__("logger")
        self._settings = Parameters(self, SPECS, lambda values: None, lambda: None)
        self._handles: list[Callable[[], object]] = []
        self._subscriptions_made: list[Any] = []
        self._heard: dict[str, Unheard] = {}  # by topic
        self._recorder: Recorder | None = None
        self._manual: ManualEpisodes | None = None
        self._states: DisputedStates | None = None
        self._world: WorldListener | None = None
        self._retraining: RetrainProcess | None = None
        self._reports: ReportProcess | None = None
        self._recovery_problem = ""

    def setup(self) -> None:
        """Read parameters and contract, recover cut files. A disk that cannot be written is no reason to refuse."""
        values = self._values = self._settings.values()
        check_name("controller", values["controller"])
        contract_file = find_contract(values["contract"])
        contract = self._contract = load_contract(contract_file)
        log_dir = expanded("log_dir", values["log_dir"]) if values["log_dir"] else home_dir() / "episodes"
        self._folder = log_dir / contract.task.name
        self._recover(log_dir)
        command = _split(values["retrain_command"]) or [
            *(sys.executable, "-m", "mbrl_controller.cli.main", "retrain"),
            *(contract.task.name, "--episodes", str(self._folder), "--contract", str(contract_file)),
        ]
        self._retraining = RetrainProcess(command, log_dir / "retraining" / contract.task.name)
        self._reports = ReportProcess(_report_command) if values["report"] else None
        self._logging_status = DiagnosticsPublisher(self, "logging")
        self._retraining_status = DiagnosticsPublisher(self, "retraining")
        service = self.create_service(Trigger, "~/retrain", self._retrain)
        timer = self.create_timer(1.0, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))
        manual = self._manual = ManualEpisodes(self, contract)
        world = self._world = WorldListener(self, values["world"])
        self._handles += [
            lambda: self.destroy_service(service),
            lambda: self.destroy_timer(timer),
            manual.close,
            world.close,
        ]

    def start(self) -> None:
        """Listen."""
        contract, values, manual, world = self._contract, self._values, self._manual, self._world
        assert manual is not None
        assert world is not None
        wanted: dict[str, tuple[str, str, bool]] = {}
        if (label := contract.file.reward) is not None:  # first: where it is part of a state's array, that one counts
            wanted[REWARD] = (label.topic, label.type, True)
        wanted |= {s.key: (s.topic, s.type, True) for s in contract.sources}
        wanted |= {to.role: (to.topic, to.type, False) for to in contract.destinations}
        for topic, kind in RECORDED.items():
            wanted[topic] = (f"{values['controller']}/{topic}", kind, False)
        wanted["episode"] = (f"{values['controller']}/episode", ros_types.STRING, False)
        wanted["diagnostics"] = ("/diagnostics", ros_types.DIAGNOSTICS, False)
        if contract.looks_up_frames:
            wanted[TF_STATIC] = (TF_STATIC, ros_types.TRANSFORMS, False)
        resolved = {role: self.resolve_topic_name(topic) for role, (topic, _, _) in wanted.items()}
        own = resolved[OWN_EPISODE] = self.resolve_topic_name("~/episode")
        usual = qos_by_topic(contract, resolved, lockstep=False)
        recorder = self._recorder = Recorder(
            contract,
            self._folder,
            resolved,
            queue_size=values["queue_size"],
            before_s=values["before_s"],
            flush_s=values["flush_s"],
            after_s=max(0.3, 2 * contract.action.period),
            max_episode_s=values["max_episode_s"],
            silence_s=values["silence_s"],
            now_ns=lambda: self.get_clock().now().nanoseconds,
            on_event=self._tell,
            world=lambda: world.world,
            offered=self._offered(usual | {own: usual[resolved["episode"]]}),
            on_end=manual.over,
            on_closed=self._reports.closed if self._reports is not None else None,
        )
        recorder.start()
        states = self._states = DisputedStates(self, contract, listener_qos(True, latched=False), manual.mark_disputed)
        logged = {topic: (role, kind, is_sensor) for role, (topic, kind, is_sensor) in wanted.items()}
        for topic, (role, kind, is_sensor) in logged.items():  # each once, also where objects share one
            quality = listener_qos(is_sensor, latched=role in ("episode", TF_STATIC))
            take = self._taker(resolved[role], kind, recorder)
            subscription = self.create_subscription(message_class(kind), topic, take, quality, raw=True)  # type: ignore[arg-type]
            states.subscribed(resolved[role], subscription)
            self._subscriptions_made.append(subscription)
            self._heard[resolved[role]] = Unheard(self, topic, quality)
        manual.begin_listening(recorder, resolved, self._heard, states)

    def stop(self) -> None:
        """Close the episode."""
        if self._manual is not None:
            self._manual.stop_listening()
        while self._subscriptions_made:
            self.destroy_subscription(self._subscriptions_made.pop())
        self._heard.clear()
        if self._states is not None:
            self._states.close()
            self._states = None
        if self._recorder is not None:
            self._recorder.stop()
        if self._reports is not None:
            self._reports.finish()

    def teardown(self) -> None:
        """End everything."""
        self.stop()
        if self._retraining is not None:
            self._retraining.stop()
        while self._handles:
            self._handles.pop()()
        self._recorder = self._retraining = self._manual = None

    def _taker(self, topic: str, kind: str, recorder: Recorder) -> Callable[[bytes, Any], None]:
        clock, manual, states = self.get_clock(), self._manual, self._states
        assert manual is not None
        assert states is not None

        def take(data: bytes, info: Any) -> None:
            now = clock.now().nanoseconds
            states.hear(topic, info.get("publication_sequence_number"))
            manual.hear(topic, data, now)
            recorder.offer(topic, kind, data, now)

        return take

    def _offered(self, usual: dict[str, OfferedQos]) -> Callable[[str], str]:
        """What a topic's publishers offer right now, for its description in the file."""

        def ask(topic: str) -> str:
            try:
                return to_yaml(offered_on(self, topic, usual[topic]))
            except Exception as error:  # rclpy's have no common base; what is logged matters more than its description
                self.get_logger().warning(f"{topic}: it is not known how it is offered: {error}")
                return ""

        return ask

    def _tell(self, text: str) -> None:
        self.get_logger().info(text)

    def _recover(self, log_dir: Path) -> None:
        self._recovery_problem = ""
        try:
            done = recover_folder(log_dir)
        except OSError as error:
            self._recovery_problem = f"{log_dir}: {error.strerror or error}"
            self.get_logger().error(f"cut episodes cannot be looked for: {self._recovery_problem}")
            return
        for recovery in done.recovered:
            self.get_logger().warning(str(recovery))
        for failure in done.failed:
            self.get_logger().error(f"not recovered: {failure}")
        self._recovery_problem = "; ".join(done.failed)

    def _retrain(self, request: Any, response: Any) -> Any:
        recorder, retraining = self._recorder, self._retraining
        try:
            if retraining is None:
                raise MbrlError("the logger is not configured")
            if recorder is not None and self.is_active and recorder.status.recording:
                how = "~/end_episode" if recorder.status.by_others else "deactivate the controller"
                raise MbrlError(f"an episode is being logged: {how} first, or wait for its end")
            retraining.start()
            response.success, response.message = True, f"started; its output is in {retraining.log}"
        except MbrlError as error:
            response.success, response.message = False, str(error)
        return response

    def _report(self) -> None:
        recorder, retraining, manual = self._recorder, self._retraining, self._manual
        if retraining is None or manual is None:
            return
        if self._reports is not None:
            self._reports.poll()
        if recorder is not None:
            status = recorder.status
            waiting = "waiting for an episode's first command" if status.recording else "waiting for an episode"
            level, text = OK, "logging" if status.file else waiting
            if not self.is_active:
                text = "not active"
            elif status.recording and status.silent:
                level, text = WARN, f"{text}, but nothing came yet on {', '.join(status.silent)}"
            unheard = [str(topic) for topic in self._heard.values() if topic.found()]
            if more := list(dict.fromkeys([*manual.tell(), *unheard])):
                level, text = WARN, "; ".join([text, *more])
            if status.dropped:
                level, text = ERROR, f"{status.dropped} messages lost: the disk is too slow"
            if status.problem:
                level, text = ERROR, f"not logging: {status.problem}"
            values = {
                "file": status.file,
                "episodes closed": status.episodes,
                "messages written": status.messages,
                "messages dropped": status.dropped,
                "silent topics": ", ".join(status.silent),
                "not heard": "; ".join(unheard),
                "commanded by": "others" if status.by_others else "the controller" if status.recording else "",
                "last episode of others": manual.last,
                "not recovered": self._recovery_problem,
                "report": self._reports.last if self._reports is not None else "",
            }
            self._logging_status.publish(level, text, values)
        running = retraining.running
        text = f"running: {retraining.last_line()}" if running else retraining.ended or "not asked for"
        self._retraining_status.publish(ERROR if retraining.failed else OK, text, {"log": retraining.log or ""})


def _report_command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "mbrl_controller.cli.main", "report", str(folder)]


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise MbrlError(f"parameter retrain_command: {error}: {command!r}") from error


def listener_qos(sensor: bool, latched: bool) -> QoSProfile:
    """Matches every publisher of its kind, with room for what this process is too slow for."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=DEPTH,
        reliability=ReliabilityPolicy.BEST_EFFORT if sensor else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def main() -> int:
    """Entry point of `logger`."""
    return run(Logger)


if __name__ == "__main__":
    raise SystemExit(main())
