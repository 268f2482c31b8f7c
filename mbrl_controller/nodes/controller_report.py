# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the controller reports: its entry on /diagnostics, and what follows a reset or a hand-over."""

from __future__ import annotations

from dataclasses import dataclass, field

from mbrl_controller.control.episode_manager import Phase
from mbrl_controller.control.safety import SafetyState
from mbrl_controller.control.session import ControlSession
from mbrl_controller.control.standing import Standing
from mbrl_controller.control.state_input import Rejections
from mbrl_controller.control.timing import LoopStatistics
from mbrl_controller.control.watching import watched
from mbrl_controller.nodes import diagnostics
from mbrl_controller.nodes.controller_options import Thresholds
from mbrl_controller.nodes.diagnostics import ERROR, OK, WARN
from mbrl_controller.nodes.tick_shares import TickCounts, TickShares

REPORT_S = 1.0  # between two reports if nothing has changed


@dataclass
class Counters:
    """Events outside the loop since the process began; late plans count since activation."""

    goals_refused: int = 0
    last_goal_refusal: str = ""
    models_refused: int = 0
    last_model_refusal: str = ""
    counted: TickCounts = field(default_factory=TickCounts)  # since activation
    rejections: Rejections = field(default_factory=Rejections)
    transport: list[str] = field(default_factory=list)  # which messages cannot arrive, and why
    corrections: int = 0  # of commands, by feedback
    misled: list[str] = field(default_factory=list)  # which states or e-stops must not be trusted


def latches(standing: Standing) -> dict[str, object]:
    """The latches that a person must clear, and since when (s, node clock)."""
    return {
        name: "none" if latch is None else f"{latch.reason} (at {latch.time:.3f} s)"
        for name, latch in (("latched stop", standing.stop), ("hand-over", standing.hand_over))
    }


def unconfigured(standing: Standing, transition: str) -> tuple[int, str, dict[str, object]]:
    """Level, message and values while unconfigured; `transition`: the result of the last one."""
    level, message, reason, state = ERROR if " failed: " in transition else OK, transition, transition, "inactive"
    if standing.stop is not None:
        level, reason, state = ERROR, standing.stop.reason, "stopped"
        message = f"stopped: {reason}; {transition}"
    elif standing.hand_over is not None:
        level, message = max(level, WARN), f"{transition}; handed over: {standing.hand_over.reason}"
    values = {"safety state": state, "reason": reason, "transition": transition}
    return level, message, values | latches(standing)


