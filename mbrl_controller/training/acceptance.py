# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Checks that a new version must pass: against its parent, and of its 8-bit file against the fp32 one."""

from __future__ import annotations

from dataclasses import dataclass, field

from mbrl_controller.dynamics.validation import JUDGED

MIN_SHARE = 0.5  # of the parent's data: validation episodes are new ones, on which a model of little else looks good
SLACK = 1.02  # a version is worse if a validation error is more than 2 % above its parent's

# The shipped models lie at .99, .94, .98, 1.0 and 1.01 of the metrics below. With inputs cut at 2 instead of 5 standard
# deviations Baoding lies at .91, .72, .95, .70 and 1.24, the valve at .99, .90, .95, .92 and 1.06: one limit suffices.
MIN_RANK = 0.95  # median of Spearman's correlation of the candidates' returns: PDDM weighs all of them
MIN_ELITES = 0.8  # median of the share of the best tenth that both name: they carry nearly all of the weight
MIN_DISAGREEMENT = 0.9  # correlations of the members' disagreement: the model must stay unsure in the same places
MAX_TAIL_RATIO = 1.5  # of the disagreement's 99.9 % quantiles, either way: the risk term changes by this factor
MAX_ERROR_RATIO = 1.05  # of the validation errors by which versions are compared


@dataclass(frozen=True)
class AcceptanceResult:
    """Which checks failed, in words, empty if none did; and the metrics that were checked."""

    failed_checks: str
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failed_checks


def worse_errors(metrics: dict[str, float], baseline: dict[str, float]) -> str:
    """Which validation errors in `metrics` are worse than in `baseline`, in words; empty if none is."""
    worse = [
        f"{name} {metrics[name]:.4g} above {baseline[name]:.4g}"
        for name in JUDGED
        if name in baseline and not metrics[name] <= SLACK * baseline[name]
    ]
    return ", ".join(worse)


def too_little_data(transitions: int, before: int) -> str:
    """Why a fresh model of `transitions` must not follow one of `before`, in words; empty if it may.

    It has never seen what the validation episodes do not show: other directions, other grips.
    """
    if transitions >= MIN_SHARE * before:
        return ""
    return f"learnt from {transitions} transitions, the version before from {before}"


def int8_failed_checks(metrics: dict[str, float]) -> str:
    """Which metrics of an 8-bit file miss their limits, in words with number and limit; empty if none does."""
    lowest = min(metrics["disagreement_spearman"], metrics["disagreement_pearson"])
    rank, elites, ratio = metrics["rank_median"], metrics["elite_median"], metrics["disagreement_p999_ratio"]
    checks = [
        (rank >= MIN_RANK, f"ranks of the candidates correlate by {rank:.3f} (at least {MIN_RANK} needed)"),
        (elites >= MIN_ELITES, f"elites agree in {elites:.2f} of cases (at least {MIN_ELITES} needed)"),
        (
            lowest >= MIN_DISAGREEMENT,
            f"disagreement correlates by {lowest:.2f} (at least {MIN_DISAGREEMENT} needed)",
        ),
        (
            1 / MAX_TAIL_RATIO <= ratio <= MAX_TAIL_RATIO,
            f"largest disagreements are {ratio:.2f} of what they were "
            f"({1 / MAX_TAIL_RATIO:.2f} to {MAX_TAIL_RATIO} allowed)",
        ),
    ]
    for name in JUDGED:
        error = metrics[f"{name}_ratio"]
        text = f"{name} is {error:.2f} of what it was (at most {MAX_ERROR_RATIO} allowed)"
        checks.append((error <= MAX_ERROR_RATIO, text))
    return "; ".join(text for passed, text in checks if not passed)  # NaN fails
