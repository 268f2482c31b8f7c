# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The report says what is in the files, whatever these are."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mbrl_controller.base.errors import EpisodeError
from mbrl_controller.reports import figures
from mbrl_controller.reports.html import element, number, percent, text
from mbrl_controller.reports.report import find_session, make_report, write_report
from mbrl_controller.reports.session import read_digest, read_session

STEPS = 20
RUNNING, HOLDING, STOPPED = 2.0, 3.0, 4.0


def report(*folders: Path) -> str:
    return make_report([read_session(folder) for folder in folders])


def only_number(cell: str) -> float:
    found = re.match(r"-?[\d.]+", cell)
    assert found, cell
    return float(found[0])


def test_metrics_are_those_of_the_states_that_were_logged(write, page, claw):
    made = [write(number, ticks={}) for number in range(3)]
    found = page(report(made[0].path.parent))
    wanted = [claw.task.metrics(m.states, m.commands, m.goals, claw.action.period) for m in made]
    returns = [m.episode_return for m in wanted]
    rows = found.table("episode_")
    for metrics, (_, cells) in zip(wanted, sorted(rows.items())[:3], strict=True):
        assert float(cells[5]) == pytest.approx(metrics.episode_return, abs=0.006)
        assert cells[6:8] == ["yes" if not metrics.dropped else "no", "yes" if metrics.goal_reached else "no"]
    table = found.table("return, mean")
    assert only_number(table["return, mean"][0]) == pytest.approx(np.mean(returns), abs=0.006)
    errors = sorted(m.values["goal_error"] for m in wanted)
    assert only_number(table["goal error, median"][0]) == pytest.approx(errors[1], abs=0.006)
    assert table["return, mean"][1] == "3"


def test_timing_is_of_each_tick_once(write, page):
    """A file begins before its episode, so that the files of a session share ticks."""
    lateness = np.linspace(0.001, 0.02, STEPS)
    ticks = {"lateness": lateness, "previous_execution": 2 * lateness, "late_plans": [0.0] * 10 + [3.0] * 10}
    ticks["missed_ticks"] = [4.0] * 5 + [6.0] * 10 + [1.0] * 5  # activated anew in between
    first = write(0, ticks=ticks)
    write(1, ticks=ticks | {"stamp": first.ticks["stamp"]})
    found = page(report(first.path.parent))
    counts = found.table("ticks logged")
    assert counts["ticks logged"] == [str(STEPS)]
    assert (counts["missed ticks"], counts["late plans"]) == (["2"], ["3"])
    p50, p99, most, n = found.table("lateness")["lateness"]
    ordered = sorted(1e3 * lateness)
    assert only_number(p50) == pytest.approx((ordered[9] + ordered[10]) / 2, abs=0.006)
    assert only_number(most) == pytest.approx(20.0)
    assert ordered[18] < only_number(p99) <= ordered[19]
    assert n == str(STEPS)
    assert only_number(found.table("lateness")["execution"][2]) == pytest.approx(40.0)
    assert "plan" not in found.table("lateness")


def test_commands_are_compared_with_the_joints_limits(write, page, claw):
    made = write(0, ticks={})
    found = page(report(made.path.parent))
    table = found.table(claw.action.names[0])
    at = [claw.task.state.names.index(f"{joint}.position") for joint in claw.action.names]
    for i, joint in enumerate(claw.action.names):
        sent, near = made.commands[:, i], 0.01 * (claw.action.upper[i] - claw.action.lower[i])
        cells = table[joint]
        assert float(cells[1]) == pytest.approx(min(sent), abs=0.0006)
        assert float(cells[5]) == pytest.approx(max(sent), abs=0.0006)
        assert float(cells[3]) == pytest.approx(np.median(sent), abs=0.0006)
        hits = sum(value >= claw.action.upper[i] - near for value in sent)
        assert only_number(cells[8]) == pytest.approx(100 * hits / STEPS, abs=0.06)
        steps = abs(sent - made.states[:-1, at[i]]) / (claw.action.max_rate[i] * claw.action.period)
        assert only_number(cells[9]) == pytest.approx(100 * max(steps), abs=0.06)


