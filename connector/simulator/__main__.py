"""`python -m connector.simulator --mail DIR [--port N]`: the simulator as a process of its own."""

import argparse
from pathlib import Path

from connector.simulator.exchange import simulate

parser = argparse.ArgumentParser(prog="connector.simulator", description=__doc__)
parser.add_argument("--mail", type=Path, required=True)
parser.add_argument("--port", type=int, default=0)
arguments = parser.parse_args()
simulate(arguments.mail, arguments.port)
