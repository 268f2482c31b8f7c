# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""pyarrow, or an error that says how to install it."""

from __future__ import annotations

from typing import Any

from mbrl_controller.base.errors import MbrlError
from mbrl_controller.base.extras import missing_extra


def load() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet; raises MbrlError where they are not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise MbrlError(missing_extra(error) or str(error)) from error
    return pyarrow, pyarrow.parquet
