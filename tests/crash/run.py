#!/usr/bin/env python3
"""The crash checker: stock clients live through kills of a real broker, then everything is compared with what they were told.

  run.py [--rounds N] [--seed S] [--target odradek|kafka] [--broker-cmd 'CMD'] [--self-test] [--minutes M] [--keep]

A round is a while of work, a fault, and every client's progress behind it. Faults: kill -9, kill -9 during recovery, SIGSTOP and
SIGCONT, SIGTERM as 6:2:1:1. A life is 25 rounds on one data directory, then everything is read and compared; life number L has
the seed S+L, so `--seed` with the seed of a life repeats its schedule (not the threads' timing). --self-test damages directories
on purpose first and must find each damage. --minutes runs new lives until the time is over.
Ends with "N passed, N failed": lives, and cases of the self-test.
"""
import argparse
import pathlib
import shlex
import shutil
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import damage  # noqa: E402
import harness  # noqa: E402
from life import ROUNDS, Figures, Life  # noqa: E402


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=100)
    p.add_argument("--minutes", type=float, help="instead of a number of rounds")
    p.add_argument("--seed", type=int, default=int(time.time()) % 1000000 * 100)
    p.add_argument("--target", choices=["odradek", "kafka"], default="odradek")
    p.add_argument("--broker-cmd", default=f"{harness.TOP}/build/release/bin/odradek run", type=shlex.split)
    p.add_argument("--self-test", action="store_true", help="first damage data directories and find each damage")
    p.add_argument("--keep", action="store_true", help="keep the directories")
    args = p.parse_args()

    run = harness.Run(args.target, args.broker_cmd, None, args.keep)
    began, passed, failed, figures = time.monotonic(), 0, 0, Figures()
    print(f"crash: {args.target}, seed {args.seed}, directories in {run.directory}", flush=True)
    try:
        if args.self_test:
            passed, failed = damage.self_test(run, args.seed)
            print(f"self-test: {time.monotonic() - began:.0f} s", flush=True)
        seed = args.seed
        while (time.monotonic() - began < args.minutes * 60) if args.minutes else figures.rounds < args.rounds:
            life, before = Life(run, seed, figures), (figures.rounds, time.monotonic())
            good = False
            try:
                good = life.live(ROUNDS if args.minutes else min(ROUNDS, args.rounds - figures.rounds))
            finally:
                if life.alive():
                    life.broker.process.kill()
                    life.broker.process.wait()
            kinds = ", ".join(sorted(life.world.names())) or "no anomaly"
            print(f"{'ok  ' if good else 'FAIL'} {time.monotonic() - before[1]:6.1f} s  seed {seed}: {figures.rounds - before[0]} rounds, "
                  f"{sum(map(len, life.world.acked.values()))} records acknowledged, {kinds}", flush=True)
            passed, failed, seed = passed + good, failed + (not good), seed + 1
            if good and not args.keep:
                shutil.rmtree(life.broker.directory, ignore_errors=True)
            elif not good:
                run.failed.append(f"seed {seed - 1}")
                if failed >= 10:
                    break
        figures.report()
        print(f"rounds survived: {figures.rounds}, {figures.records} records acknowledged, {time.monotonic() - began:.0f} s")
    finally:
        run.finish()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
