#!/usr/bin/env python3
"""Turns the message schema (src/wire/schema/**/*.msg) into C: structs, defaults and descriptor tables for the codec engine.

    wiregen.py OUTDIR FILE.msg...     writes OUTDIR/wire_msgs.h, wire_msgs.c, wire_tables.c

The language
------------
A file holds messages; `#` starts a comment; indentation (4 blanks) nests.

    request ProduceRequest key 0 versions 3-13 flexible 9+ on broker
        TransactionalId    string?                       = null
        TopicData          []TopicProduceData
            Name           string                  0-12  ignorable
            PartitionData  []PartitionProduceData
                Index      int32
                Records    records?
        struct Shared
            ...

A message line: its kind, Kafka's name, then in this order what applies of
    key N          API key, record type or coordinator record type
    versions V     the versions there are, or `none`
    flexible V     those with compact lengths and tagged fields (KIP-482)
    unstable N     the latest version is not yet final from N on
    on L...        listeners that serve the API
Kinds: request response header data metadata remote-log group-key group-value txn-key txn-value share-key share-value.

A field line: name, type, then in this order what applies of
    V              versions that have the field; none written: all that the enclosing field has
    = VALUE        default, if it is not 0, false, empty; `= null` for what may be null. Records always default to null
    tag N          a tagged field
    ignorable      dropped silently when a version lacks the field; else a value other than the default is an error
    flexible none  never compact, even in flexible versions
Types: bool int8 int16 uint16 int32 uint32 int64 float64 uuid string bytes records, a struct's name, and [] before any of these
but bytes and records. A `?` behind the type: may be null; `?7+`: may be null in these versions.
The fields of a struct stand below the field that uses it; a struct used twice is written once, as `struct Name`.
V is `3`, `3-5` or `3+`. Where a message and its fields disagree about versions, the message's win.

What comes out
--------------
`ProduceRequest` becomes `struct produce_request`, its struct `Shared` becomes `struct produce_request_shared` (a struct whose name
begins with its message's is not prefixed again). The tables are made per *shape*: a struct as it looks in a run of versions.
"""
import os
import re
import sys

INF = 1 << 30
KINDS = ['request', 'response', 'header', 'data', 'metadata', 'remote-log',
         'group-key', 'group-value', 'txn-key', 'txn-value', 'share-key', 'share-value']
C_TYPE = {'bool': 'bool', 'int8': 'int8_t', 'int16': 'int16_t', 'uint16': 'uint16_t', 'int32': 'int32_t',
          'uint32': 'uint32_t', 'int64': 'int64_t', 'float64': 'double', 'uuid': 'struct uuid',
          'string': 'struct slice', 'bytes': 'struct slice', 'records': 'struct wire_records'}
WIDTH = {'bool': 1, 'int8': 1, 'int16': 2, 'uint16': 2, 'int32': 4, 'uint32': 4, 'int64': 8, 'float64': 8, 'uuid': 16}
INT_RANGE = {'int8': (-2**7, 2**7 - 1), 'int16': (-2**15, 2**15 - 1), 'uint16': (0, 2**16 - 1), 'int32': (-2**31, 2**31 - 1),
             'uint32': (0, 2**32 - 1), 'int64': (-2**63, 2**63 - 1)}
C_KEYWORDS = set('''auto break case char const continue default do double else enum extern float for goto if inline int long
    register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while bool true false
    asm typeof unknown unknown_n'''.split())


class SchemaError(Exception):
    pass


def parse_versions(text):
    m = re.fullmatch(r'(\d+)(?:(\+)|-(\d+))?', text)
    if not m:
        raise SchemaError(f'not a version range: {text}')
    low = int(m[1])
    return low, INF if m[2] else int(m[3]) if m[3] else low


def within(v, versions):
    return versions is not None and versions[0] <= v <= versions[1]


def snake(name):
    name = re.sub(r'([a-z0-9])([A-Z])', r'\1_\2', name)
    return re.sub(r'([A-Z]+)([A-Z][a-z])', r'\1_\2', name).lower()


