# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Logs written by version 0.1 (`logs_0.1/`) are read as they were then, cut ones too."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from mbrl_controller.base.resources import share_dir
from mbrl_controller.contract.contract import load_contract
from mbrl_controller.episodes.reader import read_episode, read_info
from mbrl_controller.episodes.recovery import recover
from mbrl_controller.episodes.transitions import transitions

LOGS = Path(__file__).parent / "logs_0.1"
CLAW = load_contract(share_dir() / "config" / "claw_valve.yaml")


def test_a_log_of_collect_gives_the_same_transitions() -> None:
    episode = read_episode(LOGS / "lockstep.mcap", CLAW)
    assert episode.complete
    assert episode.key == "claw/old/0001"
    assert (episode.info.seed, episode.info.source, episode.info.model_version) == (3, "lockstep", "v0001")
    assert episode.info.extra == {"policy": "controller", "exploration": "0.0", "sim": "nominal", "precision": "int8"}
    assert (len(episode.goals), sorted(episode.ticks)) == (9, ["disagreement", "execution_s", "predicted_return"])
    assert [event["event"] for event in episode.events] == ["begin", "end"]
    found = transitions(episode)
    values = b"".join(np.ascontiguousarray(v).tobytes() for v in (found.state, found.action, found.next_state))
    assert (len(found), hashlib.sha256(values).hexdigest()[:16]) == (8, "761b0c97affbad74")
    assert found.skipped == {}


def test_a_log_of_the_logger_says_what_may_not_be_learnt_from() -> None:
    episode = read_episode(LOGS / "logger.mcap", CLAW)
    assert (episode.info.source, episode.info.model_version, len(episode.commands)) == ("logger", "v0007", 6)
    assert episode.contract.digest == "2048a2efc2471075c842128448059e241d961780ceee2677eb3eb1ebcec728d1"  # the file's
    assert (episode.begin_ns, episode.end_ns) == (1_000_000_000, 1_600_000_000)
    assert episode.ticks["doubt"].tolist() == [0, 0, 0, 0, 0, 1]
    assert transitions(episode).skipped == {"nobody took the commands": 6}
    assert dict(episode.closed) == {"reason": "time-out", "messages": "28", "dropped": "0"}


def test_a_cut_log_is_recovered(tmp_path: Path) -> None:
    cut = tmp_path / "episode_0001.mcap.part"
    content = (LOGS / "lockstep.mcap").read_bytes()
    cut.write_bytes(content[: content.index(b"\x0f\x04\x00\x00\x00\x00\x00\x00\x00")])  # before the end of the data
    info = read_info(cut)
    recovery = recover(cut)
    assert (recovery.messages, recovery.was_complete) == (45, False)
    assert read_info(recovery.path) == info
    assert len(transitions(read_episode(recovery.path))) == 8
