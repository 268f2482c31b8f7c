# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Model versions on disk: the registry, the description of a model, and loading one safely."""
