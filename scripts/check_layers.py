#!/usr/bin/env python3
"""Checks that #include arrows between the layers go one way.

    base <- {config, security, wire} <- storage <- meta <- coord <- broker <- {net, admin} <- odradek

Sources in src/<layer>/ may include <odradek/X.h> where X belongs to the layer itself or to one below, and "x.h" of their own folder.
Public headers in include/odradek/ follow the same order. libuv is seen by src/base/loop_uv.c and src/net/ only.

usage: check_layers.py [ROOT]; prints what is wrong and ends with 1, or is silent and ends with 0.
"""
import re
import sys
from pathlib import Path

RANKS = [["base"], ["config", "security", "wire"], ["storage"], ["meta"], ["coord"], ["broker"], ["net", "admin"], ["odradek"]]
RANK = {layer: rank for rank, layers in enumerate(RANKS) for layer in layers}
# Public headers that do not bear their layer's name.
HEADERS = {
    "err_list": "base", "metric_list": "base", "kafka_errors": "base",
    "config_list": "config",
    "batch": "wire",
}
GENERATED = {"wire_msgs.h": "wire"}  # made at build time, part of that layer's public header
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def layer_of_header(name):
    return name if name in RANK else HEADERS.get(name)


def may_include(layer, other):
    return other == layer or RANK[other] < RANK[layer]


def check_file(root, path, layer):
    private = path.is_relative_to(root / "src")
    for kind, name in INCLUDE.findall(path.read_text()):
        if name.startswith("odradek/"):
            stem = name.removeprefix("odradek/").removesuffix(".h")
            other = layer_of_header(stem)
            if other is None:
                yield f"<{name}> belongs to no layer; name it in {Path(__file__).name}"
            elif layer == "odradek" and not private:
                yield f"<{name}>: the embedding API stands alone"
            elif not may_include(layer, other):
                yield f"<{name}>: {layer} may not look at {other}"
        elif name == "uv.h" or name.startswith("uv/"):
            if not (private and (layer == "net" or path == root / "src/base/loop_uv.c")):
                yield f"<{name}>: libuv stays in src/base/loop_uv.c and src/net/"
        elif name in GENERATED:
            if GENERATED[name] != layer:
                yield f"{name}: is seen through {GENERATED[name]}'s public header"
        elif kind == '"':
            home = root / "src" / layer
            found = [d / name for d in (path.parent, home) if (d / name).is_file()]
            if not private:
                yield f'"{name}": a public header includes no private one'
            elif not found:
                yield f'"{name}": not in src/{layer}/'
            elif not found[0].resolve().is_relative_to(home.resolve()):
                yield f'"{name}": a private header of another layer'


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent).resolve()
    bad = 0

    def report(path, what):
        nonlocal bad
        bad += 1
        print(f"{path.relative_to(root)}: {what}")

    for path in sorted((root / "include/odradek").glob("*")):
        layer = layer_of_header(path.stem)
        if layer is None:
            report(path, f"belongs to no layer; name it in {Path(__file__).name}")
            continue
        for what in check_file(root, path, layer):
            report(path, what)
    for folder in sorted(p for p in (root / "src").iterdir() if p.is_dir()):
        if folder.name not in RANK:
            report(folder, "is no layer")
            continue
        for path in sorted(folder.rglob("*.[ch]")):
            for what in check_file(root, path, folder.name):
                report(path, what)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
