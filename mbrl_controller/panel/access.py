# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Who may steer: on this machine's own address whoever opens the page there, elsewhere who knows the token."""

from __future__ import annotations

import hmac
import ipaddress
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.resources import user_path

PAUSE_S = 1.0  # after a wrong token, for all who try
SHORTEST = 12  # characters


class Access:
    """Whether a browser may steer, or only look. Each method may be called on any thread."""

    def __init__(self, host: str, token: str = "") -> None:
        """Raises MbrlError for a host other than this machine's own without a token."""
        self.host, self._token = host, token
        self.is_local = is_loopback(host)
        if not self.is_local and not token:
            raise MbrlError(
                f"the panel is to be served on {host}, where others can reach it: give a token (--token-file FILE)"
            )
        self._lock = threading.Lock()
        self._closed_until = 0.0

    @property
    def asks(self) -> bool:
        """Whether a token is needed to steer."""
        return bool(self._token)

    def is_own_page(self, origin: str | None, host: str | None) -> bool:
        """Whether a connection comes from the panel's own page, by the headers of its request.

        Any page that a browser shows may connect to an address of this machine; its origin tells it. Programs send
        none, and are refused with it.
        """
        if not origin or not host:
            return False
        if urlsplit(origin).netloc.lower() != host.lower():
            return False
        # A name that a foreign server gives to 127.0.0.1 is a foreign page's.
        return not self.is_local or is_loopback(urlsplit(f"//{host}").hostname or "")

    def opens(self, token: str) -> str:
        """Empty if `token` is right, else why not."""
        with self._lock:
            if time.monotonic() < self._closed_until:
                return "too soon after a wrong token: wait a second"
            if self.asks and hmac.compare_digest(token.strip().encode(), self._token.encode()):
                return ""
            self._closed_until = time.monotonic() + PAUSE_S
            return "the token is wrong"


def is_loopback(host: str) -> bool:
    """Whether an address reaches this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_token(path: str) -> str:
    """The token in a file's first line; raises MbrlError where it cannot be read, is short, or others may read it."""
    file: Path = user_path(path)
    try:
        mode = file.stat().st_mode
        first = file.read_text(encoding="utf-8").strip().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise MbrlError(f"token file {path}: {error}") from error
    if mode & 0o077:
        raise MbrlError(f"token file {path}: others may read it; chmod 600 {path}")
    if len(first) < SHORTEST:
        raise MbrlError(f"token file {path}: its first line must have {SHORTEST} characters or more")
    return first
