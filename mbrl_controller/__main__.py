# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""`python -m mbrl_controller`: the command `mbrl` where it is not on PATH."""

from mbrl_controller.cli.main import main

if __name__ == "__main__":
    main()
