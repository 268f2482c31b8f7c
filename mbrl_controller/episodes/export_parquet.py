# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Segments as one Parquet file, a row group each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mbrl_controller.contract.contract import RobotContract
from mbrl_controller.episodes import export_columns, parquet_files
from mbrl_controller.episodes.export_writer import ExportOptions, ExportReport, SegmentWriter
from mbrl_controller.episodes.segments import Segment

FILE = "episodes.parquet"


class ParquetWriter(SegmentWriter):
    """`episodes.parquet`, whose fields carry their units, and `columns.json` beside it."""

    needs_goals = False

    def __init__(self, folder: Path, contract: RobotContract, options: ExportOptions) -> None:
        self._arrow, parquet = parquet_files.load()
        self._folder, self._contract = folder, contract
        self._columns = export_columns.columns(contract)
        self._types = {
            "text": self._arrow.string(),
            "int": self._arrow.int64(),
            "float": self._arrow.float64(),
            "bool": self._arrow.bool_(),
        }
        self._schema = self._arrow.schema([
            self._arrow.field(c.name, self._types[c.kind], metadata={"unit": c.unit, "what": c.what})
            for c in self._columns
        ])  # fmt: skip
        self._file = parquet.ParquetWriter(folder / FILE, self._schema, compression="zstd")
        self._segments = 0

    def add(self, segment: Segment) -> None:
        values = export_columns.table(segment, self._segments)
        self._segments += 1
        arrays = []
        for column, data in zip(self._columns, values, strict=True):
            missing = np.isnan(data) if column.kind == "float" else None
            arrays.append(self._arrow.array(data, type=self._types[column.kind], mask=missing))
        self._file.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def close(self, report: ExportReport) -> list[str]:
        self._file.close()
        about = export_columns.describe(self._contract, self._columns, report)
        (self._folder / export_columns.TABLE).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        return [f"read it with pandas.read_parquet('{report.folder / FILE}')"]

    def abandon(self) -> None:
        self._file.close()
