# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0
