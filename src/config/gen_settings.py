#!/usr/bin/env python3
"""Turns settings.txt into C: gen_settings.py settings.txt settings_table.c. The notation is explained at the file's top."""
import re
import sys

TYPES = {'boolean', 'int', 'short', 'long', 'double', 'string', 'list', 'class', 'password'}
UPDATES = {'read-only': 'READ_ONLY', 'per-broker': 'PER_BROKER', 'cluster-wide': 'CLUSTER_WIDE'}
INTEGERS = {'int': (-2**31, 2**31 - 1), 'short': (-2**15, 2**15 - 1), 'long': (-2**63, 2**63 - 1)}
HEAD = re.compile(r'(?P<name>[a-z0-9.]+): (?P<type>\w+) = (?P<default>""|\S+?)(?P<check> [^;]*)?; (?P<rest>.*)$')


class Setting:
    def __init__(self, where, match):
        self.where, self.name, self.type = where, match['name'], match['type']
        self.default, self.doc = match['default'], []
        self.fields = {}
        if self.type not in TYPES:
            self.fail('unknown type ' + self.type)
        self.read_check((match['check'] or '').strip())
        self.read_rest([word.strip() for word in match['rest'].split(';')])
        self.check_default()

    def fail(self, why):
        sys.exit('%s: %s: %s' % (self.where, self.name, why))

    def read_check(self, text):
        f = self.fields
        if text.startswith('unique'):
            f['unique'] = 'true'
            text = text[len('unique'):].strip()
            if text.startswith('not empty'):
                f['list_not_empty'] = 'true'
                text = text[len('not empty'):].strip()
        simple = {'': 'NONE', 'not empty': 'NOT_EMPTY', 'not null': 'NOT_NULL', 'replicas': 'REPLICAS', 'voters': 'VOTERS',
                  'servers': 'SERVERS', 'reset strategy': 'RESET'}
        if text in simple:
            f['check'] = 'SETTING_CHECK_' + simple[text]
            return
        values = re.match(r'in \{(.*)\}( any case)?$', text)
        if values:
            f['check'] = 'SETTING_CHECK_IN_ANY_CASE' if values[2] else 'SETTING_CHECK_IN'
            f['allowed'] = '(const char *const[]){%s, NULL}' % ', '.join(quote(v.strip()) for v in values[1].split(','))
            return
        bounds = re.match(r'in \[([-\d.]+?),\.\.\.(?:,([-\d.]+))?\](?: or (-?\d+))?$', text)
        if not bounds:
            self.fail('unknown check: ' + text)
        low, high, other = bounds.groups()
        f['check'] = 'SETTING_CHECK_RANGE_OR' if other else 'SETTING_CHECK_RANGE'
        f['minimum'], f['minimum_text'] = low, quote(low)
        f['maximum'] = high or 'HUGE_VAL'
        if high:
            f['maximum_text'] = quote(high)
        if other:
            f['other'] = other

    def read_rest(self, words):
        f = self.fields
        f['importance'] = {'high': 'SETTING_HIGH', 'medium': 'SETTING_MEDIUM', 'low': 'SETTING_LOW'}[words[0]]
        for word in words[1:]:
            if word in UPDATES:
                f['update'] = 'SETTING_' + UPDATES[word]
            elif word == 'no effect':
                f['without_effect'] = 'true'
            elif word == 'no effect yet':
                f['without_effect_yet'] = 'true'
            elif word == 'internal':
                f['internal'] = 'true'
            elif word.startswith('behind: '):
                names = [n.strip() for n in word[len('behind: '):].split(',')]
                f['behind'] = '(const char *const[]){%s, NULL}' % ', '.join(map(quote, names))
            else:
                self.fail('unknown word: ' + word)

    def check_default(self):
        if self.default == 'required':
            self.fields['required'] = 'true'
        if self.default in ('required', 'null'):
            return
        if self.type in INTEGERS:
            low, high = INTEGERS[self.type]
            if not low <= int(self.default) <= high:
                self.fail('the default is no ' + self.type)
        if self.type == 'boolean' and self.default not in ('true', 'false'):
            self.fail('the default is no boolean')
        self.fields['default_text'] = quote('' if self.default == '""' else self.default)

    def c(self):
        f = dict(self.fields, name=quote(self.name), type='SETTING_' + self.type.upper(), documentation=quote(' '.join(self.doc)))
        return '    {%s},' % ', '.join('.%s = %s' % item for item in sorted(f.items()))


def quote(text):
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'


def read(path):
    scopes, scope, setting = {'broker': [], 'topic': [], 'group': [], 'client metrics': []}, None, None
    for number, line in enumerate(open(path, encoding='utf-8'), 1):
        where, line = '%s:%d' % (path, number), line.rstrip()
        if not line or line.startswith('#'):
            continue
        if line.startswith('['):
            scope = scopes[line.strip('[]')]
        elif line.startswith('    '):
            setting.doc.append(line.strip())
        else:
            match = HEAD.match(line)
            if not match:
                sys.exit('%s: not understood: %s' % (where, line))
            setting = Setting(where, match)
            if any(s.name == setting.name for s in scope):
                setting.fail('twice')
            scope.append(setting)
    return scopes


def main(source, target):
    scopes = read(source)
    known = {s.name for s in scopes['broker']}
    out = ['// Made from settings.txt by gen_settings.py.', '#include "config/setting_table.h"', '', '#include <math.h>', '']
    for scope, settings in scopes.items():
        name = scope.replace(' ', '_')
        for s in settings:
            for behind in re.findall(r'"([^"]+)"', s.fields.get('behind', '')):
                if behind not in known:
                    s.fail('behind it is no broker setting: ' + behind)
        out += ['static const struct setting %s_settings[] = {' % name] + [s.c() for s in settings] + ['};', '']
        order = sorted(range(len(settings)), key=lambda i: settings[i].name)
        out += ['static const unsigned short %s_order[] = {%s};' % (name, ', '.join(map(str, order))), '']
    out += ['const struct setting_list setting_lists[SETTING_SCOPES] = {']
    for scope, settings in scopes.items():
        name = scope.replace(' ', '_')
        out += ['    {%s_settings, %s_order, %d},' % (name, name, len(settings))]
    out += ['};']
    with open(target, 'w', encoding='utf-8') as f:
        f.write('\n'.join(out) + '\n')


main(*sys.argv[1:])
