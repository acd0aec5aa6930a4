"""`python -m gateway`: the `lockgate` command of a source tree that is not installed."""

from gateway.cli import main

if __name__ == "__main__":
    main(prog_name="lockgate")
