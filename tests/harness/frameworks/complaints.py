"""What the log of a framework says against the broker that it runs on.

Looked for are warnings and errors of Kafka's clients, and from anybody what tells of a request or an answer that was not understood.
What is said of a broker as it should be is listed with its reason; lost connections are usual beside a planned end of a broker alone.
"""

import datetime
import re

# Who speaks for a client of Kafka's, however a log shortens the class's name.
_CLIENT = re.compile(
    r"\b(\w*NetworkClient\w*|Selector|Sender|TransactionManager|RecordAccumulator|KafkaProducer|\w*KafkaConsumer|KafkaAdminClient"
    r"|AdminMetadataManager|AdminApiDriver|(Producer|Consumer)?Metadata|\w*Fetch(er|Collector|SessionHandler)\w*|SubscriptionState|\w*Coordinator"
    r"|\w*RequestManager|ClientUtils|KafkaConfigBackingStore|KafkaOffsetBackingStore|KafkaStatusBackingStore|KafkaBasedLog|rdkafka)\b"
)
_LOUD = re.compile(r"\b(WARN|WARNING|ERROR|FATAL)\b|^%[0-4]\|")  # the last: librdkafka's
_WRONG = re.compile(
    "UnsupportedVersion|CorruptRecord|CorruptMessage|UnknownServer(Error|Exception)|UNKNOWN_SERVER_ERROR|InvalidRequest|SchemaException"
    "|CorrelationIdMismatch|BufferUnderflow|Unexpected error code|unexpected error in|InvalidRecordException|INVALID_RECORD|CORRUPT_MESSAGE"
)
_LOST = re.compile(r"\bdisconnected|Connection to node .* could not be established|Bootstrap broker|Connect to .* failed", re.I)
_TIME = re.compile(r"\b(\d\d):(\d\d):(\d\d)\b|^%\d\|(\d+)\.")

# After a broker is back, its clients may say for this long that it was away.
GRACE_S = 60

# What is said of a broker that is as it should be, and why.
USUAL = [
    (
        r"(recoverable issue|Error while fetching metadata) .*=(UNKNOWN_TOPIC_OR_PARTITION|LEADER_NOT_AVAILABLE)\}",
        "Streams and Connect look for the topics that they make",
    ),
    (r"Error: (CONCURRENT_TRANSACTIONS|NOT_ENOUGH_REPLICAS)", "the producer's transaction before is still ending; it asks again"),
    (r"WARN.*\b\w*Coordinator\b", "members are late, and topics still to be made, on a busy machine; what comes of that the tests see"),
    ("retrying .* Error: OUT_OF_ORDER_SEQUENCE_NUMBER", "a batch right behind one that is asked again; one that is lost the tests see"),
    (
        r"Cancelled in-flight \w+ request .* due to node 2147483\d+ being disconnected",
        "a member that finds itself late looks for its coordinator anew; of a connection that the broker closes it says first 'Node ... disconnected'",
    ),
    (
        "UNKNOWN_MEMBER_ID|ILLEGAL_GENERATION|REBALANCE_IN_PROGRESS|RebalanceInProgress|CommitFailed|UnknownMemberId|ProducerFenced"
        "|PRODUCER_FENCED|InvalidProducerEpoch|INVALID_PRODUCER_EPOCH",
        "whoever was missed for longer than its session is fenced",
    ),
    (r"Not updating high watermark .* no longer assigned", "Debezium's reader of its history has ended"),
    (r"Close timed out with \d+ pending requests to coordinator", "Connect, when it is stopped, does not wait for the group"),
    (r"Aborting producer batches due to fatal error", "of which the task or the application then fails, which the tests see"),
]

# The same, of a broker that the test has ended, and until shortly after it is back.
USUAL_WHILE_AWAY = [
    (_LOST.pattern, "the connections end with it"),
    (
        "NOT_LEADER_OR_FOLLOWER|(COORDINATOR|LEADER)_NOT_AVAILABLE|NOT_COORDINATOR|COORDINATOR_LOAD_IN_PROGRESS|NETWORK_EXCEPTION|TIMED_OUT"
        "|TimeoutException|DisconnectException|coordinator (is not available|is loading)",
        "a broker that stops or starts says so, or nothing, and its clients ask again",
    ),
]


def complaints(runner, away):
    """The lines of its logs that are not usual. away: spans of time, in seconds of the epoch, when a broker was ended by the test."""
    return [f"{runner.name}: {line}" for path in runner.logs() for line in of_log(path.read_text(errors="replace"), away)]


def of_log(text, away):
    found = []
    for line in text.splitlines():
        usual = _any(USUAL, line) or (_any(USUAL_WHILE_AWAY, line) and _beside(_seconds(line), away))
        if complains(line) and not usual:
            found.append(line[:600])
    return found


def complains(line):
    return bool(_WRONG.search(line) or ((_LOST.search(line) or _LOUD.search(line)) and _CLIENT.search(line)))


def _any(usual, line):
    return any(re.search(pattern, line, re.I) for pattern, _ in usual)


def _seconds(line):
    """The time of day of a line, in seconds; None where it has none."""
    found = _TIME.search(line)
    if not found:
        return None
    if found[4]:
        return _of_day(int(found[4]))
    return int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3])


def _of_day(epoch_s):
    at = datetime.datetime.fromtimestamp(epoch_s)
    return at.hour * 3600 + at.minute * 60 + at.second


def _beside(second, away):
    """True where that second of a day is in one of the spans or shortly after it; and for a line without a time."""
    day = 24 * 3600
    for start, end in away:
        if second is None or (second - _of_day(start) + 1) % day <= min(end - start, day) + GRACE_S + 1:
            return True
    return False
