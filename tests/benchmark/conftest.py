# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Registries of these tests hold what is put into them, whatever the package ships."""

from ..trained_valve import no_shipped_models  # noqa: F401 (a fixture that all tests of the folder use)
