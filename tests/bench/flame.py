"""Where the time goes: the broker's stacks while it is under one load, as a flame graph and as a list of parts.

Needs `perf` and a build with frame pointers (build/flame, which scripts/bench makes for this).
"""
import collections
import json
import re
import shutil
import subprocess
import sys

import brokers
import chart

BINARY = brokers.TOP / "build/flame/bin/odradek"
LOADS = {"produce": ("produce @ -c 16 -d 5 --partitions 6", None),
         "produce-safe": ("produce @ -c 16 -d 5 --partitions 6 --acks all", None),
         "bulk": ("produce @ -c 6 -d 2 --partitions 6 --records 64 --size 1024", None),
         "fetch": ("fetch @ -c 16 -d 4 --partitions 6 --max-bytes 1024 --step 7", "produce @ -c 6 -d 5 --partitions 6"),
         "fetch-large": ("fetch @ -c 6 -d 2 --partitions 6 --step 960", "produce @ -c 6 -d 2 --partitions 6 --records 64 --size 1024")}

# Beneath a system call everything is its own; elsewhere the innermost frame that is known decides.
KERNEL = [("sending: sendfile", r"do_sendfile|do_splice|splice_"), ("sending: socket writes", r"sock_write_iter|sock_sendmsg|__sys_sendmsg|__sys_sendto|tcp_sendmsg"),
          ("reading: socket reads", r"sock_read_iter|sock_recvmsg|__sys_recvmsg|__sys_recvfrom|tcp_recvmsg"),
          ("files: syncs", r"fdatasync|fsync|vfs_fsync"), ("waking: eventfd, futex", r"eventfd|futex"),
          ("files: writes", r"vfs_iter_write|vfs_writev|do_pwritev|ksys_pwrite|ext4_|xfs_|btrfs_"),
          ("files: reads", r"vfs_read|do_preadv|ksys_pread|filemap_read"), ("waiting: epoll", r"epoll_wait|ep_poll|epoll_ctl"),
          ("other of the kernel", r"entry_SYSCALL|do_syscall_64|^asm_")]
OURS = [("checksums", r"crc32"), ("batches: checking, offsets", r"^batch_|^record_"), ("wire: decode, encode", r"^wire_|^rd_|^wr_|^(de|en)c_|^codec|^size_"),
        ("storage", r"^plog_|^append|^seg_|^oidx_|^tidx_|^pstate|^flush|^commit|^journal|^dirs?_|^logs?_"), ("coordination", r"^group|^txn|^offsets_"),
        ("requests", r"^req|^produce|^fetch|^metadata|^api_|^broker|^image|^client_|^quota|^session"),
        ("connections", r"^conn|^listen|^send_|^net_|^frame|^out_"), ("memory", r"^mem_|^arena_|malloc|^_int_|free$|^bytes_"),
        ("loop, timers", r"^loop|^uv|^timer|^wake")]
COMPILED = [[(name, re.compile(pattern)) for name, pattern in parts] for parts in (KERNEL, OURS)]


def record(pid, seconds, file):
    p = subprocess.run(["perf", "record", "-q", "-F", "1999", "--call-graph", "fp", "-p", str(pid), "-o", str(file), "--", "sleep", str(seconds)],
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if p.returncode != 0:
        sys.exit(f"perf does not work here: {p.stderr.strip()}")


def stacks_of(file):
    """{(frame, …): samples}, the outermost first; and where each frame comes from."""
    text = subprocess.run(["perf", "script", "-i", str(file), "-F", "comm,ip,sym,dso"], check=True, capture_output=True, text=True, errors="replace").stdout
    stacks, origin, stack, comm = collections.Counter(), {}, [], ""
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if stack:
                stacks[(comm, *reversed(stack))] += 1
            stack = []
        elif not line[0].isspace():
            comm = line.strip()
            origin.setdefault(comm, "library")
        else:
            frame = re.match(r"\s*[0-9a-f]+ (.*) \((.*)\)$", line)
            if not frame:
                continue
            name, where = frame[1].split("+")[0], frame[2]
            if name == "[unknown]":
                name = "?"
            origin[name] = "kernel" if "kernel" in where or where.startswith("[") else "odradek" if "odradek" in where else "library"
            stack.append(name)
    return stacks, origin


def part_of(stack):
    kernel, ours = COMPILED
    for name, pattern in kernel:
        if any(pattern.search(frame) for frame in stack[1:]):
            return name
    for frame in reversed(stack[1:]):
        for name, pattern in ours:
            if pattern.search(frame):
                return name
    return "the rest"


def run(bench, which, out, seconds):
    if shutil.which("perf") is None:
        sys.exit("no perf here (Debian: apt-get install linux-perf)")
    flows, fill = LOADS[which]
    properties = {} if which == "produce-safe" else {"log.flush.interval.messages": brokers.NEVER}
    broker = bench.host.make("odradek", properties)
    broker.start([str(BINARY), "run", str(broker.file)])
    target = bench.host.target("odradek", broker)
    target.create("flame", 6)
    if fill:
        bench.load(target, fill, "flame", seconds=1)
    load = [str(brokers.TOOLS / "load"), "--broker", target.address, "--pid", str(target.pid), "--warm", "1", "--seconds", str(seconds + 1),
            *("--topic=flame" if w == "@" else w for w in flows.split())]
    p = subprocess.Popen(load, stdout=subprocess.PIPE, text=True)
    file = bench.host.directory / "perf.data"
    try:
        subprocess.run(["sleep", "1"], check=True)
        record(target.pid, seconds, file)
        said = p.communicate(timeout=60)[0]
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()
    stacks, origin = stacks_of(file)
    total = sum(stacks.values())
    if not total:
        sys.exit("perf took no samples here")
    svg = out / f"flame-{which}.svg"
    svg.write_text(chart.flame(f"{flows.replace(' @', '')}: {total} samples", stacks, lambda f: origin.get(f, "library")))
    result = json.loads(said)
    each = result["broker_cpu_s"] * 1e6 / result["flows"][0]["answers"]
    parts, leaves = collections.Counter(), collections.Counter()
    for stack, n in stacks.items():
        parts[part_of(stack)] += n
        leaves[stack[-1]] += n
    print(f"{which}: {result['flows'][0]['per_s']:,.0f} requests/s, {each:.2f} µs of CPU each; {svg}\n\n| part | of the time | µs a request |\n|---|---|---|")
    for name, n in parts.most_common():
        print(f"| {name} | {n / total * 100:.1f} % | {n / total * each:.3f} |")
    print("\n| function, by itself | of the time |\n|---|---|")
    for name, n in leaves.most_common(20):
        print(f"| {name} | {n / total * 100:.1f} % |")