def test_a_hold_has_the_reason_that_the_controller_gave(write, page):
    states = [RUNNING] * 5 + [HOLDING] * 4 + [RUNNING] * 6 + [STOPPED] * 5
    statuses = [(5, "holding", "planner late", 0.5), (8, "running", "", 0.5), (15, "stopped", "e-stop", 0.5)]
    made = write(0, ticks={"safety_state": states}, statuses=statuses, reason="stop")
    session = read_session(made.path.parent)
    first, second = figures.safety_events(session.episodes, figures.ticks_of(session.episodes))
    assert (first.state, first.reason, second.state, second.reason) == ("holding", "planner late", "stopped", "e-stop")
    assert first.stamp == pytest.approx(100.5)
    assert first.seconds == pytest.approx(0.3)
    found = page(make_report([session]))
    assert found.table("stop")["stop"] == ["1"]
    assert "planner late" in found.text


def test_disagreement_is_compared_with_the_limit_that_was_told(write, page):
    values = np.linspace(0.0, 0.95, STEPS)
    values[3] = np.nan
    made = write(0, ticks={"disagreement": values}, statuses=[(1, "running", "", 0.7)])
    table = page(report(made.path.parent)).table("p50")
    assert table["limit"] == ["0.700"]
    assert table["ticks"] == [str(STEPS - 1)]
    assert only_number(table["above the limit"][0]) == pytest.approx(100 * sum(values > 0.7) / (STEPS - 1), abs=0.06)
    assert only_number(table["maximum"][0]) == 0.95


@pytest.mark.parametrize("limit", ["None", "", "nan", "<b>"])
def test_a_limit_that_is_none_is_not_drawn(write, page, limit):
    made = write(0, ticks={"disagreement": [0.1] * STEPS}, statuses=[(1, "running", "", limit)])
    table = page(report(made.path.parent)).table("p50")
    assert table["limit"] == ["not logged, or none"]
    assert "above the limit" not in table


EVIL = ["<script>alert(1)</script>", '" onload="x', "<img src=http://x>", "$\\frac$ \x07 ]]> &amp;", "</svg></td>"]


@pytest.mark.parametrize("evil", EVIL)
def test_names_are_never_markup(write, page, evil, tmp_path):
    folder = tmp_path / evil.replace("/", "|")
    states = [RUNNING] * 10 + [HOLDING] * 10
    statuses = [(10, "holding", evil, 0.5)]
    for number_, version in enumerate([evil, "v0002"]):  # two versions, so that the pictures have a legend
        ticks = {"safety_state": states, "disagreement": [0.1] * STEPS}
        write(number_, version=version, ticks=ticks, statuses=statuses, folder=folder, reason=evil)
    (folder / "broken.mcap").write_text(evil)
    found = page(report(folder))
    assert "script" not in {tag for tag, _ in found.elements}
    assert "img" not in {tag for tag, _ in found.elements}
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    shown = text(evil)
    assert page(f"<p>{shown}</p>").text in found.text  # said as it is, but for characters that no page may have


