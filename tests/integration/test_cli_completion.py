"""What the shells complete, and the manual pages: both are made of the commands themselves."""

import os
import subprocess

import pytest
from confluent_kafka import Consumer, TopicPartition

from harness.broker import cli_binary, odradek_binary
from harness.members import await_group
from harness.process import die_with_parent
from harness.terminal import Terminal


def odradek(*words):
    done = subprocess.run([odradek_binary(), *words], capture_output=True, text=True, timeout=120, preexec_fn=die_with_parent)
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


def shell(name, script):
    """The script runs where `odradek` is a program of the path."""
    line = [name, "--norc"] if name == "bash" else [name, "-f"]
    if name == "zsh":
        script = f"autoload -Uz compinit; compinit -u -D\n{script}"
    script = f'PATH="{cli_binary().parent}:$PATH"\n{script}'
    done = subprocess.run(line, input=script, capture_output=True, text=True, timeout=120, preexec_fn=die_with_parent)
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout.split()


def bash(*words):
    """What the function finds for a line with the cursor at its end."""
    line = " ".join(words)
    find = f'COMP_LINE="{line}"\nCOMP_POINT={len(line)}\ncompopt() {{ :; }}\n_odradek\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    return shell("bash", f"source <(odradek completion bash)\n{find}")


def zsh(*words):
    """What the function hands to zsh's own, without their descriptions."""
    quoted = " ".join(f"'{word}'" for word in words)
    ours = "_describe() { print -l -- ${(P)2%%:*} }\n_files() { print FILES }\n"
    return shell("zsh", f"source <(odradek completion zsh)\n{ours}words=({quoted})\nCURRENT={len(words)}\n_odradek")


TOPIC_COMMANDS = ["create", "list", "describe", "alter", "delete"]


def test_bash_completes_commands_and_options():
    assert {"server", "topic", "group", "completion", "--help"} <= set(bash("odradek", ""))
    assert bash("odradek", "topic", "") == [*TOPIC_COMMANDS, "--help"]
    assert bash("odradek", "topic", "de") == ["describe", "delete"]
    assert bash("odradek", "topic", "create", "x", "--part") == ["--partitions"]
    assert bash("odradek", "topic", "create", "--config", "") == []  # a value is the shell's to complete
    assert bash("odradek", "config", "get", "t") == ["topic/"]


def test_zsh_completes_commands_and_options():
    assert zsh("odradek", "topic", "") == TOPIC_COMMANDS
    assert {"--partitions", "--help"} <= set(zsh("odradek", "topic", "create", "-"))
    assert zsh("odradek", "log", "dump", "") == ["FILES"]
    assert "topic/" in zsh("odradek", "config", "get", "")


EVIL = "$(touch evil) `touch evil`; touch evil #"
EVIL_IN_BASH = r"\$\(touch\ evil\)\ \`touch\ evil\`\;\ touch\ evil\ #"


def make_group(broker, name):
    await_group(broker.port, name)
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": name})
    consumer.commit(offsets=[TopicPartition("orders", 0, 0)], asynchronous=False)
    consumer.close()


def test_what_a_client_calls_its_group_is_not_run(brokers, tmp_path, monkeypatch):
    """Nor does it end the list of the others; each is quoted, so that it is not run later."""
    broker = brokers.start()
    odradek("topic", "create", "orders", "-b", broker.bootstrap)
    for group in (EVIL, "two\nlines", "plain"):
        make_group(broker, group)
    monkeypatch.chdir(tmp_path)
    assert sorted(bash("odradek", "group", "describe", "-b", broker.bootstrap, "")) == sorted(["plain", *EVIL_IN_BASH.split()])
    assert bash("odradek", "group", "describe", "-b", broker.bootstrap, "pl") == ["plain"]
    assert "plain" in zsh("odradek", "group", "describe", "-b", broker.bootstrap, "")
    assert not list(tmp_path.iterdir())


