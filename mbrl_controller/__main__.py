"""`python -m mbrl_controller`: the command `mbrl` where it is not on PATH."""

from mbrl_controller.jobs.cli import main

if __name__ == "__main__":
    main()