class Field:
    """A field as written; `versions` and `nullable` are None where nothing is written or nothing applies."""

    def __init__(self, words):
        self.name, t = words[0], words[1]
        self.nullable = None
        if '?' in t:
            t, v = t.split('?')
            self.nullable = parse_versions(v) if v else (0, INF)
        self.array = t.startswith('[]')
        self.type = t.removeprefix('[]')
        self.versions = (0, INF)
        self.default = None
        self.tag = None
        self.ignorable = self.never_flexible = False
        i = 2
        if i < len(words) and words[i][0].isdigit():
            self.versions = parse_versions(words[i])
            i += 1
        while i < len(words):
            if words[i] == '=' and i + 1 < len(words):
                self.default = words[i + 1]
                i += 2
            elif words[i] == 'tag' and i + 1 < len(words):
                self.tag = int(words[i + 1])
                i += 2
            elif words[i] == 'ignorable':
                self.ignorable = True
                i += 1
            elif words[i:i + 2] == ['flexible', 'none']:
                self.never_flexible = True
                i += 2
            else:
                raise SchemaError(f'unexpected "{words[i]}"')
        self.is_struct = self.type not in C_TYPE
        if self.array and self.type in ('bytes', 'records'):
            raise SchemaError(f'no arrays of {self.type}')
        if self.tag is not None and not 0 <= self.tag < 256:
            raise SchemaError('tag out of range')
        self.member = snake(self.name) + ('_' if snake(self.name) in C_KEYWORDS else '')
        self.json = self.name[0].lower() + self.name[1:]
        self.pointer = self.is_struct and not self.array and self.nullable is not None
        if self.pointer and not (self.nullable[0] <= self.versions[0] and self.nullable[1] >= self.versions[1]):
            raise SchemaError('a struct may be null in all versions or in none')
        self.check_default()

    def check_default(self):
        d = self.default
        if d == 'null':
            if self.nullable is None:
                raise SchemaError('null is no default here')
        elif d is not None:
            if self.array or self.is_struct or self.type in ('bytes', 'records'):
                raise SchemaError('only null is a default here')
            if self.type == 'bool' and d not in ('true', 'false'):
                raise SchemaError('not a bool')
            if self.type in INT_RANGE and not INT_RANGE[self.type][0] <= int(d, 0) <= INT_RANGE[self.type][1]:
                raise SchemaError('default out of range')
            if self.type == 'float64':
                float(d)
            if self.type in ('uuid', 'string'):
                raise SchemaError('only null is a default here')


class Struct:
    def __init__(self, message, name, versions):
        self.message, self.name, self.versions, self.fields = message, name, versions, []
        prefix = message.name
        rest = name.removeprefix(prefix) if name.startswith(prefix) else name
        self.cname = snake(prefix) + ('_' + snake(rest) if rest else '')
        self.flexible = message.flexible is not None


class Message:
    def __init__(self, words):
        self.kind, self.name = words[0], words[1]
        self.cname = snake(self.name)
        self.key, self.versions, self.flexible, self.unstable, self.listeners = -1, None, None, INF, []
        i = 2
        while i < len(words):
            if words[i] == 'on':
                self.listeners = words[i + 1:]
                break
            if i + 1 == len(words):
                raise SchemaError(f'"{words[i]}" lacks a value')
            if words[i] == 'key':
                self.key = int(words[i + 1])
            elif words[i] == 'versions':
                self.versions = None if words[i + 1] == 'none' else parse_versions(words[i + 1])
            elif words[i] == 'flexible':
                self.flexible = parse_versions(words[i + 1])
            elif words[i] == 'unstable':
                self.unstable = int(words[i + 1])
            else:
                raise SchemaError(f'unexpected "{words[i]}"')
            i += 2
        if self.versions and self.versions[1] == INF:
            raise SchemaError('the versions of a message have an end')
        self.structs = {}
        self.root = self.structs[None] = Struct(self, self.name, (0, INF))

    def range(self):
        return range(self.versions[0], self.versions[1] + 1) if self.versions else range(0)

    def is_flexible(self, v):
        return within(v, self.flexible)

    def struct_of(self, field):
        return self.structs[field.type]

    def in_order(self):
        """All structs, the used before their users. Also refuses a struct that contains itself: the engine recurses."""
        done, open_ = [], []

        def visit(s):
            if s in open_:
                raise SchemaError(f'{self.name}: struct {s.name} contains itself')
            if s in done:
                return
            open_.append(s)
            for f in s.fields:
                if f.is_struct:
                    if f.type not in self.structs:
                        raise SchemaError(f'{self.name}.{f.name}: no struct {f.type}')
                    visit(self.struct_of(f))
            open_.pop()
            done.append(s)

        visit(self.root)
        unused = [s.name for s in self.structs.values() if s not in done]
        if unused:
            raise SchemaError(f'{self.name}: unused structs {unused}')
        return done