def test_the_page_loads_nothing(write, page):
    made = write(0, ticks={"lateness": [0.001] * STEPS, "disagreement": [0.1] * STEPS})
    found = page(report(made.path.parent))
    assert not {tag for tag, _ in found.elements} & {"script", "link", "img", "iframe", "object", "embed", "base"}
    links = [
        value
        for _, attributes in found.elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "data", "action")
    ]
    assert not [link for link in links if link and not link.startswith("#")]
    policies = [a["content"] for tag, a in found.elements if tag == "meta" and "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_the_same_files_give_the_same_page(write):
    made = write(0, ticks={"lateness": [0.001] * STEPS, "disagreement": [0.1] * STEPS})
    assert report(made.path.parent) == report(made.path.parent)


def test_an_empty_session_is_reported_as_one(page, tmp_path):
    found = page(report(tmp_path))
    assert found.table("task")["episodes"] == ["0"]
    assert "nothing was logged" in found.text


def test_damaged_and_unfinished_files_are_listed_and_the_others_counted(write, page, tmp_path):
    whole = write(0, ticks={})
    folder = whole.path.parent
    (folder / "episode_0001.mcap").write_bytes(b"nonsense")
    (folder / "episode_0002.mcap").write_bytes(b"")
    content = whole.path.read_bytes()
    (folder / "episode_0003.mcap").write_bytes(content[: len(content) * 2 // 3])
    running = write(4, ticks={}, close=False).path
    cut = write(5, ticks={}, close=False).path
    os.utime(cut, (time.time() - 60,) * 2)
    os.utime(running)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    found = [episode.status for episode in read_session(folder).episodes]
    assert found == ["complete", "unreadable", "unreadable", "cut", "being written", "cut"]
    rows = page(report(folder)).table("task")
    assert rows["not complete"] == ["2 unreadable, 2 cut, 1 being written"]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    metrics = page(report(folder)).table("return, mean")
    assert metrics["return, mean"][1] == "4"


def test_a_session_without_readable_files_still_is_a_page(page, tmp_path):
    (tmp_path / "episode_0000.mcap").write_bytes(b"nonsense")
    assert page(report(tmp_path)).table("task")["not complete"] == ["1 unreadable"]


def test_a_session_without_model_and_ticks(write, page):
    made = write(0, version="")
    found = page(report(made.path.parent))
    assert found.table("task")["versions"] == ["(no model)"]
    for said in ("No ticks were logged", "the safety was not logged", "nothing can disagree"):
        assert said in found.text


def test_numbers_that_are_none_are_dashes(write, page):
    nothing = [np.nan] * STEPS
    made = write(0, ticks=dict.fromkeys(["lateness", "previous_execution", "disagreement", "safety_state"], nothing))
    found = page(report(made.path.parent))
    assert "nan" not in found.text.lower()
    assert "never held" in found.text
    assert number(float("nan")) == number(None) == number(float("inf")) == percent(float("nan")) == "\u2013"


def test_one_command_is_enough(write, page):
    made = write(0, ticks={"lateness": [0.001], "disagreement": [0.1]}, steps=1)
    assert page(report(made.path.parent)).table("ticks logged")["ticks logged"] == ["1"]


def test_sessions_are_compared(write, page):
    one = write(0, session="one", ticks={}).path.parent
    two = write(1, session="two", ticks={}).path.parent
    write(2, session="two", ticks={})
    found = page(report(one, two))
    rows = found.tables[0]
    assert rows[0] == ["", "one", "two"]
    assert rows[1] == ["episodes", "1", "2"]


def test_versions_of_a_session_are_compared(write, page):
    for number_, version in enumerate(["v0001", "v0002", "v0002"]):
        folder = write(number_, version=version, ticks={}).path.parent
    rows = page(report(folder)).tables[0]
    assert rows[:2] == [["", "v0001", "v0002"], ["episodes", "1", "2"]]


def test_without_matplotlib_the_page_has_its_tables(write, page, monkeypatch):
    made = write(0, ticks={"lateness": [0.001] * STEPS})
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "mbrl_controller.reports.plots", raising=False)
    monkeypatch.delattr("mbrl_controller.reports.plots", raising=False)
    found = page(report(made.path.parent))
    assert "matplotlib is not installed" in found.text
    assert found.table("lateness")
    assert "svg" not in {tag for tag, _ in found.elements}


def test_pictures_stand_in_the_page(write, page):
    pytest.importorskip("matplotlib")
    made = write(0, ticks={"lateness": [0.001] * STEPS, "disagreement": [0.1] * STEPS})
    html = report(made.path.parent)
    assert [tag for tag, _ in page(html).elements].count("svg") == 4
    assert "<?xml" not in html


def test_a_peak_is_drawn_however_long_the_series():
    plots = pytest.importorskip("mbrl_controller.reports.plots")
    values = np.zeros(50_001)
    values[777] = 9.0
    values[778] = np.nan
    at, drawn = plots.thinned(values)
    assert len(at) == len(drawn) <= plots.MAX_POINTS
    assert drawn.max() == 9.0


def test_what_a_person_names_is_found(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / "..")
    old, new = (write(0, session=name, ticks={}).path for name in ("old", "new"))
    os.utime(old, (1, 1))
    assert find_session("valve", tmp_path) == new.parent
    assert find_session("valve/old", tmp_path) == old.parent
    assert find_session(str(old.parent), tmp_path) == old.parent
    with pytest.raises(EpisodeError, match="valve/new"):
        find_session("nothing", tmp_path)
    with pytest.raises(EpisodeError, match="is a file"):
        find_session(str(old), tmp_path)


def test_a_file_that_cannot_be_written_is_an_error_that_says_so(write, tmp_path):
    made = write(0, ticks={})
    (tmp_path / "file").touch()
    with pytest.raises(EpisodeError, match="cannot be written"):
        write_report([made.path.parent], tmp_path / "file" / "report.html")
    with pytest.raises(EpisodeError, match="no such folder"):
        write_report([tmp_path / "gone"], tmp_path / "report.html")


def test_a_digest_never_raises_for_what_is_in_a_file(tmp_path):
    path = tmp_path / "episode_0000.mcap"
    path.write_bytes(b"\x89MCAP0\r\n" + bytes(range(256)) * 20)
    assert read_digest(path).status == "unreadable"


def test_elements_escape_their_attributes():
    assert element("p", "<b>", cls='"x') == '<p class="&quot;x">&lt;b&gt;</p>'
