// odradek demo
#include "cli/options.h"

#include "base/error.h"
#include "demo/demo.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const char help[] =
    "  odradek demo\n"
    "  odradek demo --rate 500 --seed 7\n"
    "  odradek demo --history 60 --speed 600     # the last hour, in six seconds\n"
    "\n"
    "The traffic of a made-up shop: page views, orders and payments are written to shop.views, shop.orders "
    "and\n"
    "shop.payments as they happen, some late and some twice, more of them in the evening (UTC) than at "
    "night. The\n"
    "consumer group shop-minutes counts them and writes orders, revenue by country and conversion of each "
    "minute to\n"
    "shop.minutes. The board Shop of the dashboard shows them. Runs until SIGTERM or Ctrl-C, and waits for a "
    "broker\n"
    "that is not there.\n"
    "  -r, --rate N                      events a second, on an average over the day (20)\n"
    "  -s, --seed N                      another shop (1)\n"
    "  -H, --history MINUTES             how long it has been open, where the topics are new (60)\n"
    "  -x, --speed N                     the history passes N times as fast (at once)\n"
    "  -w, --with-input                  end when standard input ends\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker (127.0.0.1:9092)\n";

enum { DEMO_RATE, DEMO_SEED, DEMO_HISTORY, DEMO_SPEED, DEMO_WITH_INPUT, DEMO_BOOTSTRAP };

static const struct option known[] = {
    {"rate", 'r', true},        {"seed", 's', true},      {"history", 'H', true}, {"speed", 'x', true},
    {"with-input", 'w', false}, {"bootstrap", 'b', true}, {NULL, 0, false}};

#define MINUTE_MS    60000
#define GRACE_MS     1000 // with --with-input: one that cannot start ends before
#define STOP_WAIT_MS 3000

struct demo_call {
    struct demo_options options;
    bool with_input;
};

static void say(const char *line)
{
    fprintf(stderr, "odradek demo: %s\n", line);
}

static bool take_option(struct demo_call *c, const struct options *o, int option)
{
    int64_t n;
    switch (option) {
    case DEMO_RATE:
        if (!options_number(o, 1, 10000, &n))
            return false;
        c->options.events_per_second = (double)n;
        return true;
    case DEMO_SEED:
        if (!options_number(o, 0, INT64_MAX, &n))
            return false;
        c->options.seed = (uint64_t)n;
        return true;
    case DEMO_HISTORY:
        if (!options_number(o, 0, 24 * 60, &n))
            return false;
        c->options.history_ms = n * MINUTE_MS;
        return true;
    case DEMO_SPEED:
        if (!options_number(o, 2, 100000, &n))
            return false;
        c->options.speed = (double)n;
        return true;
    case DEMO_WITH_INPUT:
        c->with_input = true;
        return true;
    default:
        c->options.servers = o->value;
        return true;
    }
}

// Whether it is to end within this time (-1: however long): a signal came, or standard input ended.
static bool ends(int signals, bool with_input, int wait_ms)
{
    struct pollfd from[] = {{.fd = signals, .events = POLLIN},
                            {.fd = with_input ? STDIN_FILENO : -1, .events = POLLIN}};
    for (;;) {
        int n = poll(from, 2, wait_ms);
        if (n == 0)
            return false;
        if (n < 0 && errno != EINTR)
            return true;
        char some[256];
        bool more = n > 0 && from[1].revents && read(STDIN_FILENO, some, sizeof some) > 0;
        if (n > 0 && (from[0].revents || (from[1].revents && !more)))
            return true;
    }
}

static int run_demo(const struct command *self, const struct demo_call *c, int signals)
{
    struct demo *demo;
    if (c->with_input && ends(signals, true, GRACE_MS))
        return EXIT_OK;
    int err = demo_start(&demo, &c->options);
    if (err)
        return cli_fail(self, "%s", err_text(err));
    ends(signals, c->with_input, -1);
    if (!demo_stop(demo, STOP_WAIT_MS))
        _exit(EXIT_OK); // its threads wait for a broker that does not answer
    return EXIT_OK;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct demo_call c = {.options = {.servers = "127.0.0.1:9092",
                                      .seed = 1,
                                      .events_per_second = 20,
                                      .history_ms = 60 * MINUTE_MS,
                                      .say = say}};
    sigset_t set;
    int option;
    while ((option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD)
            return options_status(option);
        if (option == OPTION_ARGUMENT)
            return cli_misuse(self, "%s is too much", o.value);
        if (!take_option(&c, &o, option))
            return EXIT_USAGE;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (signals < 0)
        return cli_fail(self, "signals cannot be waited for");
    int status = run_demo(self, &c, signals);
    close(signals);
    return status;
}

const struct command demo_command = {.name = "demo",
                                     .summary = "a made-up shop's traffic, counted as it happens",
                                     .help = help,
                                     .options = known,
                                     .run = run};