def parse(path):
    messages, stack = [], []  # stack: [(depth, struct that takes fields at this depth)]
    with open(path, encoding='utf-8') as lines:
        for number, line in enumerate(lines, 1):
            line = line.split('#', 1)[0].rstrip()
            words = line.split()
            if not words:
                continue
            try:
                indent = len(line) - len(line.lstrip(' '))
                depth = indent // 4
                if indent % 4 or '\t' in line:
                    raise SchemaError('indent by four blanks')
                if depth == 0:
                    if words[0] not in KINDS:
                        raise SchemaError(f'unknown kind "{words[0]}"')
                    messages.append(Message(words))
                    stack = [(1, messages[-1].root)]
                    continue
                if not messages:
                    raise SchemaError('field outside of a message')
                message = messages[-1]
                while stack and stack[-1][0] > depth:
                    stack.pop()
                if not stack or stack[-1][0] != depth:
                    raise SchemaError('indented below nothing')
                if words[0] == 'struct':
                    if depth != 1:
                        raise SchemaError('structs stand right below their message')
                    s = Struct(message, words[1], parse_versions(words[2]) if len(words) > 2 else (0, INF))
                    if words[1] in message.structs:
                        raise SchemaError(f'struct {words[1]} is there already')
                    message.structs[words[1]] = s
                    stack.append((depth + 1, s))
                    continue
                field = Field(words)
                if any(f.member == field.member for f in stack[-1][1].fields):
                    raise SchemaError(f'field {field.name} is there already')
                stack[-1][1].fields.append(field)
                if field.is_struct:
                    stack.append((depth + 1, InlineStruct(message, field)))
            except (SchemaError, ValueError, IndexError) as e:
                raise SchemaError(f'{path}:{number}: {e}') from None
    return messages


class InlineStruct:
    """Stands on the parser's stack for a struct field; becomes a struct of the message when a first field follows below it."""

    def __init__(self, message, field):
        self.message, self.type = message, field.type

    @property
    def fields(self):
        if not hasattr(self, 'struct'):
            if self.type in self.message.structs:
                raise SchemaError(f'struct {self.type} is there already')
            self.struct = self.message.structs[self.type] = Struct(self.message, self.type, (0, INF))
        return self.struct.fields


# ---- shapes -------------------------------------------------------------------------------------------------------------

