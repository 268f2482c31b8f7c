# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Model versions on disk (`registry`, `card`), a model's description (`spec`), and safe loading (`loading`)."""
