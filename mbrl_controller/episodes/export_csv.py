# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Segments as one CSV file. Numbers are written so that reading gives the same bits; what is not there is empty."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes import export_columns
from mbrl_controller.episodes.export_writer import ExportOptions, ExportReport, SegmentWriter
from mbrl_controller.episodes.segments import Segment

FILE = "episodes.csv"


class CsvWriter(SegmentWriter):
    """`episodes.csv`, and `columns.json` beside it."""

    needs_goals = False

    def __init__(self, folder: Path, contract: RobotContract, options: ExportOptions) -> None:
        self._folder, self._contract = folder, contract
        self._columns = export_columns.columns(contract)
        self._file = (folder / FILE).open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        self._rows.writerow([column.name for column in self._columns])
        self._segments = 0

    def add(self, segment: Segment) -> None:
        values = export_columns.table(segment, self._segments)
        self._segments += 1
        lists = [column if isinstance(column, list) else column.tolist() for column in values]
        for row in zip(*lists, strict=True):
            self._rows.writerow(["" if isinstance(x, float) and math.isnan(x) else x for x in row])

    def close(self, report: ExportReport) -> list[str]:
        self._file.close()
        about = export_columns.describe(self._contract, self._columns, report)
        (self._folder / export_columns.TABLE).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        return [f"read it with pandas.read_csv('{report.folder / FILE}')"]

    def abandon(self) -> None:
        self._file.close()
