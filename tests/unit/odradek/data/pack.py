#!/usr/bin/env python3
"""Records what Apache Kafka's kafka-dump-log prints, for test_dump_log.c.

    pack.py OUT.gz TOOL DIR     DIR holds files of log directories and `cases`: a line for each run, its arguments; names begin with /golden/
    pack.py OUT.gz TOOL         the same runs anew, on the files that OUT.gz has
TOOL is run as `TOOL dump-log ARGUMENTS` and has to speak UTF-8; it may change the files, so each run has its own copy.

OUT.gz is gzip of: length of a name (2 bytes, big-endian), name, size (4 bytes), content, and so on. Names are /golden/… for files, and
N/args, N/out, N/err, N/code of the runs."""
import gzip, os, shlex, struct, subprocess, sys, tempfile


def unpack(path):
    data, at, files = gzip.open(path).read(), 0, {}
    while at < len(data):
        n = struct.unpack_from('>H', data, at)[0]
        name = data[at + 2:at + 2 + n].decode()
        size = struct.unpack_from('>I', data, at + 2 + n)[0]
        files[name] = data[at + 6 + n:at + 6 + n + size]
        at += 6 + n + size
    return files


def collect(top):
    files = {}
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            files['/golden/' + os.path.relpath(path, top)] = open(path, 'rb').read()
    cases = files.pop('/golden/cases').decode().splitlines()
    return files, [line for line in cases if line.strip()]


def run(tool, line, files):
    with tempfile.TemporaryDirectory() as top:
        for name, content in files.items():
            os.makedirs(os.path.dirname(top + name), exist_ok=True)
            open(top + name, 'wb').write(content)
        args = [a.replace('/golden/', top + '/golden/') for a in shlex.split(line)]
        p = subprocess.run([tool, 'dump-log'] + args, capture_output=True)
        out, err = (text.replace(top.encode(), b'') for text in (p.stdout, p.stderr))
        return out, b''.join(x for x in err.splitlines(True) if not x.startswith(b'SLF4J')), p.returncode


target, tool = sys.argv[1:3]
if len(sys.argv) > 3:
    files, cases = collect(sys.argv[3])
else:
    old = unpack(target)
    files = {k: v for k, v in old.items() if k.startswith('/golden/')}
    cases = [old['%d/args' % i].decode() for i in range(sum(k.endswith('/args') for k in old))]
packed = dict(sorted(files.items()))
for i, line in enumerate(cases):
    out, err, code = run(tool, line, files)
    print(code, len(out), len(err), line)
    packed.update({'%d/args' % i: line.encode(), '%d/out' % i: out, '%d/err' % i: err, '%d/code' % i: b'%d' % code})
data = b''.join(struct.pack('>H', len(k.encode())) + k.encode() + struct.pack('>I', len(v)) + v for k, v in packed.items())
with open(target, 'wb') as f:
    f.write(gzip.compress(data, 9, mtime=0))
print(len(files), 'files,', len(cases), 'runs,', os.path.getsize(target), 'bytes')
