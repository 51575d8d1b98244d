#!/usr/bin/env python3
"""Reads the message schemas beside this file and writes the C structs and the codec's tables.

    gen.py OUT_HEADER OUT_TABLES [--depfile FILE] [--schemas FOLDER]

README.md beside this file explains the notation. `schemas(folder)` is also of use to other Python programs.
Python 3, standard library only.
"""
import argparse
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

INTEGERS = {'int8': (1, True), 'int16': (2, True), 'uint16': (2, False), 'int32': (4, True), 'uint32': (4, False),
            'int64': (8, True)}
FIXED_BYTES = {'bool': 1, 'float64': 8, 'uuid': 16, **{name: size for name, (size, _) in INTEGERS.items()}}
VARIABLE = ('string', 'bytes', 'records')
C_TYPES = {'bool': 'bool', 'int8': 'int8_t', 'int16': 'int16_t', 'uint16': 'uint16_t', 'int32': 'int32_t',
           'uint32': 'uint32_t', 'int64': 'int64_t', 'float64': 'double', 'uuid': 'struct uuid',
           'string': 'struct str', 'bytes': 'struct bytes', 'records': 'struct records'}
C_RESERVED = set('''auto bool break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef typeof union unsigned
    void volatile while asm linux unix errno'''.split())
ENTITIES = ('brokerId', 'topicName', 'groupId', 'transactionalId', 'producerId')
LISTENERS = ('broker', 'controller')
# The first word of a record's block, and its kind in C.
RECORD_KINDS = {'header': 'HEADER', 'data': 'DATA', 'metadata-record': 'METADATA_RECORD',
                'remote-log-record': 'REMOTE_LOG_RECORD', 'group-key': 'GROUP_KEY', 'group-value': 'GROUP_VALUE',
                'transaction-key': 'TRANSACTION_KEY', 'transaction-value': 'TRANSACTION_VALUE',
                'share-key': 'SHARE_KEY', 'share-value': 'SHARE_VALUE'}
KEYLESS = ('header', 'data')
VERSION_MAX = 32767
TAG_MAX = 255


class SchemaError(Exception):
    """Something is wrong in a schema; the text begins with file:line."""


def snake(name):
    name = name.replace('KRaft', 'Kraft')
    return re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_', name).lower()


