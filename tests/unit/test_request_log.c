// A line for each request: what stands in it, what may not, and that nobody waits for the log.
#include "reactor_server.h"

#include "server/request_log.h"

#include <jansson.h>

static int log_pipe[2]; // what the logger writes, and the test reads
static char text[1 << 20];
static size_t text_size;

// The next line of the log, without its end.
static char *next_line(void)
{
    static char line[sizeof text];
    char *end;
    while (!(end = memchr(text, '\n', text_size))) {
        struct pollfd p = {.fd = log_pipe[0], .events = POLLIN};
        assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
        ssize_t n = read(log_pipe[0], text + text_size, sizeof text - text_size);
        assert_true(n > 0);
        text_size += (size_t)n;
    }
    size_t size = (size_t)(end - text);
    memcpy(line, text, size);
    line[size] = 0;
    memmove(text, end + 1, text_size - size - 1);
    text_size -= size + 1;
    return line;
}

// The object of a request's line.
static json_t *parse(const char *line)
{
    const char *start = strstr(line, " DEBUG kafka.request.logger: Completed request:{");
    if (!start)
        fail_msg("no request: %s", line);
    json_error_t why;
    json_t *object = json_loads(strchr(start, '{'), JSON_REJECT_DUPLICATES, &why);
    if (!object)
        fail_msg("no JSON (%s): %s", why.text, line);
    return object;
}

static const char *member(const json_t *object, const char *first, const char *second)
{
    return json_string_value(
        json_object_get(second ? json_object_get(object, first) : object, second ? second : first));
}

static json_int_t number(const json_t *object, const char *first, const char *second)
{
    return json_integer_value(json_object_get(json_object_get(object, first), second));
}

static void a_line_tells_of_request_response_and_time(void **state)
{
    (void)state;
    start();
    int fd = dial();
    send_heartbeat(fd, "before", 1); // off: no line
    expect_heartbeat(fd, 1);
    logger_set(&logger_requests, LOG_LEVEL_DEBUG);
    send_heartbeat(fd, "overtake", 2);
    wait_until(is_parked(2));
    int64_t from_us = clock_monotonic_us();
    while (clock_monotonic_us() - from_us < 2000)
        ; // it waits, and the line says so
    wake(2);
    expect_heartbeat(fd, 2);
    json_t *o = parse(next_line());
    assert_int_equal(number(o, "requestHeader", "requestApiKey"), 12);
    assert_int_equal(number(o, "requestHeader", "requestApiVersion"), 4);
    assert_int_equal(number(o, "requestHeader", "correlationId"), 1002);
    assert_string_equal(member(o, "requestHeader", "clientId"), "test");
    assert_string_equal(member(o, "requestHeader", "requestApiKeyName"), "HEARTBEAT");
    assert_string_equal(member(o, "request", "groupId"), "overtake");
    assert_int_equal(number(o, "response", "throttleTimeMs"), 2);
    assert_memory_equal(member(o, "connection", NULL), "127.0.0.1:", 10);
    assert_string_equal(member(o, "listener", NULL), "PLAINTEXT");
    double total = json_real_value(json_object_get(o, "totalTimeMs"));
    double local = json_real_value(json_object_get(o, "localTimeMs"));
    double remote = json_real_value(json_object_get(o, "remoteTimeMs"));
    double send = json_real_value(json_object_get(o, "sendTimeMs"));
    assert_true(local + remote >= 2 && local >= 0 && remote >= 0 && send >= 0);
    assert_true(local + remote + send > total - 0.01 && local + remote + send < total + 0.01);
    json_decref(o);

    send_heartbeat(fd, "none", 3); // no response is sent
    send_heartbeat(fd, "after", 4);
    expect_heartbeat(fd, 4);
    o = parse(next_line());
    assert_string_equal(member(o, "request", "groupId"), "none");
    assert_true(json_is_null(json_object_get(o, "response")));
    json_decref(o);
    o = parse(next_line());
    assert_string_equal(member(o, "request", "groupId"), "after");
    json_decref(o);

    logger_set(&logger_requests, LOG_LEVEL_INFO);
    send_heartbeat(fd, "off again", 5);
    expect_heartbeat(fd, 5);
    send_heartbeat(fd, "close", 6);
    expect_closed(fd);
    assert_non_null(strstr(next_line(), "the test said so")); // and no line of those two before it
    close(fd);
    stop();
    assert_int_equal(text_size, 0);
}

// Requests whose connection is closed before they are answered have no line, and leave nothing behind.
static void what_is_never_answered_is_not_logged(void **state)
{
    (void)state;
    start();
    logger_set(&logger_requests, LOG_LEVEL_DEBUG);
    int fd = dial();
    send_heartbeat(fd, "overtake", 7);
    wait_until(is_parked(7));
    close(fd);
    wait_until(atomic_load(&server.cancelled) == 1);
    fd = dial();
    send_heartbeat(fd, "seen", 8);
    expect_heartbeat(fd, 8);
    json_t *o = parse(next_line());
    assert_string_equal(member(o, "request", "groupId"), "seen");
    json_decref(o);
    close(fd);
    logger_set(&logger_requests, LOG_LEVEL_WARN);
    stop();
}

