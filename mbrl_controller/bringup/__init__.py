# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What the launch files share: the nodes of one hand, the order they start in and what their ends lead to.

Start: the logger is configured and activated, then the controller, so that the first transition is logged. This happens
once. Whatever comes of it, no later transition of a node, by whomever, makes the launch ask for another.
Crash of the logger: a new one is started and control goes on. End of the controller: no more commands, which the hand's
own watchdog turns into a hold; the hand's logger and sim are ended, and nothing else of the launch. End of the sim: the
controller is stopped first, then the logger.
A hand takes its place (namespace, remaps, parameters, environment) from where it is included, also for nodes that are
started later; it leaves nothing behind for what is launched after it.
"""
