"""Measurements of the planner as it is served: `mbrl benchmark planner`. One part a file."""
