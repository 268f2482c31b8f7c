# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Packages for hands of one's own, from templates (`templates/*.in`, of string.Template)."""
