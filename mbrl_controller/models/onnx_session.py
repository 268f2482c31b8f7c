# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""ONNX Runtime sessions for models, and the choice of kernels for 8-bit products.

x86 without VNNI multiplies unsigned by signed 8-bit numbers (U8S8) with an instruction that saturates: sums are wrong,
without any error. ONNX Runtime's U8U8 kernels are exact, and slower also on VNNI. They are used only on processors that
need them.
"""

from __future__ import annotations

import base64
import functools
import os
from typing import Literal, cast, get_args

import numpy as np
import onnxruntime as ort

from mbrl_controller.base.errors import MbrlError

Kernels = Literal["U8S8", "U8U8"]
Int8Mode = Literal["auto", "off", "U8S8", "U8U8"]
INT8_VARIABLE = "MBRL_INT8"

_FATAL_ONLY = 4
# An ONNX model with one MatMulInteger node: c[m, n] = a[m, k] b[k, n], unsigned by signed.
_PRODUCT = base64.b64decode(
    "CAg6YgoYCgFhCgFiEgFjIg1NYXRNdWxJbnRlZ2VyEgFnWhUKAWESEAoOCAISCgoDEgFtCgMSAWtaFQoBYhIQCg4IAxIKCgMSAWsKAxIBbmIVCgFj"
    "EhAKDggGEgoKAxIBbQoDEgFuQgQKABAN"
)


def open_session(content: bytes, threads: int = 1) -> ort.InferenceSession:
    """A CPU session for a model file's `content`; raises ONNX Runtime's errors. With one thread, timing varies least
    on a busy machine."""
    return _open(content, threads, int8_kernels())


def int8_mode() -> Int8Mode:
    """$MBRL_INT8: auto (unset), off (8-bit files are refused), or the kernels to use; raises MbrlError for others."""
    mode = os.environ.get(INT8_VARIABLE, "auto")
    if mode not in get_args(Int8Mode):
        raise MbrlError(f"{INT8_VARIABLE}={mode!r}: expected one of {', '.join(get_args(Int8Mode))}")
    return cast(Int8Mode, mode)


def int8_kernels() -> Kernels:
    """The kernels of 8-bit products in this process."""
    mode = int8_mode()
    if mode == "U8S8" or mode == "U8U8":
        return mode
    return "U8U8" if u8s8_saturates() else "U8S8"


@functools.cache
def u8s8_saturates() -> bool:
    """Whether this processor's U8S8 products saturate at 16 bit; it multiplies the largest numbers to find out."""
    session = _open(_PRODUCT, 1, "U8S8")
    depth = 64
    (found,) = session.run(["c"], {"a": np.full((8, depth), 255, np.uint8), "b": np.full((depth, 16), 127, np.int8)})
    return bool((found != depth * 255 * 127).any())


def _open(content: bytes, threads: int, kernels: Kernels) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _FATAL_ONLY
    # A thread that spins between ticks takes the core from the loop that publishes commands.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.x64quantprecision", "1" if kernels == "U8U8" else "0")
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