def test_topics_and_groups_are_asked_for(brokers):
    broker = brokers.start()
    for topic in ("orders", "payments"):
        odradek("topic", "create", topic, "-b", broker.bootstrap)
    assert bash("odradek", "topic", "describe", "-b", broker.bootstrap, "") == ["orders", "payments"]
    assert bash("odradek", "topic", "describe", f"--bootstrap={broker.bootstrap}", "p") == ["payments"]
    assert zsh("odradek", "topic", "delete", "-b", broker.bootstrap, "") == ["orders", "payments"]
    assert bash("odradek", "config", "get", "-b", broker.bootstrap, "topic/p") == ["topic/payments"]
    assert zsh("odradek", "config", "get", "-b", broker.bootstrap, "topic/") == ["topic/orders", "topic/payments"]
    assert bash("odradek", "topic", "delete", "-b", "127.0.0.1:1", "") == []  # nobody there: nothing is said
    assert zsh("odradek", "topic", "delete", "-b", "127.0.0.1:1", "") == []


@pytest.mark.parametrize("name, start", [("bash", "source <(odradek completion bash)"), ("zsh", "autoload -Uz compinit; compinit -u -D; source <(odradek completion zsh)")])
def test_a_person_types(brokers, name, start):
    """In a shell, with the key for it: also behind an address, whose colon is a word's end to bash, and within a name that has one."""
    broker = brokers.start()
    odradek("topic", "create", "orders", "-b", broker.bootstrap)
    history = ["q!!", "q1"] if name == "bash" else []  # what would be a command of before, within double quotes
    for group in ("app:billing", "my own: group", "h\\b\"c", EVIL, *history):
        make_group(broker, group)
    line = [name, "--norc", "--noprofile", "-i"] if name == "bash" else [name, "-f", "-i"]
    terminal = Terminal(line, {"PATH": f"{cli_binary().parent}:{os.environ['PATH']}", "PS1": "> ", "TERM": "dumb"})
    terminal.until("> ")
    terminal.type(f"{start}; echo be'gun'\n")
    place = terminal.until("begun")
    place = terminal.until("> ", place)
    quoted = [(f'group describe -b {broker.bootstrap} "q', '"q1" ')] if history else []
    for typed, becomes in (*quoted, (f"topic describe -b {broker.bootstrap} or", "orders "), (f"group describe --bootstrap={broker.bootstrap} app:b", "app:billing "), ("config get to", "topic/"),
                           (f"config get -b {broker.bootstrap} topic/o", "topic/orders "), ("topic cr", "create "), (f"group describe -b {broker.bootstrap} my", "my\\ own:\\ group "),
                           (f"group describe -b {broker.bootstrap} my\\ own:", "my\\ own:\\ group "), (f'group describe -b {broker.bootstrap} "my o', '"my own: group" '),
                           (f"group describe -b {broker.bootstrap} h", 'h\\\\b\\"c '), (f"config get -b {broker.bootstrap} group/my", "group/my\\ own:\\ group ")):
        terminal.type(f"odradek {typed}\t")
        before = typed.partition(broker.bootstrap + " ")
        before = "".join(before[:2]) if before[1] else typed.rpartition(" ")[0] + " "
        place = terminal.until(f"odradek {before}{becomes}", place)
        terminal.type("\x15")  # takes the line away
    terminal.type("exit\n")
    terminal.end()


@pytest.mark.parametrize("page", [(), ("topic",), ("group",), ("server",), ("log",), ("completion",)])
def test_every_page_is_one_that_man_reads(page):
    """Typeset without a warning, with all that --help says."""
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-P-cbou"], input=odradek("man", *page), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done
    assert done.stdout.startswith("ODRADEK")
    shown = set(done.stdout.replace("\u2010", "-").replace("\u2212", "-").split())
    for word in odradek(*page, "--help").split():
        assert word in shown, word


def test_what_is_no_command_is_told():
    for words, said in ((["man", "nothing"], "nothing is no command"), (["completion", "fish"], "fish is neither"), (["completion"], "no shell")):
        done = subprocess.run([odradek_binary(), *words], capture_output=True, text=True, timeout=120)
        assert done.returncode == 2 and said in done.stderr and not done.stdout
