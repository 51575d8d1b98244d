"""See the package's docstring. Exit status 1 where there is a difference."""

import argparse
import sys

import interop.kdiff
from interop.kdiff.randoms import RandomRun
from interop.kdiff.run import Run, Side
from interop.kdiff.scenarios import SCENARIOS


def main():
    parser = argparse.ArgumentParser(description=interop.kdiff.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--only", default="", help="APIs, separated by commas")
    parser.add_argument("--random", type=int, default=0, metavar="COUNT")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=40, help="how many differences to print")
    parser.add_argument("--timeout", type=float, default=6)
    parser.add_argument("--complete", action="store_true", help="an API that ours does not offer is a difference too")
    args = parser.parse_args()
    only = set(filter(None, args.only.split(",")))
    run = Run(Side("ours", args.ours, args.timeout), Side("kafka", args.kafka, args.timeout), args.show)
    run.compare_versions(args.complete, only)
    if args.random:
        RandomRun(run, args.seed, only).go(args.random)
    else:
        for scenario in SCENARIOS:
            run.scenario(scenario, only)
    print(run.summary())
    sys.exit(1 if run.bad else 0)


if __name__ == "__main__":
    main()
