#!/usr/bin/env python3
"""The style checker: the rules of docs/architecture.md that a machine can hold. Standard library only.

Prints each breach as `file:line: what`, and closes with the number of rules that hold and that do not.
"""

import pathlib
import re
import subprocess
import sys

import settings

TOP = pathlib.Path(__file__).resolve().parents[2]

# A room may include its own headers and those of any room to its right.
LAYERS = [
    ["cli"],
    ["server"],
    ["http", "registry", "connect", "sql", "security", "demo"],
    ["client"],
    ["controller", "coordinator", "quota", "telemetry"],
    ["replication"],
    ["raft"],
    ["metadata"],
    ["config"],
    ["storage"],
    ["protocol"],
    ["os"],
    ["metrics"],
    ["base"],
]
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}

# What writes past its buffer, hides an error, or runs a shell; and what to use.
BANNED = {
    "strcpy": "snprintf or memcpy",
    "stpcpy": "snprintf or memcpy",
    "strcat": "snprintf",
    "strncpy": "snprintf or memcpy",
    "strncat": "snprintf",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "gets": "fgets",
    "atoi": "strtol",
    "atol": "strtol",
    "atoll": "strtoll",
    "atof": "strtod",
    "system": "posix_spawn",
    "popen": "posix_spawn",
    "tmpnam": "mkstemp",
    "mktemp": "mkstemp",
    "strtok": "strtok_r",
    "alloca": "an arena",
    "setjmp": "an error code",
    "rand": "a seeded generator",
    "srand": "a seeded generator",
    "localtime": "localtime_r",
    "gmtime": "gmtime_r",
    "usleep": "a timer",
}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
MAX_LINES = 900

# Addresses of package registries and paths of somebody's machine say nothing to a reader and are wrong tomorrow.
REGISTRIES = re.compile(r"\b(" + "|".join(("pypi" r"\.org", "pythonhosted" r"\.org", "repo1?" r"\.maven", "deb" r"\.debian\.org")) + r")", re.I)
MACHINE_PATHS = re.compile(r"(?<![\w.~$}/-])/(?:home|root|Users|work)/[\w.-]+")

COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def tracked(*patterns):
    command = ["git", "-C", TOP, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *patterns]
    names = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split("\0")
    return [TOP / name for name in names if name and (TOP / name).is_file()]


def text_of(path):
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""  # not a text file


def code_only(text):
    """The text with comments and strings blanked, lines kept."""
    return COMMENT_OR_STRING.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def lines(text):
    return enumerate(text.split("\n"), 1)


def room_of(path):
    parts = path.relative_to(TOP).parts
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def check_dependencies():
    """Includes point downwards through the rooms, or stay within one."""
    for path in tracked("src/*.c", "src/*.cc", "src/*.h"):
        room = room_of(path)
        for number, line in lines(text_of(path)):
            found = INCLUDE.match(line)
            if not found or room is None:
                continue
            other = found.group(1).split("/")[0] if "/" in found.group(1) else room
            if room not in RANK or (other not in RANK and other != "generated"):
                yield path, number, f"no room of this name: {room if room not in RANK else other}"
            elif other != room and other in RANK and RANK[other] <= RANK[room]:
                yield path, number, f"{room}/ may not include {found.group(1)}: dependencies point downwards"


def check_banned():
    """No function that cannot be used safely."""
    for path in tracked("*.c", "*.cc", "*.h"):
        for number, line in lines(code_only(text_of(path))):
            for call in CALL.findall(line):
                if call in ("setjmp", "rand", "srand", "usleep", "system") and room_of(path) is None:
                    continue  # fine in tests and in the benchmark: no input of others
                yield path, number, f"{call}() is banned: use {BANNED[call]}"


def check_system_calls():
    """Only os/ and the entry points talk to the system's headers for files and sockets."""
    headers = re.compile(r"^\s*#\s*include\s+<(sys/socket|sys/epoll|sys/eventfd|netinet/\w+|arpa/inet|sys/sendfile|dirent)\.h>")
    for path in tracked("src/*.c", "src/*.cc", "src/*.h"):
        for number, line in lines(text_of(path)):
            found = headers.match(line)
            if found and room_of(path) not in ("os", "cli"):
                yield path, number, f"<{found.group(1)}.h> belongs into os/"


PROCESSORS = re.compile(r"\b(__x86_64__|__i386__|__aarch64__|__arm__|__SSE\w*|__AVX\w*|__asm__|asm|\w*mmintrin\.h|arm_neon\.h|cpuid\.h)\b")


def check_processors():
    """Only the checksum knows of processors: everything else is built for any."""
    for path in tracked("src/*.c", "src/*.cc", "src/*.h"):
        if path.name == "crc32c.c":
            continue
        for number, line in lines(code_only(text_of(path))):
            for word in PROCESSORS.findall(line):
                yield path, number, f"{word} belongs into base/crc32c.c"


