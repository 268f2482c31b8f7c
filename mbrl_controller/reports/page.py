# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The page of a report: a section for each question, of one session; and a comparison of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mbrl_controller.models.origin import world_text
from mbrl_controller.reports import figures
from mbrl_controller.reports.figures import Figure
from mbrl_controller.reports.html import Html, element, number, percent, table, text
from mbrl_controller.reports.session import EpisodeDigest, Session

Draw = Callable[..., Html]
MAX_EVENTS = 200  # listed of the safety's
P = "p"


def shown(figure: Figure) -> str:
    """Its value, with the interval where it has one."""
    if figure.share:
        value, low, high = percent(figure.value), percent(figure.low), percent(figure.high)
    else:
        value = number(figure.value, figure.unit, figure.decimals)
        low, high = (number(v, "", figure.decimals) for v in (figure.low, figure.high))
    return f"{value} ({low} to {high})" if np.isfinite(figure.low) else value


def session_parts(session: Session, draw: Draw) -> list[Html]:
    """All sections of one session. `draw(name, ...)` makes a picture, or says why there is none."""
    parts = [element("h1", f"Session {session.name}"), _overview(session)]
    contract = session.contract
    parts += [element("h2", "Episodes"), _episodes(session)]
    if contract is None:
        return parts
    episodes = [e for e in session.episodes if e.contract is not None]
    ticks = figures.ticks_of(episodes)
    parts += [element("h2", "Metrics"), _metrics(session, episodes, draw)]
    parts += [element("h2", "Timing"), _timing(ticks, contract.action.period, draw)]
    parts += [element("h2", "Safety"), _safety(episodes, ticks)]
    parts += [element("h2", "Disagreement"), _disagreement(episodes, ticks, draw)]
    parts += [element("h2", "Commands against limits"), _joints(session, episodes, draw)]
    return parts


def _overview(session: Session) -> Html:
    infos = [e.info for e in session.episodes if e.info is not None]

    def all_of(values: Sequence[str]) -> str:
        return ", ".join(dict.fromkeys(v for v in values if v)) or "\u2013"

    started = sorted(info.started for info in infos if info.started)
    rows: list[tuple[object, object]] = [
        ("task", all_of([info.task for info in infos])),
        ("robot", all_of([info.robot for info in infos])),
        ("world", all_of([world_text(info.world) for info in infos])),
        ("versions", all_of([e.version for e in session.episodes])),
        ("episodes", str(len(session.episodes))),
        ("commands", str(sum(e.steps for e in session.episodes))),
        ("first and last begun", " to ".join(dict.fromkeys([started[0], started[-1]])) if started else "\u2013"),
        ("folder", str(session.folder)),
    ]
    bad: dict[str, int] = {}
    for episode in session.episodes:
        if episode.status != "complete":
            bad[episode.status] = bad.get(episode.status, 0) + 1
    if bad:
        rows.append(("not complete", element("span", ", ".join(f"{n} {what}" for what, n in bad.items()), cls="bad")))
    return table(("", ""), rows)


def _episodes(session: Session) -> Html:
    if not session.episodes:
        return element(P, "There are none: nothing was logged in this folder.")
    contract = session.contract
    specs = figures.specs(session.episodes, contract) if contract is not None else ()
    header = ["file", "version", "begun", "s", "commands", "end", "return", "kept", "goal"]
    header += [metric.label + (f" ({metric.unit})" if metric.unit else "") for metric in specs]
    rows = []
    for e in session.episodes:
        m = e.metrics
        status = "" if e.status == "complete" else f" {e.status}{': ' if e.problem else ''}{e.problem}"
        name: object = text(e.path.name) + element("span", status, cls="bad") if status else e.path.name
        row: list[object] = [name, e.version, e.info.started if e.info is not None else ""]
        row += [number(e.seconds, "", 1), str(e.steps), e.end]
        row += [number(m.episode_return), _yes(not m.dropped), _yes(m.goal_reached)] if m is not None else ["", "", ""]
        row += [number(m.values.get(metric.name), "", metric.decimals) if m is not None else "" for metric in specs]
        rows.append(row)
    return table(header, rows)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _metrics(session: Session, episodes: Sequence[EpisodeDigest], draw: Draw) -> Html:
    assert session.contract is not None
    found = figures.metric_figures(episodes, session.contract)
    if not found:
        return element(P, "No episode has transitions and goals of which the task could measure anything.")
    rows = [(f.label, shown(f), str(f.n)) for f in found]
    return table(("figure", "value (95 % interval)", "episodes"), rows) + draw("plot_metrics", session, episodes)


def _timing(ticks: dict[str, np.ndarray], period: float, draw: Draw) -> Html:
    if not ticks:
        return element(P, "No ticks were logged: the commands were others', or the episodes are from before them.")
    rows: list[Sequence[object]] = [
        (what, *(number(f.value, "ms") for f in quantiles), str(quantiles[0].n))
        for what, *quantiles in figures.timing_figures(ticks)
    ]
    counts = [
        ("ticks logged", str(len(ticks["file"]))),
        ("control period", number(1e3 * period, "ms", 1)),
        ("missed ticks", str(figures.counted(ticks, "missed_ticks"))),
        ("late plans", str(figures.counted(ticks, "late_plans"))),
    ]
    note = "Counts are of the logged time: from a little before each episode to its end."
    parts = table(("", ""), counts) + element(P, note, cls="dim")
    if not rows:
        return parts + element(P, "Lateness and execution were not logged: a simulation in lockstep has no rate.")
    return parts + table(("", "p50", "p99", "maximum", "ticks"), rows) + draw("plot_timing", ticks, period)


