# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Model-predictive control of a dexterous hand with a learned ensemble of dynamics models, over ROS 2.

Rooms, from the ground up; each imports only from itself and from those above it in this list:

    base        errors, files, processes, units, option overrides, plugins
    tasks       reward, goals and failure of each task; state and action vectors (`spaces`)
    models      versions on disk (`registry`), loading one safely (`loading`), running it (`onnx_ensemble`)
    contract    which topics and joints make up a state (`contract`); messages to vectors (`state_assembly`)
    planning    planners (`catalog`; `pddm` is the soft mean), their noise, the objective (`objective`, `risk`)
    control     one tick without ROS: `core` plans, `limits` and `safety` bound the command, `standing` latches stops,
                `session` steps, `episode_manager` begins and ends episodes, `loop` keeps the rate
    episodes    MCAP logs: `recorder` and `writer`, `reader`; `transitions` pairs states with commands
    sharing     episodes and versions between machines, over storage with a URL: `passes`
    simulation  MuJoCo scenes and sensors; the simulator as a planning model (`oracle`)
    scaffold    `new_package`: the files of a package for a hand of one's own
    dynamics    the ensemble in torch: `ensemble`, `loss`, `trainer`, `export` to ONNX
    nodes       ROS 2 nodes: `controller`, `logger`, `sim`
    bringup     what the launch files share
    rollouts    simulated episodes: `collect`, `evaluate`, `render`; Gymnasium `environments`
    training    `retrain`: from logged episodes to a registered version; `sac`: an agent without a planner
    stack       the nodes as child processes: `demo`, `soak`
    learning    `run`: rounds of collecting, training and evaluating; `policy_run`: a policy without a planner
    reports     `report`: a page on logged sessions
    replay      `view`: logged episodes again in the browser; `recording`, `moments`, `outlook` know no browser
    panel       a page in the browser that shows a running hand and steers it: a `node` in a process of its own
    benchmark   measurements
    cli         the `mbrl` command

State to command: `nodes.controller`, `control.session`, `control.core`, `planning`, `control.safety`, and back.
Transition to model: `nodes.logger`, `episodes`, `training.retrain`, `models.registry`. See docs/architecture.md.
"""

__version__ = "0.2.0"