class Versions:
    """A range of versions; empty where low > high."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    def __contains__(self, version):
        return self.low <= version <= self.high

    def inside(self, other):
        return self.low >= other.low and self.high <= other.high


NONE = Versions(1, 0)


class Struct:
    def __init__(self, name, where):
        self.name, self.where, self.fields = name, where, []
        self.c_name = None  # with its message's name in front


class Field:
    """One field of a struct. `type` is the type of one element where `array` is set."""

    def __init__(self, name, where):
        self.name, self.where = name, where
        self.type, self.array, self.struct = None, False, None
        self.versions = self.nullable = self.tagged = NONE
        self.tag, self.default, self.entity = None, None, None
        self.ignorable = self.key = self.not_compact = False

    @property
    def c_name(self):
        name = snake(self.name)
        return name + '_' if name in C_RESERVED else name

    @property
    def json_name(self):
        return self.name[0].lower() + self.name[1:]

    @property
    def is_pointer(self):
        """A nullable struct is a pointer in C."""
        return self.struct is not None and not self.array and self.nullable.low <= self.nullable.high


class Message:
    def __init__(self, kind, name, key, where):
        self.kind, self.name, self.key, self.where = kind, name, key, where
        self.versions = self.flexible = NONE
        self.root = Struct(name, where)
        self.structs = {}

    def all_structs(self):
        """Inner ones before those that contain them."""
        out = []

        def visit(struct):
            for field in struct.fields:
                if field.struct and field.struct not in out:
                    visit(field.struct)
            if struct not in out:
                out.append(struct)

        visit(self.root)
        return out


class Api:
    def __init__(self, name, key, where):
        self.name, self.key, self.where = name, key, where
        self.listeners, self.unstable = [], VERSION_MAX + 1
        self.request = self.response = None
        self.response_header = None  # None: as the flexible versions say


class Schemas:
    def __init__(self):
        self.apis, self.messages = [], []


# ---- reading ---------------------------------------------------------------------------------------------------


class Parser:
    """Reads one file into a Schemas."""

    def __init__(self, path, schemas):
        self.path, self.schemas = path, schemas
        self.line_number = 0
        self.api = self.message = None
        self.open = []  # [(indent, Struct or Field that takes the deeper lines)]

    def fail(self, text):
        raise SchemaError(f'{self.path}:{self.line_number}: {text}')

    @property
    def where(self):
        return f'{self.path}:{self.line_number}'

    def run(self):
        with open(self.path, encoding='utf-8') as lines:
            for line in lines:
                self.line_number += 1
                text = line.split('#', 1)[0].rstrip()
                if not text:
                    continue
                if '\t' in text:
                    self.fail('a tab; indent with two spaces')
                indent = len(text) - len(text.lstrip())
                if indent % 2:
                    self.fail(f'indented by {indent}; steps are two spaces')
                (self.field if indent else self.block)(text.split(), indent // 2)

    # a line without indentation opens a message

    def block(self, words, _):
        kind, rest = words[0], [word.rstrip(',') for word in words[1:]]
        if kind == 'api':
            self.api_line(rest)
        elif kind in ('request', 'response'):
            if not self.api:
                self.fail(f"'{kind}' before 'api NAME = KEY'")
            if getattr(self.api, kind):
                self.fail(f'a second {kind} of {self.api.name}')
            self.message = Message(kind, self.api.name + kind.capitalize(), self.api.key, self.where)
            setattr(self.api, kind, self.message)
            self.message_options(rest)
        elif kind in RECORD_KINDS:
            self.record_line(kind, rest)
        else:
            self.fail(f"unknown word '{kind}': expected api, request, response or one of {', '.join(RECORD_KINDS)}")

    def name_and_key(self, words):
        if len(words) < 3 or words[1] != '=' or not words[2].isdigit():
            self.fail('expected NAME = NUMBER')
        return words[0], int(words[2]), words[3:]

    def api_line(self, words):
        name, key, words = self.name_and_key(words)
        self.api = Api(name, key, self.where)
        self.schemas.apis.append(self.api)
        while words:
            word = words.pop(0)
            if word == 'on':
                while words and words[0] in LISTENERS:
                    self.api.listeners.append(words.pop(0))
            elif word == 'unstable':
                self.api.unstable = self.number(words)
            else:
                self.fail(f"unknown word '{word}': expected on LISTENER... or unstable VERSION")

    def record_line(self, kind, words):
        if kind in KEYLESS:
            if not words:
                self.fail('expected a name')
            name, key, words = words[0], -1, words[1:]
        else:
            name, key, words = self.name_and_key(words)
        self.message = Message(kind, name, key, self.where)
        self.message_options(words)

    def message_options(self, words):
        message = self.message
        while words:
            word = words.pop(0)
            if word == 'versions':
                message.versions = NONE if words[:1] == ['none'] else self.range(words[0] if words else '', None)
                del words[:1]
            elif word == 'flexible':
                message.flexible = self.range(words.pop(0) if words else '', message.versions)
            elif word == 'header' and message.kind == 'response':
                self.api.response_header = self.number(words)
            else:
                self.fail(f"unknown word '{word}': expected versions RANGE, flexible RANGE or header VERSION")
        self.schemas.messages.append(message)
        self.open = [(0, message.root, message.versions)]

    def number(self, words):
        if not words or not words[0].isdigit():
            self.fail('expected a number')
        return int(words.pop(0))

    def range(self, text, bounds):
        """'3' '3-7' '3+'; inside bounds, whose end is what + means."""
        match = re.fullmatch(r'(\d+)(\+|-(\d+))?', text)
        if not match:
            self.fail(f"'{text}' is no range of versions (like 3, 3-7 or 3+)")
        low = int(match[1])
        high = low if not match[2] else int(match[3]) if match[3] else bounds.high if bounds else VERSION_MAX
        if low > high or high > VERSION_MAX or (bounds and not Versions(low, high).inside(bounds)):
            limits = f' within {bounds.low}-{bounds.high}' if bounds else ''
            self.fail(f"'{text}' is no range of versions{limits}")
        return Versions(low, high)

    # an indented line is a field, or a struct that several fields use

    def field(self, words, depth):
        if not self.message:
            self.fail('a field outside of a message')
        while self.open and self.open[-1][0] >= depth:
            self.open.pop()
        if not self.open or self.open[-1][0] != depth - 1:
            self.fail('indented deeper than the line above allows')
        if words[0] == 'struct' and depth == 1:
            if len(words) != 2:
                self.fail('expected struct NAME')
            self.open.append((depth, self.struct(words[1]), self.message.versions))
            return
        parent, parent_versions = self.open[-1][1:]
        if isinstance(parent, Field):
            parent.struct = self.struct(parent.type)
            self.open[-1] = (depth - 1, parent.struct, parent_versions)
            parent = parent.struct
        field = self.field_line(words, parent_versions)
        if any(other.c_name == field.c_name for other in parent.fields):
            self.fail(f'a second field {field.name} in {parent.name}')
        parent.fields.append(field)
        if field.type not in C_TYPES:
            self.open.append((depth, field, field.versions))

    def struct(self, name):
        if name in C_TYPES:
            self.fail(f'{name} has no fields of its own')
        if name in self.message.structs:
            self.fail(f'a second struct {name} in {self.message.name}')
        self.message.structs[name] = Struct(name, self.where)
        return self.message.structs[name]

    def field_line(self, words, parent_versions):
        if len(words) < 2:
            self.fail('expected NAME TYPE')
        field = Field(words[0], self.where)
        if not re.fullmatch(r'[A-Za-z][A-Za-z0-9]*', field.name):
            self.fail(f"'{field.name}' is no name of a field")
        match = re.fullmatch(r'(\[\])?([A-Za-z][A-Za-z0-9]*)(\?([0-9+-]*))?', words[1])
        if not match:
            self.fail(f"'{words[1]}' is no type (like int32, []string, Name, []Name?, string?7+)")
        field.array, field.type = bool(match[1]), match[2]
        words = words[2:]
        field.versions = Versions(max(parent_versions.low, self.message.versions.low), parent_versions.high)
        if words and words[0][0].isdigit():
            field.versions = self.range(words.pop(0), self.message.versions)
        if match[3]:
            field.nullable = self.range(match[4], field.versions) if match[4] else field.versions
            if field.type in FIXED_BYTES and not field.array:
                self.fail(f'a {field.type} cannot be null')
        self.field_options(field, words)
        if field.default is not None:
            self.check_default(field)
        return field

    def field_options(self, field, words):
        while words:
            word = words.pop(0)
            if word == '=':
                if not words:
                    self.fail('expected a default after =')
                field.default = words.pop(0)
            elif word == 'tag':
                self.tag(field, words.pop(0) if words else '')
            elif word == 'entity':
                field.entity = words.pop(0) if words else ''
                if field.entity not in ENTITIES:
                    self.fail(f"unknown entity '{field.entity}': expected one of {', '.join(ENTITIES)}")
            elif word == 'ignorable':
                field.ignorable = True
            elif word == 'key':
                field.key = True
            elif word == 'not-compact':
                field.not_compact = True
            else:
                self.fail(f"unknown word '{word}': expected = DEFAULT, tag N, ignorable, key, entity NAME or "
                          'not-compact')

    def tag(self, field, text):
        number, _, versions = text.partition('@')
        if not number.isdigit():
            self.fail(f"'{text}' is no tag")
        field.tag = int(number)
        if field.tag > TAG_MAX:
            self.fail(f'tag {number} is above {TAG_MAX}, the most that the tables hold')
        field.tagged = self.range(versions, field.versions) if versions else field.versions
        if not field.tagged.inside(self.message.flexible):
            self.fail(f'{field.name} is tagged in a version that is not flexible')

    def check_default(self, field):
        value = field.default
        if value == 'null':
            if field.nullable is NONE and field.type != 'records':
                self.fail(f'{field.name} cannot be null')
        elif field.array or field.type not in C_TYPES:
            self.fail('the default of an array or a struct is empty, or null')
        elif field.type in INTEGERS:
            size, signed = INTEGERS[field.type]
            low, high = (-(1 << size * 8 - 1), (1 << size * 8 - 1) - 1) if signed else (0, (1 << size * 8) - 1)
            try:
                number = int(value, 0)
            except ValueError:
                self.fail(f"'{value}' is no {field.type}")
            if not low <= number <= high:
                self.fail(f'{value} does not fit {field.type}')
        elif field.type != 'bool' or value not in ('true', 'false'):
            self.fail(f"'{value}' cannot be the default of a {field.type}")


def check_message(message):
    """What can only be seen once the whole message is read."""
    used = set()

    def visit(struct, path):
        if struct in path:
            raise SchemaError(f'{struct.where}: {struct.name} contains itself')
        used.add(struct)
        tags = []
        for field in struct.fields:
            if field.type not in C_TYPES:
                field.struct = message.structs.get(field.type)
                if not field.struct:
                    raise SchemaError(f"{field.where}: unknown type '{field.type}'")
            if field.tag is not None:
                for other in tags:
                    low, high = max(other.tagged.low, field.tagged.low), min(other.tagged.high, field.tagged.high)
                    if other.tag == field.tag and low <= high:
                        raise SchemaError(f'{field.where}: tag {field.tag} of {field.name} is also that of '
                                          f'{other.name}')
                tags.append(field)
            if field.struct:
                visit(field.struct, path + [struct])

    visit(message.root, [])
    for struct in message.structs.values():
        if struct not in used:
            raise SchemaError(f'{struct.where}: no field uses struct {struct.name}')
    for struct in used:
        struct.c_name = snake(message.name) + ('' if struct is message.root else '_' + snake(struct.name))


def check_all(schemas):
    seen = {}

    def once(what, where):
        if what in seen:
            raise SchemaError(f'{where}: {what} is also in {seen[what]}')
        seen[what] = where

    for api in schemas.apis:
        once(f'API key {api.key}', api.where)
        if not (api.request and api.response):
            raise SchemaError(f'{api.where}: {api.name} lacks its request or response')
    for message in schemas.messages:
        if message.key >= 0 and message.kind not in ('request', 'response'):
            once(f'{message.kind} {message.key}', message.where)
        for struct in message.all_structs():
            once(f'struct {struct.c_name}', struct.where)


def files(folder):
    found = []
    for path, folders, names in os.walk(folder):
        folders.sort()
        found += [os.path.join(path, name) for name in sorted(names) if name.endswith('.msg')]
    return found


def schemas(folder=HERE):
    """All schemas of a folder, checked. Raises SchemaError."""
    out = Schemas()
    for path in files(folder):
        first = len(out.messages)
        Parser(path, out).run()
        for message in out.messages[first:]:
            check_message(message)
    check_all(out)
    out.apis.sort(key=lambda api: api.key)
    return out


# ---- the C header ----------------------------------------------------------------------------------------------


def member(field):
    c_type = C_TYPES.get(field.type) or f'struct {field.struct.c_name}'
    if field.array:
        space = '' if c_type.endswith('*') else ' '
        return f'    {c_type}{space}*{field.c_name};\n    int32_t {field.c_name}_count;\n'
    return f"    {c_type} {'*' if field.is_pointer else ''}{field.c_name};\n"


def default_members(struct):
    """The designated initializers of what is not zero by default."""
    out = []
    for field in struct.fields:
        name, value = '.' + field.c_name, field.default
        if field.array:
            if value == 'null':
                out.append(f'{name}_count = -1')
        elif field.struct:
            if field.is_pointer:
                if value != 'null':  # shared and read-only
                    out.append(f'{name} = (struct {field.struct.c_name} *)&{field.struct.c_name}_default')
            else:
                inner = default_members(field.struct)
                if inner:
                    out.append(f"{name} = {{{', '.join(inner)}}}")
        elif field.type == 'string' and value != 'null':
            out.append(f'{name} = {{"", 0}}')
        elif field.type == 'bytes' and value != 'null':
            out.append(f'{name} = {{(const uint8_t *)"", 0}}')
        elif field.type == 'bool' and value == 'true':
            out.append(f'{name} = true')
        elif field.type in INTEGERS and value is not None and int(value, 0):
            number = int(value, 0)
            text = f'INT64_C({number})' if field.type == 'int64' else str(number)
            if number == -(1 << 31) and field.type == 'int32':
                text = 'INT32_MIN'
            out.append(f'{name} = {text}')
    return out


HEADER_TOP = '''// Written by protocol/gen.py from the schemas in protocol/. Do not edit.
#ifndef PROTOCOL_MESSAGES_H
#define PROTOCOL_MESSAGES_H

#include "protocol/codec.h"

'''


def header(all_schemas):
    out = [HEADER_TOP]
    for message in all_schemas.messages:
        for struct in message.all_structs():
            name = struct.c_name
            members = ''.join(member(field) for field in struct.fields) or '    char has_no_fields;\n'
            out.append(f'struct {name} {{\n{members}}};\n'
                       f'extern const struct {name} {name}_default;\n'
                       f'static inline struct {name} *{name}_new(struct arena *arena, int32_t count)\n{{\n'
                       f'    return (struct {name} *)message_array_new(arena, &{name}_default, '
                       f'sizeof(struct {name}), count);\n}}\n\n')
        out.append(f'extern const struct message_type {snake(message.name)}_type;\n\n')
    out.append('#endif\n')
    return ''.join(out)


# ---- the tables ------------------------------------------------------------------------------------------------


class Tables:
    """The layout of every struct in every version, equal ones once. src/protocol/tables.h explains the rows."""

    def __init__(self, all_schemas):
        self.schemas = all_schemas
        self.names, self.name_at = [], {}
        self.name_bytes = 0
        self.fields, self.field_at = [], {}    # rows of C text; id(field) -> row
        self.structs, self.struct_at = [], {}
        self.wire_fields = []
        self.wire_structs, self.wire_min, self.wire_seen = [], [], {}
        for message in all_schemas.messages:
            for struct in message.all_structs():
                self.add_struct(struct)
        self.message_wires = [[self.add_wire(message, message.root, version)
                               for version in range(message.versions.low, message.versions.high + 1)]
                              for message in all_schemas.messages]

    def name(self, text):
        if text not in self.name_at:
            self.name_at[text] = self.name_bytes
            self.names.append(text)
            self.name_bytes += len(text) + 1
        return self.name_at[text]

    def add_struct(self, struct):
        self.struct_at[id(struct)] = len(self.structs)
        first = len(self.fields)
        for field in struct.fields:
            self.field_at[id(field)] = len(self.fields)
            kind = 'STRUCT' if field.struct else field.type.upper()
            inner = self.struct_at[id(field.struct)] if field.struct else 0
            self.fields.append(f'{{{self.name(field.json_name)}, offsetof(struct {struct.c_name}, {field.c_name}), '
                               f'{inner}, FIELD_{kind}, {int(field.array)}, {int(field.is_pointer)}}}')
        self.structs.append(f'{{&{struct.c_name}_default, {self.name(struct.name)}, sizeof(struct {struct.c_name}), '
                            f'{first}, {len(struct.fields)}}}')

    def add_wire(self, message, struct, version):
        """The row of wire_structs for a struct in a version."""
        flexible = version in message.flexible
        plain, tagged, absent = [], [], []
        smallest = 1 if flexible else 0
        for field in struct.fields:
            if version not in field.versions:
                if not field.ignorable:
                    absent.append((field, self.wire_field(struct, field, 'WIRE_ABSENT', 'WIRE_ABSENT', 0, 0)))
                continue
            is_tagged = field.tag is not None and version in field.tagged
            size, row = self.wire_field_in(message, struct, field, version, flexible, is_tagged)
            if is_tagged:
                tagged.append((field, row))
            else:
                plain.append((field, row))
                smallest += size
        tagged.sort(key=lambda pair: pair[0].tag)
        rows = [row for _, row in plain + tagged + absent]
        wanted = (id(struct), flexible, tuple(rows), len(plain), len(tagged))
        if wanted not in self.wire_seen:
            self.wire_seen[wanted] = len(self.wire_structs)
            self.wire_structs.append(f'{{{len(self.wire_fields)}, {smallest}, {self.struct_at[id(struct)]}, '
                                     f'{len(plain)}, {len(tagged)}, {len(absent)}, {int(flexible)}}}')
            self.wire_min.append(smallest)
            self.wire_fields += rows
        return self.wire_seen[wanted]

    def wire_field_in(self, message, struct, field, version, flexible, is_tagged):
        """(smallest size in bytes, row) of a field that the version has."""
        compact = flexible and not field.not_compact
        nullable = version in field.nullable
        inner = self.add_wire(message, field.struct, version) if field.struct else 0
        if field.struct:
            element, size = 'WIRE_STRUCT', self.wire_min[inner]
        elif field.type in FIXED_BYTES:
            size = FIXED_BYTES[field.type]
            element = {'bool': 'WIRE_BOOL', 'uuid': 'WIRE_UUID'}.get(field.type, f'WIRE_FIXED{size}')
        else:
            size = 1 if compact else 2 if field.type == 'string' else 4
            element = f"WIRE_{'COMPACT_' if compact else ''}{field.type.upper()}"
        if field.array:
            if size == 0:
                raise SchemaError(f'{field.where}: an element of {field.name} takes no bytes in version {version}')
            op, size = ('WIRE_COMPACT_ARRAY', 1) if compact else ('WIRE_ARRAY', 4)
        elif field.is_pointer:
            op = ('WIRE_TAGGED_POINTER' if is_tagged else 'WIRE_POINTER') if nullable else 'WIRE_POINTER_NOT_NULL'
            size = 1 if nullable else size
        else:
            op = element
        return size, self.wire_field(struct, field, op, element, inner, int(nullable))

    def wire_field(self, struct, field, op, element, inner, nullable):
        tag = 0 if field.tag is None else field.tag
        return (f'{{{op}, {element}, {nullable}, {tag}, offsetof(struct {struct.c_name}, {field.c_name}), '
                f'{self.element_bytes(field)}, {inner}, {self.field_at[id(field)]}}}')

    @staticmethod
    def element_bytes(field):
        return f'sizeof(struct {field.struct.c_name})' if field.struct else f'sizeof({C_TYPES[field.type]})'


TABLES_TOP = '''// Written by protocol/gen.py from the schemas in protocol/. Do not edit.
#include "protocol/messages.h"
#include "protocol/tables.h"

'''


def array(declaration, rows):
    return f'{declaration} = {{\n' + ''.join(f'    {row},\n' for row in rows) + '};\n\n'


def kind_in_c(kind):
    return 'MESSAGE_' + RECORD_KINDS.get(kind, kind.upper())


def tables(all_schemas):
    t = Tables(all_schemas)
    out = [TABLES_TOP]
    for message in all_schemas.messages:
        for struct in message.all_structs():
            inits = ', '.join(default_members(struct)) or '0'
            out.append(f'const struct {struct.c_name} {struct.c_name}_default = {{{inits}}};\n')
    out.append('\n' + array('const char codec_names[]', [f'"{name}\\0"' for name in t.names]).replace(',\n', '\n'))
    out.append(array('const struct field_info codec_fields[]', t.fields))
    out.append(array('const struct struct_info codec_structs[]', t.structs))
    out.append(array('const struct wire_field codec_wire_fields[]', t.wire_fields))
    out.append(array('const struct wire_struct codec_wire_structs[]', t.wire_structs))
    out.append(f'const size_t codec_wire_structs_count = {len(t.wire_structs)};\n\n')
    for message, wires in zip(all_schemas.messages, t.message_wires):
        name = snake(message.name)
        if wires:
            out.append(f"static const uint16_t {name}_wires[] = {{{', '.join(map(str, wires))}}};\n")
        flexible = message.flexible.low if message.flexible is not NONE else 'MESSAGE_NEVER_FLEXIBLE'
        out.append(f'const struct message_type {name}_type = {{"{message.name}", {kind_in_c(message.kind)}, {message.key}, '
                   f'{message.versions.low}, {message.versions.high}, {flexible}, {t.struct_at[id(message.root)]}, '
                   f'sizeof(struct {name}), {name + "_wires" if wires else "NULL"}}};\n\n')
    by_name = sorted(all_schemas.messages, key=lambda message: message.name)
    out.append(array('const struct message_type *const codec_messages[]',
                     [f'&{snake(message.name)}_type' for message in by_name]))
    out.append(f'const size_t codec_messages_count = {len(by_name)};\n\n')
    out.append(lookups(all_schemas))
    out.append(array('const struct api codec_apis[]', [api_row(api) for api in all_schemas.apis]))
    out.append(f'const size_t codec_apis_count = {len(all_schemas.apis)};\n')
    return ''.join(out)


def lookups(all_schemas):
    """For each kind that has keys, the types by key."""
    out, rows = [], []
    for kind in ['request', 'response'] + [kind for kind in RECORD_KINDS if kind not in KEYLESS]:
        of_kind = sorted((message.key, message.name) for message in all_schemas.messages if message.kind == kind)
        if not of_kind:
            continue
        c_name = kind.replace('-', '_') + 's'
        out.append(array(f'static const struct message_type *const {c_name}[]',
                         [f'[{key}] = &{snake(name)}_type' for key, name in of_kind]))
        rows.append(f'[{kind_in_c(kind)}] = {{{c_name}, {of_kind[-1][0] + 1}}}')
    out.append(array('const struct message_lookup codec_lookups[MESSAGE_KINDS]', rows))
    return ''.join(out)


def api_row(api):
    listeners = ' | '.join(f'API_ON_{listener.upper()}' for listener in api.listeners) or '0'
    stable = min(api.request.versions.high, api.unstable - 1)
    header_version = -1 if api.response_header is None else api.response_header
    return (f'{{{api.key}, "{api.name}", &{snake(api.request.name)}_type, &{snake(api.response.name)}_type, '
            f'{listeners}, {stable}, {header_version}}}')


# ---- the program -----------------------------------------------------------------------------------------------


def write(path, text):
    with open(path, 'w', encoding='utf-8') as out:
        out.write(text)


def main():
    parser = argparse.ArgumentParser(description='Writes the C structs and tables of the protocol\'s messages.')
    parser.add_argument('header')
    parser.add_argument('tables')
    parser.add_argument('--depfile')
    parser.add_argument('--schemas', default=HERE, metavar='FOLDER')
    options = parser.parse_args()
    try:
        all_schemas = schemas(options.schemas)
        write(options.tables, tables(all_schemas))
    except SchemaError as error:
        sys.exit(str(error))
    write(options.header, header(all_schemas))
    if options.depfile:
        found = files(options.schemas)
        inputs = found + sorted({os.path.dirname(path) for path in found}) + [os.path.abspath(__file__)]
        write(options.depfile, f"{options.header} {options.tables}: {' '.join(inputs)}\n")


if __name__ == '__main__':
    main()