class ControllerReport:
    """Makes reports; shares are of the ticks of about the last second."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """The loop starts, and its counts with it."""
        self._shares = TickShares()

    def make(
        self,
        session: ControlSession,
        loop: LoopStatistics,
        counters: Counters,
        thresholds: Thresholds,
        *,
        period: float,
        lockstep: bool,
        active: bool,
        model: dict[str, object],
        denied: list[str],
        other_commanders: list[str],
    ) -> tuple[int, str, dict[str, object]]:
        """Level, message and values.

        Args:
            session: of the controller.
            loop: timing of the loop since activation.
            counters: of the process.
            thresholds: of warnings.
            period: s, of the loop.
            lockstep: the loop has no rate.
            active: the node is active.
            model: values that describe the model.
            denied: what the system did not grant.
            other_commanders: nodes that command the same hand.
        """
        safety = session.core.safety
        level, message = self._safety_level(safety.state, safety.reason, active)
        if not active and level == OK and safety.standing.hand_over is not None:
            level, message = WARN, f"{message}; handed over: {safety.standing.hand_over.reason}"
        values: dict[str, object] = {"safety state": safety.state.value, "reason": safety.reason}
        values["not granted"] = "; ".join(denied)
        problems: list[tuple[int, str]] = []
        shares = self._shares.add(counters.counted, window=REPORT_S / period)
        if active and shares is not None and not lockstep:
            t, (missed, late) = thresholds, shares
            wanted, window = 1.0 / period, loop.period.summary()
            error = abs(1.0 / window.mean / wanted - 1.0) if window.count else 0.0
            for what, value, warn, bad in (
                ("rate", error, t.rate_error_warn, t.rate_error_error),
                ("missed ticks", missed, t.missed_warn, t.missed_error),
                ("late plans", late, t.late_warn, t.late_error),
            ):
                problems.append((diagnostics.worse(value, warn, bad), f"{what}: {100 * value:.3g} %"))
        if denied:
            problems.append((WARN, f"not granted: {'; '.join(denied)}"))
        if other_commanders:
            problems.append((ERROR, f"the hand is also commanded by {', '.join(other_commanders)}"))
        problems += [(WARN, what) for what in counters.transport] + [(ERROR, what) for what in counters.misled]
        level = max([level, *(problem[0] for problem in problems)])
        message = "; ".join([message, *(text for bad, text in problems if bad > OK and text not in message)])
        values.update(diagnostics.timing(loop, period))
        values.update(model | self._details(session, counters))
        return level, message, values

    def _safety_level(self, state: SafetyState, reason: str, active: bool) -> tuple[int, str]:
        if state is SafetyState.STOPPED:
            return ERROR, f"stopped: {reason}"
        if not active:
            return OK, "inactive"
        if state in (SafetyState.HOLDING, SafetyState.HANDED_OVER):
            return WARN, f"{state.value}: {reason}"
        return OK, state.value

    def _details(self, session: ControlSession, counters: Counters) -> dict[str, object]:
        step = session.last_sent
        solution = step.tick.solution if step is not None else None
        request = step.tick.request if step is not None else None
        core = session.core
        return latches(core.safety.standing) | {
            "late plans": counters.counted.late,
            "model refused": counters.models_refused,
            "last model refusal": counters.last_model_refusal,
            "planner": core.planner.name if core.acting == "controller" else "none: the policy acts",
            "feedback corrections": counters.corrections,
            "command source": step.tick.source if step is not None else "none",
            "predicted return": solution.plan.predicted_return if solution else float("nan"),
            "disagreement": solution.disagreement if solution else float("nan"),
            "disagreement limit": core.model.disagreement_limit,
            **watched(core.model, core.task, core.contract.action.period, step.observation if step else None, solution),
            "delay bridged (ms)": 1e3 * request.delay.total if request else float("nan"),
            "plan duration (ms)": 1e3 * solution.duration if solution else float("nan"),
            "network evaluations": solution.network_evaluations if solution else float("nan"),
            "episode": session.episodes.number,
            "episode phase": session.episodes.phase.value,
            "epoch": core.epoch,
            "rejected messages": session.inputs.rejected_total,
            "last rejection": session.inputs.last_rejection,
            "goals refused": counters.goals_refused,
            "last goal refusal": counters.last_goal_refusal,
        }


def what_follows(
    standing: Standing, session: ControlSession | None, *, active: bool, ticking: bool, problem: str, reset_service: str
) -> str:
    """What follows a reset or a hand-over, in words.

    Args:
        standing: the latches.
        session: None while unconfigured.
        active: the node is active.
        ticking: the loop runs.
        problem: why the state could not be used until now; empty if it could.
        reset_service: name of the service that resets the scene.
    """
    obstacles = []
    if standing.stop is not None:
        obstacles.append(f"stopped until ~/reset: {standing.stop.reason}")
    if standing.hand_over is not None:
        obstacles.append(f"handed over until ~/hand_over with false: {standing.hand_over.reason}")
    if session is None:
        obstacles.append("not configured")
    elif not active:
        obstacles.append("not active")
    elif not ticking:
        obstacles.append("the control loop has ended: deactivate and activate")
    if obstacles or session is None:
        return f"nothing is sent: {'; '.join(obstacles)}"
    if session.episodes.phase is Phase.RESETTING:
        return f"a new episode begins with the next good state after the scene's reset by {reset_service}"
    return f"a new episode begins with the next good state{f'; until now: {problem}' if problem else ''}"
