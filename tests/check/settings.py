"""Which settings does something heed? src/config/settings.txt marks those that nothing does (`no effect yet`), so that a
start can say so; this reads the sources and compares.

A setting is heeded when its name stands in a source outside src/config/, or when src/config/ puts it into a field that a
source outside uses; a check of its value alone heeds nothing. A broker's setting that only gives topics' (or groups') settings
their default is heeded as these are."""

import re

HEAD = re.compile(r"(?P<name>[a-z0-9.]+): \w+ = (?P<rest>.*)$")
FUNCTION = re.compile(r"^(?:static |const |struct )*[\w ]+?\**(\w+)\([^;{]*\)\n\{\n(.*?)^\}", re.M | re.S)
STRING = re.compile(r'"([a-z][a-z0-9.]+)"')
FIELD = re.compile(r'(?:->|\.)(\w+) =(?: [^;"]*)?\([^;]*"([a-z0-9.]+)"\)')
NUMBER = re.compile(r'\{"([a-z0-9.]+)", offsetof\(struct \w+, (\w+)\)')
RESOLVED = re.compile(r'topic_value\([^;]*?"([a-z0-9.]+)"[^;]*?\)[^;]*?out->(\w+)', re.S)
BEHIND = re.compile(r"behind: ([^;]+)")


def read(text):
    """(scope, name, words behind the default, line number) of each setting."""
    scope = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("["):
            scope = line.strip("[]")
        found = not line.startswith((" ", "#")) and HEAD.match(line)
        if found:
            yield scope, found["name"], [word.strip() for word in found["rest"].split(";")[1:]], number


def strip_comments(text):
    return re.sub(r"//[^\n]*", "", text)


def named(texts):
    return {name for text in texts for name in STRING.findall(text)}


def heeded_by_sources(config, others):
    """The names that a source heeds by itself. config, others: texts of the sources in and outside src/config/."""
    outside = "\n".join(others)
    used = set(re.findall(r"(?:->|\.)(\w+)", outside))
    heeded = named(others)
    for text in config:
        for function, body in FUNCTION.findall(text):
            if function.startswith("check_"):
                continue
            fields = {name: field for field, name in FIELD.findall(body)}
            fields.update({name: field for name, field in RESOLVED.findall(body)})
            plain = re.sub(r"refuse\([^;]*;", "", body)
            heeded |= {name for name in named([plain]) if name not in fields or fields[name] in used}
        heeded |= {name for name, field in NUMBER.findall(text) if field in used}
    return heeded


def check(path, config, others):
    """Yields (line, what) for each setting that is marked wrongly."""
    settings = list(read(path.read_text()))
    heeded = heeded_by_sources([strip_comments(t) for t in config], [strip_comments(t) for t in others])
    behind = {}
    for scope, name, words, _ in settings:
        for found in map(BEHIND.match, words):
            for broker in found[1].split(",") if found else []:
                behind.setdefault(broker.strip(), []).append(name)
    for scope, name, words, number in settings:
        if scope not in ("broker", "topic"):
            continue
        is_heeded = name in heeded or (scope == "broker" and any(above in heeded for above in behind.get(name, [])))
        unheeded = "no effect" in words or "no effect yet" in words
        if is_heeded and unheeded:
            yield number, f"{name} is heeded by a source: it is not without effect (any more)"
        if not is_heeded and not unheeded:
            yield number, f"no source heeds {name}: say `no effect yet`"