class Tables:
    """Names, ops and shapes of all messages. A shape is the list of ops of one struct in one run of versions."""

    def __init__(self):
        self.names, self.name_at, self.name_bytes = [], {}, 0
        self.shapes, self.shape_at = [], {}
        self.ops, self.ops_at = [], {}

    def name(self, text):
        if text not in self.name_at:
            self.name_at[text] = self.name_bytes
            self.names.append(text)
            self.name_bytes += len(text) + 1
        return self.name_at[text]

    def op(self, message, struct, field, v):
        """The op of a field that version v has."""
        flexible = message.is_flexible(v) and not field.never_flexible
        nullable = within(v, field.nullable)
        sub = self.shape(message, message.struct_of(field), v) if field.is_struct else 0
        compact = 'C' if flexible else ''
        elem = 0
        if field.array:
            code = f'W_{compact}ARRAY'
            elem = 'W_STRUCT' if field.is_struct else f'W_{compact}STRING' if field.type == 'string' else f'W_{field.type.upper()}'
        elif field.is_struct:
            code = 'W_STRUCT' if not field.pointer else 'W_STRUCT_OR_NULL' if field.tag is None else 'W_TAGGED_STRUCT_OR_NULL'
        elif field.type in ('string', 'bytes', 'records'):
            code = f'W_{compact}{field.type.upper()}'
        else:
            code = f'W_{field.type.upper()}'
        least = self.least(field, flexible, nullable, sub)
        return (code, elem, int(nullable), field.tag or 0, f'offsetof(struct {struct.cname}, {field.member})', sub,
                self.name(field.json)), least

    def least(self, field, flexible, nullable, sub):
        """The fewest bytes that the field takes when it is not tagged."""
        if field.array:
            return 1 if flexible else 4
        if field.is_struct:
            return 1 if nullable else self.shapes[sub]['min']
        if field.type == 'string':
            return 1 if flexible else 2
        if field.type in ('bytes', 'records'):
            return 1 if flexible else 4
        return WIDTH[field.type]

    def shape(self, message, struct, v):
        body, tagged, absent, least = [], [], [], 0
        for f in struct.fields:
            if within(v, f.versions) and (f.tag is None or message.is_flexible(v)):
                op, n = self.op(message, struct, f, v)
                if f.tag is not None:
                    tagged.append(op)
                else:
                    body.append(op)
                    least += n
                continue
            if f.tag is not None and message.is_flexible(v):
                tagged.append(('W_BARRED', 0, 0, f.tag, 0, 0, self.name(f.json)))
            if not f.ignorable:
                # Only compared with its default: any version that has the field will do to tell its type.
                some = next((w for w in message.range() if within(w, f.versions)), None)
                if some is not None:
                    op, _ = self.op(message, struct, f, some)
                    nullable = int(f.nullable is not None)
                    absent.append(op[:2] + (nullable,) + op[3:])
        tagged.sort(key=lambda op: op[3])
        tags = [op[3] for op in tagged]
        if len(set(tags)) != len(tags):
            raise SchemaError(f'{message.name}: struct {struct.name} uses a tag twice')
        flexible = message.is_flexible(v)
        key = (struct, tuple(body), tuple(tagged), tuple(absent), flexible)
        if key not in self.shape_at:
            ops = tuple(body + tagged + absent)
            if ops not in self.ops_at:
                self.ops_at[ops] = len(self.ops)
                self.ops.extend(ops)
            self.shape_at[key] = len(self.shapes)
            self.shapes.append({'struct': struct, 'first': self.ops_at[ops], 'body': len(body), 'tagged': len(tagged),
                                'absent': len(absent), 'flexible': flexible, 'min': max(1, least + flexible)
                                if struct is not message.root else least + flexible, 'v': v})
        return self.shape_at[key]


# ---- C ------------------------------------------------------------------------------------------------------------------

def c_members(message, struct):
    for f in struct.fields:
        t = f'struct {message.struct_of(f).cname}' if f.is_struct else C_TYPE[f.type]
        if f.array:
            yield f'{t} *{f.member};'
            yield f'int32_t {f.member}_n;'
        else:
            yield f'{t} {"*" if f.pointer else ""}{f.member};'
    if struct.flexible:
        yield 'struct wire_tag *unknown;'
        yield 'int32_t unknown_n;'
    elif not struct.fields:
        yield 'char empty; /* C wants a member */'


