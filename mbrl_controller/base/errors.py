# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Errors a person can act on.

Everything that is raised on bad input (files, messages, parameters) derives from `MbrlError`: its text says
what is wrong and where, and the command line and the nodes print it without a traceback.
"""

from __future__ import annotations


class MbrlError(Exception):
    """Base of every error whose message is meant for a person."""


class ContractError(MbrlError):
    """A robot contract that cannot be used: unknown task, missing joint, bad limits."""


class MessageError(MbrlError):
    """A message that cannot become part of a state: wrong size, missing joint, non-finite value."""


class ModelError(MbrlError):
    """A model file that is absent, damaged, or made for another task, robot or control period."""


class GoalError(MbrlError):
    """A goal of the wrong size or outside the range the task accepts."""


class RegistryError(MbrlError):
    """A model registry that lacks the version asked for, or that cannot be written."""


class EpisodeError(MbrlError):
    """An episode file that cannot be read, or a log folder that cannot be written."""


class DatasetError(MbrlError):
    """Too little, or inconsistent, training data."""


def one_line(error: Exception) -> str:
    """The text of an error that a library raised, on one line and not too long."""
    return " ".join(str(error).split())[:300]
