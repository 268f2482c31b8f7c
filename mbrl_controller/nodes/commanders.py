"""Who else commands the hand: two controllers on one command topic would fight over it."""

from __future__ import annotations

from rclpy.node import Node


class Commanders:
    """Publishers on a command topic, as far as discovery knows them."""

    def __init__(self, node: Node, topic: str) -> None:
        self._node = node
        self.topic = str(node.resolve_topic_name(topic))

    def others(self, own: bool) -> list[str]:
        """Names of the other nodes; `own`: this node has a publisher there too. Cheap while there is none."""
        if self._node.count_publishers(self.topic) <= own:
            return []
        mine = (self._node.get_name(), self._node.get_namespace())
        others = []
        for info in self._node.get_publishers_info_by_topic(self.topic):
            if own and (info.node_name, info.node_namespace) == mine:
                own = False  # a second one of this very name is another process
            elif info.node_name.startswith("_NODE_NAME_UNKNOWN"):
                others.append("another node")  # its name is still being discovered
            else:
                others.append(f"{info.node_namespace.rstrip('/')}/{info.node_name}")
        return sorted(others)

    def contested(self, own: bool) -> str:
        """Why this node must not command; empty if it is alone."""
        others = self.others(own)
        return f"{self.topic} is already commanded by {', '.join(others)}: one hand, one master" if others else ""