def c_default(message, struct):
    """Initialisers of the members whose default is not all zeros."""
    out = []
    for f in struct.fields:
        d = f.default
        if f.array:
            if d == 'null':
                out.append(f'.{f.member}_n = -1')
        elif f.pointer:
            if d != 'null':
                cname = message.struct_of(f).cname
                out.append(f'.{f.member} = (struct {cname} *)&dflt_{cname}')
        elif f.is_struct:
            inner = c_default(message, message.struct_of(f))
            if inner:
                out.append(f'.{f.member} = {{ {", ".join(inner)} }}')
        elif f.type in ('string', 'bytes'):
            if d != 'null':
                out.append(f'.{f.member} = {{ "", 0 }}')
        elif d is not None and f.type in INT_RANGE:
            n = int(d, 0)
            text = 'INT64_MIN' if n == -2**63 else '(-2147483647 - 1)' if n == -2**31 else str(n)
            out.append(f'.{f.member} = {text}' + ('LL' if abs(n) > 2**31 and n != -2**63 else ''))
        elif d is not None and d != 'null':
            out.append(f'.{f.member} = {d}')
    return out


def versions_comment(message):
    if not message.versions:
        return 'no versions'
    low, high = message.versions
    text = f'v{low}' if low == high else f'v{low}-{high}'
    if message.flexible:
        text += f', flexible from v{max(low, message.flexible[0])}'
    return text


def write_header(path, messages, apis):
    with open(path, 'w', encoding='utf-8') as h:
        p = lambda *a: print(*a, file=h)
        p('/* Made by scripts/wiregen.py from src/wire/schema. Included by <odradek/wire.h> only. */')
        p('#pragma once\n')
        p('/* X(NAME, key, name, first version, last version, last stable version); no versions: first > last. */')
        p('#define WIRE_APIS(X) \\')
        for key, (req, _) in sorted(apis.items()):
            name = req.name.removesuffix('Request')
            low, high = req.versions or (0, -1)
            p(f'    X({snake(name).upper()}, {key}, {snake(name)}, {low}, {high}, {min(high, req.unstable - 1)}) \\')
        p('')
        p('enum api_key {')
        for key, (req, _) in sorted(apis.items()):
            p(f'    API_{snake(req.name.removesuffix("Request")).upper()} = {key},')
        p(f'    API_COUNT = {max(apis) + 1}')
        p('};\n')
        for kind in ('metadata', 'remote-log', 'group-key', 'txn-key', 'share-key'):
            p(f'enum {kind.replace("-key", "").replace("-", "_")}_record {{')
            for m in sorted((m for m in messages if m.kind == kind), key=lambda m: m.key):
                p(f'    {m.cname.upper()} = {m.key},')
            p('};\n')
        for m in messages:
            p(f'/* {m.name}: {versions_comment(m)}. */')
            for s in m.in_order():
                p(f'struct {s.cname} {{')
                for member in c_members(m, s):
                    p(f'    {member}')
                p('};')
                p(f'extern const struct {s.cname} dflt_{s.cname};')
            p(f'extern const struct wire_msg msg_{m.cname};\n')


def write_messages(path, messages, apis, shape_of):
    with open(path, 'w', encoding='utf-8') as c:
        p = lambda *a: print(*a, file=c)
        p('/* Made by scripts/wiregen.py from src/wire/schema. Defaults and descriptors of all messages. */')
        p('#include "codec.h"\n')
        for m in messages:
            for s in m.in_order():
                inner = c_default(m, s)
                p(f'const struct {s.cname} dflt_{s.cname} = {{ {", ".join(inner) or "0"} }};')
        p('')
        for m in messages:
            low, high = m.versions or (0, -1)
            shapes = ', '.join(str(shape_of[m, v]) for v in m.range()) or '0'
            flexible = m.flexible[0] if m.flexible else 'INT16_MAX'
            p(f'static const uint16_t shapes_{m.cname}[] = {{ {shapes} }};')
            p(f'const struct wire_msg msg_{m.cname} = {{ .name = "{m.name}", .kind = WIRE_{m.kind.upper().replace("-", "_")}, '
              f'.key = {m.key}, .min = {low}, .max = {high}, .max_stable = {min(high, m.unstable - 1)}, .flexible = {flexible}, '
              f'.listeners = {listeners(m)}, .size = sizeof(struct {m.cname}), '
              f'.dflt = &dflt_{m.cname}, .shapes = shapes_{m.cname} }};')
        p('\nconst struct wire_msg *const wire_requests[API_COUNT] = {')
        for key, (req, _) in sorted(apis.items()):
            p(f'    [{key}] = &msg_{req.cname},')
        p('};\nconst struct wire_msg *const wire_responses[API_COUNT] = {')
        for key, (_, res) in sorted(apis.items()):
            p(f'    [{key}] = &msg_{res.cname},')
        p('};\nconst struct wire_msg *const wire_by_name[] = {')
        for m in sorted(messages, key=lambda m: m.name):
            p(f'    &msg_{m.cname},')
        p('};\nconst uint16_t wire_by_name_n = sizeof(wire_by_name) / sizeof(wire_by_name[0]);')
        p('const struct wire_msg *const wire_records_by_key[] = {')
        records = [m for m in messages if KINDS.index(m.kind) >= KINDS.index('metadata')]
        for m in sorted(records, key=lambda m: (KINDS.index(m.kind), m.key)):
            p(f'    &msg_{m.cname},')
        p('};\nconst uint16_t wire_records_by_key_n = sizeof(wire_records_by_key) / sizeof(wire_records_by_key[0]);')


