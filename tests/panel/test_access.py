# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.panel import access
from mbrl_controller.panel.access import Access, read_token

TOKEN = "correct horse battery"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "[::1]", "localhost"])
def test_this_machine_alone_needs_no_token(host: str) -> None:
    assert not Access(host).asks


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "::", "robot.local", "127.0.0.1.example.org"])
def test_where_others_can_reach_it_a_token_is_needed(host: str) -> None:
    with pytest.raises(MbrlError, match="token"):
        Access(host)
    assert Access(host, TOKEN).asks


def test_a_token_opens_and_a_wrong_one_makes_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(access.time, "monotonic", lambda: now[0])
    found = Access("0.0.0.0", TOKEN)
    assert found.opens(f" {TOKEN} ") == ""
    assert "wrong" in found.opens("x")
    assert found.opens(TOKEN)  # not even the right one
    now[0] = access.PAUSE_S
    assert found.opens(TOKEN) == ""
    assert Access("127.0.0.1").opens("")  # where no token is, none opens


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", True),
        ("http://localhost:8080", "localhost:8080", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("http://evil.example", "127.0.0.1:8080", False),
        ("http://127.0.0.1:9999", "127.0.0.1:8080", False),
        ("http://evil.example:8080", "evil.example:8080", False),  # a foreign name for 127.0.0.1
        ("null", "127.0.0.1:8080", False),
        (None, "127.0.0.1:8080", False),
        ("http://127.0.0.1:8080", None, False),
    ],
)
def test_only_the_panels_own_page_may_steer(origin: str | None, host: str | None, own: bool) -> None:
    assert Access("127.0.0.1").is_own_page(origin, host) is own


def test_elsewhere_its_own_page_may_have_any_name() -> None:
    assert Access("0.0.0.0", TOKEN).is_own_page("https://robot.local:8080", "robot.local:8080")
    assert not Access("0.0.0.0", TOKEN).is_own_page("https://evil.example", "robot.local:8080")


def test_a_token_file_is_for_its_owner_and_not_too_short(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with pytest.raises(MbrlError, match="token file"):
        read_token(str(file))
    file.write_text(f"{TOKEN}\nanother line\n")
    file.chmod(0o644)
    with pytest.raises(MbrlError, match="chmod 600"):
        read_token(str(file))
    file.chmod(0o600)
    assert read_token(str(file)) == TOKEN
    file.write_text("short")
    with pytest.raises(MbrlError, match="characters"):
        read_token(str(file))
    file.write_bytes(b"\xff\xfe" * 20)
    with pytest.raises(MbrlError, match="token file"):
        read_token(str(file))