def check_readmes():
    """Each folder in src/ has a README.md of at most a page."""
    for folder in sorted({TOP / "src" / room_of(path) for path in tracked("src") if room_of(path)}):
        readme = folder / "README.md"
        if not readme.exists():
            yield folder, 0, "has no README.md"
        elif len(readme.read_text().split("\n")) > 90:
            yield readme, 0, "is longer than a page (90 lines)"


def check_length():
    """A file has one subject: no source of more than 900 lines."""
    for path in tracked("*.c", "*.cc", "*.h", "*.py", "*.js", "*.java", "dev"):
        count = text_of(path).count("\n")
        if count > MAX_LINES:
            yield path, count, f"{count} lines; {MAX_LINES} are the limit"


def check_unfinished():
    """Nothing is marked as to be done later."""
    for path in tracked("*.c", "*.cc", "*.h", "*.py", "*.js", "*.java", "dev", "*.build"):
        if path == pathlib.Path(__file__).resolve():
            continue
        for number, line in lines(text_of(path)):
            found = UNFINISHED.search(line)
            if found:
                yield path, number, f"{found.group(1)} in the code"


def check_mentions():
    """No addresses of package registries, no paths of one machine."""
    for path in tracked():
        if path.name == "LICENSE" or path == pathlib.Path(__file__).resolve():
            continue
        for number, line in lines(text_of(path)):
            for pattern in (REGISTRIES, MACHINE_PATHS):
                found = pattern.search(line)
                if found:
                    yield path, number, f"names {found.group()}"


def check_whitespace():
    """No trailing blanks, a newline at the end."""
    for path in tracked("*.c", "*.cc", "*.h", "*.py", "*.md", "*.build", "dev"):
        text = text_of(path)
        for number, line in lines(text):
            if line != line.rstrip():
                yield path, number, "trailing blanks"
        if text and not text.endswith("\n"):
            yield path, text.count("\n") + 1, "no newline at the end"


def check_format():
    """C sources are as clang-format lays them out."""
    sources = tracked("*.c", "*.cc", "*.h")
    done = subprocess.run(["clang-format", "--dry-run", "--ferror-limit=1", *sources], capture_output=True, text=True)
    for found in re.finditer(r"^(.+?):(\d+):\d+: warning", done.stderr, re.M):
        yield pathlib.Path(found.group(1)), int(found.group(2)), "not as clang-format lays it out: ./dev fmt"
    if done.returncode and "warning" not in done.stderr:
        yield TOP, 0, f"clang-format failed: {done.stderr.strip()[:200]}"


def check_settings():
    """Settings say that they have no effect yet when, and only when, no source heeds them."""
    table = TOP / "src/config/settings.txt"
    about = {"alter.c", "broker_change.c", "setting.c", "setting_check.c", "describe.c", "overlay.c", "unserved_bounds.c"}  # of settings as such
    sources = tracked("src/*.c")
    config = [text_of(path) for path in sources if path.parent == table.parent and path.name not in about]
    others = [text_of(path) for path in sources if path.parent != table.parent]
    for number, what in settings.check(table, config, others):
        yield table, number, what


def tests_named(cell):
    """(file, test or None) of each test in a cell of the table: `settings: a, b; test_x.py: c; test_y.c`."""
    for part in cell.split(";"):
        where, _, names = part.strip().partition(": ")
        if where.startswith(("settings", "test_")):
            for name in names.split(", ") if names else [None]:
                yield "test_settings.py" if where == "settings" else where, name


def check_topic_settings():
    """docs/storage.md has every setting of topics, each with tests that there are."""
    table, page = TOP / "src/config/settings.txt", TOP / "docs/storage.md"
    settings_of_topics = {name for scope, name, words, _ in settings.read(text_of(table)) if scope == "topic" and "internal" not in words}
    tests = {path.name: text_of(path) for path in tracked("tests/*test_*.py", "tests/*test_*.c") if "unit/test_settings" not in str(path)}
    rows = text_of(page).split("| setting |")[1].split("\n\n")[0].splitlines()[2:]
    for row in rows:
        names, _, _, cell = (part.strip() for part in row.strip("|").split("|"))
        stem = names.split(".")[0]
        settings_of_topics -= {name if not name.startswith(".") else stem + name for name in names.split(", ")}
        for file, name in tests_named(cell):
            if file not in tests or name and f"test_{name}" not in tests[file]:
                yield page, 0, f"{names}: there is no test {file}: {name}"
    for name in sorted(settings_of_topics):
        yield page, 0, f"{name} is not in the table"


CHECKS = [
    check_dependencies,
    check_system_calls,
    check_banned,
    check_processors,
    check_readmes,
    check_length,
    check_unfinished,
    check_mentions,
    check_whitespace,
    check_settings,
    check_topic_settings,
    check_format,
]


def main():
    failed = 0
    for check in CHECKS:
        breaches = list(check())
        failed += bool(breaches)
        for path, number, what in breaches:
            print(f"{path.relative_to(TOP) if path.is_relative_to(TOP) else path}:{number}: {what}")
        print(f"{'FAIL' if breaches else 'ok  '}  {check.__doc__.strip()}")
    print(f"style: {len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