def listeners(m):
    return ' | '.join(f'WIRE_ON_{name.upper()}' for name in m.listeners) or '0'


def write_tables(path, tables):
    with open(path, 'w', encoding='utf-8') as c:
        p = lambda *a: print(*a, file=c)
        p('/* Made by scripts/wiregen.py from src/wire/schema. What the codec engine walks over: see src/wire/codec.h. */')
        p('#include "codec.h"\n')
        p('const char wire_names[] =')
        for name in tables.names:
            p(f'    "{name}\\0"')
        p('    "";\n')
        p('/* code, element, nullable, tag, offset, shape, name */')
        p('const struct wire_op wire_ops[] = {')
        for op in tables.ops:
            p(f'    {{ {", ".join(map(str, op))} }},')
        p('};\n')
        p('const struct wire_shape wire_shapes[] = {')
        for s in tables.shapes:
            struct = s['struct']
            unknown = f'offsetof(struct {struct.cname}, unknown)' if struct.flexible else -1
            p(f'    {{ &dflt_{struct.cname}, {s["first"]}, {s["body"]}, {s["tagged"]}, {s["absent"]}, {int(s["flexible"])}, '
              f'sizeof(struct {struct.cname}), {s["min"]}, {unknown} }}, /* v{s["v"]} */')
        p('};\n')
        for s in tables.shapes:
            if s['struct'] is not s['struct'].message.root:
                p(f'static_assert(sizeof(struct {s["struct"].cname}) <= {s["min"]} * WIRE_GROWTH, "WIRE_GROWTH is too small");')


def main():
    out, paths = sys.argv[1], sorted(sys.argv[2:])
    messages = [m for path in paths for m in parse(path)]
    names = [m.name for m in messages]
    if len(set(names)) != len(names):
        raise SchemaError(f'twice: {sorted(n for n in set(names) if names.count(n) > 1)}')
    cnames = [s.cname for m in messages for s in m.in_order()]
    if len(set(cnames)) != len(cnames):
        raise SchemaError(f'the same C name twice: {sorted(n for n in set(cnames) if cnames.count(n) > 1)}')
    apis = {}
    for kind in ('request', 'response'):
        for m in messages:
            if m.kind == kind:
                apis.setdefault(m.key, []).append(m)
    for key, pair in apis.items():
        if len(pair) != 2 or pair[0].versions != pair[1].versions:
            raise SchemaError(f'API {key}: one request and one response, of the same versions')
    tables = Tables()
    shape_of = {(m, v): tables.shape(m, m.root, v) for m in messages for v in m.range()}
    os.makedirs(out, exist_ok=True)
    write_header(f'{out}/wire_msgs.h', messages, apis)
    write_messages(f'{out}/wire_msgs.c', messages, apis, shape_of)
    write_tables(f'{out}/wire_tables.c', tables)


if __name__ == '__main__':
    try:
        main()
    except SchemaError as e:
        sys.exit(str(e))
