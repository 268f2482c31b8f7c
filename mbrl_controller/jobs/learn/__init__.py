# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The learning loop: collect, train, evaluate, again; on disk, so that it can be interrupted and taken up again."""
