# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""ONNX Runtime sessions as models are served by, and which kernels multiply their 8-bit numbers.

x86 without VNNI multiplies 8-bit numbers of mixed sign (U8S8) by an instruction that saturates: sums come out wrong and
nothing says so. ONNX Runtime can use U8U8 kernels instead, which are exact and a little slower. They are chosen only
where this processor needs them, since the option slows down VNNI as well.
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
    """A session for a model file's `content` on the CPU; raises whatever ONNX Runtime does. One thread keeps its pace
    best when the machine is busy with other things."""
    return _open(content, threads, int8_kernels())


def int8_mode() -> Int8Mode:
    """$MBRL_INT8: auto (unset), off (8-bit files are refused), or the kernels to use; raises MbrlError for others."""
    mode = os.environ.get(INT8_VARIABLE, "auto")
    if mode not in get_args(Int8Mode):
        raise MbrlError(f"{INT8_VARIABLE}={mode!r}: expected one of {', '.join(get_args(Int8Mode))}")
    return cast(Int8Mode, mode)


def int8_kernels() -> Kernels:
    """The kernels that 8-bit products run on in this process."""
    mode = int8_mode()
    if mode == "U8S8" or mode == "U8U8":
        return mode
    return "U8U8" if u8s8_saturates() else "U8S8"


@functools.cache
def u8s8_saturates() -> bool:
    """Whether this processor's products of unsigned with signed 8-bit numbers are cut at 16 bit: found by multiplying
    the largest."""
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