// The log is a pipe that nobody reads: requests are served all the same, and later a line says what is
// missing.
static void nobody_waits_for_the_log(void **state)
{
    (void)state;
    enum { ROUNDS = 400, EACH = 32 };
    start();
    logger_set(&logger_requests, LOG_LEVEL_DEBUG);
    char what[501] = {0};
    memset(what, 'w', sizeof what - 1);
    int fd = dial();
    for (int round = 0; round < ROUNDS; round++) {
        struct buffer b = BUFFER_INIT;
        for (int i = 0; i < EACH; i++)
            add_heartbeat(&b, what, i);
        send_buffer(fd, &b);
        for (int i = 0; i < EACH; i++)
            expect_heartbeat(fd, i);
    }
    // What was waiting comes, then a request is taken again, and tells of the gap before it.
    unsigned lines = 0, left_out = 0;
    while (!left_out) {
        const char *line = next_line(), *gap = strstr(line, " requests are left out here");
        if (gap) {
            while (gap > line && gap[-1] >= '0' && gap[-1] <= '9')
                gap--;
            left_out = (unsigned)strtoul(gap, NULL, 10);
        } else {
            json_decref(parse(line));
            if (++lines % 100 == 0) {
                send_heartbeat(fd, "more", 1);
                expect_heartbeat(fd, 1);
            }
        }
    }
    assert_true(left_out > 0 && lines + left_out >= ROUNDS * EACH);
    assert_true(lines < ROUNDS * EACH);
    logger_set(&logger_requests, LOG_LEVEL_WARN);
    close(fd);
    stop();
    while (text_size)
        next_line();
}

// Nor does whoever else has something to log, and the server stops.
static void nobody_waits_behind_the_log(void **state)
{
    (void)state;
    enum { REQUESTS = 400 };
    start();
    logger_set(&logger_requests, LOG_LEVEL_DEBUG);
    char what[501] = {0};
    memset(what, 'w', sizeof what - 1);
    int fd = dial();
    for (int i = 0; i < REQUESTS; i++) {
        send_heartbeat(fd, what, i);
        expect_heartbeat(fd, i);
    }
    log_warn("server", "in between");
    send_heartbeat(fd, "close", 1);
    expect_closed(fd); // which its reactor logs
    close(fd);
    logger_set(&logger_requests, LOG_LEVEL_WARN);
    stop();
    log_warn("server", "the end");
    unsigned others = 0;
    for (const char *line; !strstr(line = next_line(), "the end");)
        others += strstr(line, "in between") || strstr(line, "the test said so");
    assert_int_equal(others, 2);
    assert_int_equal(text_size, 0);
}

static void loggers_have_levels_of_their_own_or_the_roots(void **state)
{
    (void)state;
    struct logger *root = logger_at(0), *storage = logger_find(STR("storage"));
    assert_string_equal(root->name, "root");
    assert_ptr_equal(logger_find(STR("kafka.request.logger")), &logger_requests);
    assert_null(logger_find(STR("kafka")));
    assert_int_equal(logger_level(storage), LOG_LEVEL_INFO);
    logger_set(root, LOG_LEVEL_ERROR);
    assert_int_equal(logger_level(storage), LOG_LEVEL_ERROR);
    logger_set(storage, LOG_LEVEL_WARN);
    assert_int_equal(logger_level(storage), LOG_LEVEL_WARN);
    log_warn("storage", "written");
    log_warn("server", "dropped");
    log_error("server", "written, too");
    assert_non_null(strstr(next_line(), " WARN  storage: written"));
    assert_non_null(strstr(next_line(), " ERROR server: written, too"));
    logger_set(storage, LOGGER_INHERITS);
    assert_int_equal(logger_level(storage), LOG_LEVEL_ERROR);
    logger_set(&logger_requests, LOGGER_INHERITS);
    assert_int_equal(logger_level(&logger_requests), LOG_LEVEL_ERROR);
    logger_set(&logger_requests, LOG_LEVEL_WARN);
    logger_set(root, LOG_LEVEL_INFO);
}

int main(void)
{
    assert_int_equal(pipe(log_pipe), 0);
    logger_set_fd(log_pipe[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loggers_have_levels_of_their_own_or_the_roots),
        cmocka_unit_test(a_line_tells_of_request_response_and_time),
        cmocka_unit_test(what_is_never_answered_is_not_logged),
        cmocka_unit_test(nobody_waits_for_the_log),
        cmocka_unit_test(nobody_waits_behind_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
