#!/usr/bin/env python3
"""Runs the end-to-end scenarios: stock clients against a real process.

  run.py [-k PATTERN] [--target odradek|kafka] [--broker-cmd 'CMD'] [--plain-cmd 'CMD'] [--jobs N] [--keep] [--list]
  run.py --record [FILE...]   runs the golden transcripts against Apache Kafka and writes its answers into them

--target kafka runs the same scenarios against Apache Kafka itself, which shows that they ask for the right thing.
--broker-cmd is the command to which the properties file's name is added; --plain-cmd the same for the optimised build.
"""
import argparse
import importlib
import pathlib
import shlex
import signal
import sys
import time

import harness
import transcript


def main():
    build = harness.TOP / "build"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-k", dest="pattern", default="", help="only scenarios whose sentence matches")
    p.add_argument("--target", choices=["odradek", "kafka"], default="odradek")
    p.add_argument("--broker-cmd", default=f"{build}/dev/bin/odradek run", type=shlex.split)
    p.add_argument("--plain-cmd", default=f"{build}/release/bin/odradek run", type=shlex.split)
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--keep", action="store_true", help="keep the directories")
    p.add_argument("--list", action="store_true", help="name the scenarios")
    p.add_argument("--record", nargs="*", metavar="FILE", type=pathlib.Path)
    args = p.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so would every client we start

    for module in sorted((harness.HERE / "scenarios").glob("*.py")):
        importlib.import_module(f"scenarios.{module.stem}")
    if args.list:
        for function, *_ in harness.SCENARIOS:
            print(function.__name__.replace("_", " "))
        return 0

    began = time.monotonic()
    if args.record is not None:
        run = harness.Run("kafka", None, None)
        for path in args.record or sorted((harness.HERE / "golden").glob("*.txt")):
            broker = run.broker(run.directory / path.stem)
            try:
                transcript.record(path, broker.start(), run.tools)
            finally:
                broker.end()
            print(f"recorded {path.name}")
        run.finish()
        return 0

    run = harness.Run(args.target, args.broker_cmd, args.plain_cmd, args.keep)
    run.all(args.pattern, args.jobs)
    for sentence in run.failed:
        print(f"failed: {sentence}")
    print(f"e2e: {time.monotonic() - began:.0f} s")
    print(f"{run.passed} passed, {len(run.failed)} failed")
    return 1 if run.failed or not run.passed else 0


if __name__ == "__main__":
    sys.exit(main())
