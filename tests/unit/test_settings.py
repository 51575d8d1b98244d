"""tests/check/settings.py: what counts as heeding a setting, and that both mistakes are found."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "check"))

import settings

TABLE = """
[broker]
asked.by.name: int = 1; low; read-only%s
put.in.a.field: int = 1; low; read-only%s
only.checked: int = 1; low; read-only%s
put.but.unused: int = 1; low; read-only%s
behind.a.topics: int = 1; low; read-only%s
java.only: int = 1; low; no effect
[topic]
a.topics: int = 1; low%s; behind: behind.a.topics
not.a.topics: int = 1; low%s
"""
CONFIG = """
static int load(struct broker_config *c)
{
    c->used = int_of(c, "put.in.a.field");
    c->unused = int_of(c, "put.but.unused");
    return c->used ? refuse(c, message, "%s: only.checked", "only.checked") : 0;
}

static int check_it(struct broker_config *c)
{
    return int_of(c, "only.checked") > 0;
}

static const struct number numbers[] = {
    {"a.topics", offsetof(struct log_config, used_by_log)},
    {"not.a.topics", offsetof(struct log_config, unused_by_log)},
};
"""
OTHER = """
static int run(struct server *s)
{
    return s->config->used + log->config.used_by_log + broker_config_value(c, STR("asked.by.name")); // ->unused
}
"""
HEEDED = [True, True, False, False, True, True, False]
NAMES = ["asked.by.name", "put.in.a.field", "only.checked", "put.but.unused", "behind.a.topics", "a.topics", "not.a.topics"]


def complaints(marked):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as table:
        table.write(TABLE % tuple("; no effect yet" if one else "" for one in marked))
        table.flush()
        return [what for _, what in settings.check(pathlib.Path(table.name), [CONFIG], [OTHER])]


right = [not heeded for heeded in HEEDED]
assert complaints(right) == [], complaints(right)
for at, name in enumerate(NAMES):
    wrong = [not mark if i == at else mark for i, mark in enumerate(right)]
    found = complaints(wrong)
    assert len(found) == 1 and name in found[0], (name, found)
print("[  PASSED  ] 1 test")
