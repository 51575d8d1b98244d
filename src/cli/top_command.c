// odradek top: the terminal. Samples at intervals until q, Ctrl-C or the last of --count.
#include "cli/top.h"

#include "base/clock.h"
#include "os/stream.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static const char help[] =
    "  odradek top\n"
    "  odradek top --count 1 | head\n"
    "\n"
    "Shows what a cluster does, every second: the busiest topics, the groups that are most behind, how fast "
    "brokers\n"
    "answer. q ends it. A broker that goes away is waited for. Where standard output is no terminal, the\n"
    "samples follow one another as plain text.\n"
    "  -d, --delay SECONDS               between two samples (1)\n"
    "  -c, --count N                     end after so many samples\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait (30)\n"
    "\n"
    "Colors are left out when NO_COLOR is set.\n";

#define OTHER_SCREEN "\033[?1049h\033[?25l" // the cursor is hidden
#define HOME         "\033[H"
#define CLEAR_BELOW  "\033[J"
#define OWN_SCREEN   "\033[?25h\033[?1049l"

struct top {
    struct topic_call call;
    int64_t delay_s, count; // count 0: without end
    bool terminal;
    struct termios before; // of the keyboard
    struct top_sample was; // what it holds is was_arena's
    struct arena was_arena;
    char why[CLIENT_ERROR_SIZE]; // the last sample could not be had
};

static volatile sig_atomic_t ended;
static int keyboard = -1; // where keys are heard

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

// Whether somebody wants to end it; does not wait.
static bool is_ended(void)
{
    struct pollfd keys = {.fd = keyboard, .events = POLLIN};
    char key;
    while (!ended && poll(&keys, 1, 0) > 0)
        if (read(keyboard, &key, 1) != 1 || key == 'q' || key == 'Q')
            ended = 1;
    return ended;
}

static void begin(struct top *top)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    top->terminal = isatty(STDOUT_FILENO) == 1;
    keyboard = top->terminal && tcgetattr(STDIN_FILENO, &top->before) == 0 ? STDIN_FILENO : -1;
    if (keyboard >= 0) {
        struct termios raw = top->before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(keyboard, TCSANOW, &raw);
    }
    stream_give_up_when(is_ended); // also while a broker is waited for
    if (top->terminal)
        fputs(OTHER_SCREEN, stdout);
}

static void end(struct top *top)
{
    if (top->terminal)
        fputs(OWN_SCREEN, stdout);
    fflush(stdout);
    if (keyboard >= 0)
        tcsetattr(keyboard, TCSANOW, &top->before);
    stream_give_up_when(NULL);
}

static struct top_screen screen_of(const struct top *top)
{
    const char *no_color = getenv("NO_COLOR");
    struct winsize size = {0};
    struct top_screen screen = {.rows = 24, .columns = 80, .whole = top->terminal};
    screen.color = top->terminal && !(no_color && *no_color);
    if (top->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
        screen.rows = size.ws_row - 1; // the cursor's
        screen.columns = size.ws_col;
    }
    return screen;
}

#define LOOK_MS 1000 // a signal may come just before the wait for keys

// Until the next sample is due, or somebody wants to end it.
static void wait_until(int64_t due_ms)
{
    struct pollfd keys = {.fd = keyboard, .events = POLLIN};
    int64_t left;
    while (!is_ended() && (left = due_ms - clock_monotonic_ms()) > 0)
        poll(&keys, 1, left < LOOK_MS ? (int)left : LOOK_MS);
}

// In the place of the first line; what was seen last stays below it.
static void show_lost(struct top *top)
{
    struct top_screen screen = screen_of(top);
    struct buffer *out = &top->call.out;
    buffer_text(out, HOME);
    top_lost(top->why, &screen, out);
    cli_flush(out);
    fflush(stdout);
}

// A sample; on a terminal, the first one is there and the connection may be lost and made again.
static int sample(struct top *top, struct top_sample *now)
{
    struct client *client = &top->call.client;
    if (client->fd < 0 && client_open(client, top->call.servers, (int)top->call.timeout_s * 1000) != 0)
        return cli_fail(top->call.command, "%s", client->error);
    return top_sample(&top->call, now);
}

static int show(struct top *top)
{
    struct top_sample now;
    cli_keep_failures(top->why, sizeof top->why);
    int status = sample(top, &now);
    cli_keep_failures(NULL, 0);
    if (status != EXIT_OK && ended)
        return EXIT_OK;
    if (status != EXIT_OK && top->terminal && top->was.at_ms) {
        client_close(&top->call.client);
        arena_reset(&top->call.arena);
        show_lost(top);
        return EXIT_OK;
    }
    if (status != EXIT_OK)
        return status;
    top->why[0] = 0;
    struct top_screen screen = screen_of(top);
    struct buffer *out = &top->call.out;
    if (top->terminal)
        buffer_text(out, HOME);
    top_view(&now, &top->was, &screen, out);
    buffer_text(out, top->terminal ? CLEAR_BELOW : "\n");
    bool written = cli_flush(out) && fflush(stdout) == 0;
    arena_free(&top->was_arena);
    top->was_arena = top->call.arena; // the next sample begins with an arena of its own
    arena_init(&top->call.arena, 0);
    top->was = now;
    if (!written)
        snprintf(top->why, sizeof top->why, "standard output cannot be written");
    return written ? EXIT_OK : EXIT_FAILED;
}

static int run_samples(struct top *top)
{
    int status = EXIT_OK;
    int64_t due_ms = clock_monotonic_ms();
    begin(top);
    for (int64_t n = 1; !ended && status == EXIT_OK; n++) {
        status = show(top);
        if (status != EXIT_OK || (top->count > 0 && n == top->count))
            break;
        due_ms += top->delay_s * 1000;
        wait_until(due_ms);
    }
    end(top);
    return status == EXIT_OK ? EXIT_OK
                             : cli_fail(top->call.command, "%s", top->why); // on the person's own screen
}

static const struct option known[] = {{"bootstrap", 'b', true},
                                      {"timeout", 't', true},
                                      {"delay", 'd', true},
                                      {"count", 'c', true},
                                      {NULL, 0, false}};

static int run(const struct command *self, int argc, char **argv)
{
    enum { DELAY = 2, COUNT };
    struct options o = options_start(self, argc, argv);
    struct top top = {.delay_s = 1};
    int status = topic_start(&top.call, self, argc), option;
    arena_init(&top.was_arena, 0);
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD)
            return topic_finish(&top.call, options_status(option));
        if (option == OPTION_ARGUMENT)
            status = cli_misuse(self, "%s is too much", o.value);
        else if (option == DELAY)
            status = options_number(&o, 1, 3600, &top.delay_s) ? EXIT_OK : EXIT_USAGE;
        else if (option == COUNT)
            status = options_number(&o, 1, INT64_MAX, &top.count) ? EXIT_OK : EXIT_USAGE;
        else if (!topic_option(&top.call, &o, option))
            status = EXIT_USAGE;
    }
    if (status == EXIT_OK)
        status = topic_connect(&top.call);
    if (status == EXIT_OK)
        status = run_samples(&top);
    arena_free(&top.was_arena);
    return topic_finish(&top.call, status);
}

const struct command top_command = {
    .name = "top", .summary = "show live what a cluster does", .help = help, .options = known, .run = run};