def _safety(episodes: Sequence[EpisodeDigest], ticks: dict[str, np.ndarray]) -> Html:
    ends: dict[str, int] = {}
    for e in episodes:
        ends[e.end or "unknown"] = ends.get(e.end or "unknown", 0) + 1
    parts = table(("episodes ended by", "number"), [(why, str(n)) for why, n in ends.items()])
    if "safety_state" not in ticks:
        return parts + element(P, "The state of the safety was not logged.")
    events = figures.safety_events(episodes, ticks)
    if not events:
        return parts + element(P, "In the logged ticks it never held, stopped or handed over.")
    rows = [
        (e.file, number(e.stamp, "", 2), number(e.seconds, "s"), e.state, e.reason or "not logged")
        for e in events[:MAX_EVENTS]
    ]
    parts += table(("file", "stamp (s)", "lasted", "state", "reason"), rows)
    more = len(events) - len(rows)
    return parts + element(P, f"{more} more are not listed.") if more else parts


def _disagreement(episodes: Sequence[EpisodeDigest], ticks: dict[str, np.ndarray], draw: Draw) -> Html:
    values, limit = figures.finite(ticks.get("disagreement")), figures.disagreement_limit(episodes)
    if not len(values):
        return element(P, "None was logged: without a learned model nothing can disagree.")
    p50, p99, most = np.percentile(values, [50, 99, 100]).tolist()
    rows: list[Sequence[object]] = [("p50", number(p50, "", 3)), ("p99", number(p99, "", 3))]
    rows += [("maximum", number(most, "", 3)), ("ticks", str(len(values)))]
    rows.append(("limit", number(limit, "", 3) if limit is not None else "not logged, or none"))
    if limit is not None:
        rows.append(("above the limit", percent(float((values > limit).mean()))))
    return table(("", ""), rows) + draw("plot_disagreement", ticks, limit)


def _joints(session: Session, episodes: Sequence[EpisodeDigest], draw: Draw) -> Html:
    assert session.contract is not None
    uses = figures.joint_uses(episodes, session.contract)
    if not any(np.isfinite(use.commanded[0]) for use in uses):
        return element(P, "There are no commands.")
    joints: list[Sequence[object]] = [
        (
            use.name,
            *[number(v, "", 3) for v in (use.lower, *use.commanded, use.upper)],
            *[percent(v) for v in (use.at_lower, use.at_upper, use.rate, use.at_rate)],
        )
        for use in uses
    ]
    header = ["joint", "lower", "least", "5 %", "median", "95 %", "most", "upper (rad)"]
    header += ["at lower", "at upper", "largest step", "at the rate limit"]
    note = (
        "At a limit: within 1 % of the range. Step: from the measured position to the command, as a share of what "
        "max_rate allows in a control period; at its limit from 98 % on. The measurement is the newest at the stamp of "
        "the command; the controller may have limited by one a little older, so a little over 100 % is no fault."
    )
    return table(header, joints) + element(P, note, cls="dim") + draw("plot_joints", uses)


def comparison(groups: Sequence[tuple[str, Sequence[EpisodeDigest]]], session: Session) -> list[Html]:
    """A column for each group of episodes of one task; the session's contract says what its metrics are."""
    contract = session.contract
    if contract is None:
        return []
    columns = [_column(episodes, session) for _, episodes in groups]
    labels = list(dict.fromkeys(label for column in columns for label in column))
    rows = [(label, *(column.get(label, "\u2013") for column in columns)) for label in labels]
    note = (
        "In brackets: 95 % intervals, Wilson for shares and bootstrap for the rest. Where they overlap, the difference "
        "may be chance."
    )
    return [
        element("h1", "Comparison"),
        table(("", *(name for name, _ in groups)), rows),
        element(P, note, cls="dim"),
    ]


def _column(episodes: Sequence[EpisodeDigest], session: Session) -> dict[str, str]:
    assert session.contract is not None
    ticks = figures.ticks_of(episodes)
    found = {"episodes": str(len(episodes)), "commands": str(sum(e.steps for e in episodes))}
    found |= {f.label: shown(f) for f in figures.metric_figures(episodes, session.contract)}
    found |= {f"{what}, p99": number(p99.value, "ms") for what, _, p99, _ in figures.timing_figures(ticks)}
    if ticks:
        found |= {"missed ticks": str(figures.counted(ticks, "missed_ticks"))}
        found |= {"late plans": str(figures.counted(ticks, "late_plans"))}
    values = figures.finite(ticks.get("disagreement"))
    if len(values):
        found["disagreement, p99"] = number(float(np.percentile(values, 99)), "", 3)
    held = sum(e.state == "holding" for e in figures.safety_events(episodes, ticks))
    return found | ({"times it held": str(held)} if "safety_state" in ticks else {})
