"""Other brokers that speak Kafka's protocol from one process, built from their registries where the toolchains are.

Both keep their data in memory here, so they stand beside Odradek's "cache" side, where nobody waits for a disk.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import time

import brokers
import harness

BUILD = brokers.TOP / "build/bench"
NISSHI = "0.8.0"  # needs a Rust newer than 1.95: a nightly one, where the stable one is older


def kfake(host):
    """franz-go's kfake: a mock cluster for tests, in Go."""
    if shutil.which("go") is None:
        return None
    binary = BUILD / "kfake"
    subprocess.run(["go", "build", "-o", str(binary), "."], cwd=brokers.TOP / "tests/bench/kfake", check=True)
    return lambda port: [str(binary), str(port)]


def nisshi(host):
    """A stateless broker in Rust, with its storage in memory. Compiling it takes half an hour."""
    binary = BUILD / "bin/nisshi"
    if not binary.exists():
        if shutil.which("cargo") is None:
            return None
        install = ["install", "nisshi", "--version", NISSHI, "--locked", "--no-default-features", "--features", "dynostore", "--root", str(BUILD)]
        if subprocess.run(["cargo", *install]).returncode != 0:
            subprocess.run(["cargo", "+nightly", *install], check=True)
    return lambda port: [str(binary), "broker", "--storage-engine", "memory://nisshi/", "--silent", "--kafka-listener-url", f"tcp://127.0.0.1:{port}",
                         "--kafka-advertised-listener-url", f"tcp://127.0.0.1:{port}"]


def start(host):
    """{name: Target} of those that could be built and answer."""
    BUILD.mkdir(parents=True, exist_ok=True)
    targets = {}
    for build in (kfake, nisshi):
        name = build.__name__
        try:
            argv = build(host)
        except subprocess.CalledProcessError as e:
            print(f"bench: {name} cannot be built here: {e}", file=sys.stderr)
            continue
        if argv is None:
            print(f"bench: {name}: no toolchain for it here", file=sys.stderr)
            continue
        target = Rival(name, argv, host.directory / name)
        host.started.append(target)
        if target.answers():
            targets[name] = target
        else:
            print(f"bench: {name} does not answer: {target.log.read_text()[-500:]}", file=sys.stderr)
    return targets


class Rival(brokers.Target):
    def __init__(self, name, argv, directory):
        self.port = harness.free_port()
        super().__init__(name, ("127.0.0.1", self.port))
        directory.mkdir()
        self.log = directory / "log"
        with open(self.log, "wb") as out:
            self.running = subprocess.Popen(argv(self.port), stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=pathlib.Path(directory),
                                            env={**os.environ, "RUST_LOG": "error"})
        self.pid = self.running.pid

    def answers(self):
        for _ in range(200):
            try:
                with self.connect() as c:
                    c.metadata([])
                    return True
            except (OSError, brokers.raw.Closed):
                if self.running.poll() is not None:
                    return False
                time.sleep(0.05)
        return False

    def end(self):
        self.running.terminate()
        try:
            self.running.wait(10)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()
