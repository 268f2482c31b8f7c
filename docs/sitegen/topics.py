# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Every topic and service of every node, with the valve's contract."""

from __future__ import annotations

from sitegen.node_graph import graphs
from sitegen.tables import code, table


def markdown() -> str:
    """A table of topics and one of services for each node."""
    parts = []
    for node, rows in graphs().items():
        topics = sorted((row for row in rows if row["kind"] != "service"), key=lambda row: (row["name"], row["kind"]))
        services = sorted((row for row in rows if row["kind"] == "service"), key=lambda row: row["name"])
        cells = dict.fromkeys((code(r["name"]), r["type"], r["kind"], r["qos"]) for r in topics)
        parts += [f"## {node}\n", table(("topic", "type", "direction", "QoS"), cells)]
        if services:
            parts.append(table(("service", "type"), [(code(r["name"]), r["type"]) for r in services]))
    return "\n".join(parts)
