// Writes what happens in the shop, as it happens.
#include "base/clock.h"
#include "base/error.h"
#include "base/murmur2.h"
#include "demo/demo_threads.h"
#include "demo/setup.h"
#include "demo/shop.h"
#include "demo/tally.h"

#include <stdlib.h>

// Of one request. All of it is in the topics before the next one is made, so that none of them is ever more
// behind another than STEP_MS of the shop's time: less than what the counting allows for (tally.h).
#define MOST_EVENTS 2000
#define STEP_MS     (TALLY_SLACK_MS / 2)

struct writer {
    struct demo *demo;
    struct demo_link link;
    struct demo_outbox box;
    struct buffer text;
    struct shop *shop; // NULL: it has not opened yet
    int64_t start_ms, begun_ms;
    int64_t until_ms; // the shop's time until which events were taken
    bool fresh;       // the topics are new
    bool ready, board_kept;
    int failures;
};

static int open_shop(struct writer *w)
{
    const struct demo_options *o = &w->demo->options;
    w->begun_ms = clock_wall_ms();
    w->start_ms = w->begun_ms - (w->fresh ? o->history_ms : 0);
    w->until_ms = w->start_ms;
    w->shop = shop_new(&(struct shop_options){
        .seed = o->seed, .start_ms = w->start_ms, .events_per_second = o->events_per_second});
    if (w->shop)
        o->say(
            "writes shop.views, shop.orders and shop.payments and counts them in shop.minutes; to be seen at "
            "http://127.0.0.1:8080/#/insights, unless the broker has http.listeners of its own");
    return w->shop ? 0 : link_fail(&w->link, ERR_NOMEM, "out of memory");
}

static int prepare(struct writer *w)
{
    bool made = false;
    int err = link_connect(&w->link, w->demo->options.servers);
    err = err ? err : setup_topics(&w->link, &made);
    w->fresh |= made;
    err = err ? err : link_open(&w->link, w->demo->options.servers);
    if (!err && !w->board_kept) {
        err = setup_board(&w->link);
        w->board_kept = !err;
    }
    if (!err && !w->shop)
        err = open_shop(w);
    w->ready = !err;
    return err;
}

static int add(struct writer *w, const struct shop_event *event)
{
    char key[SHOP_KEY_BYTES];
    shop_event_key(event, key);
    struct bytes key_bytes = {(const uint8_t *)key, SHOP_KEY_BYTES - 1};
    int32_t partition = (int32_t)((murmur2(key_bytes) & INT32_MAX) % (uint32_t)w->link.partitions);
    buffer_clear(&w->text);
    shop_event_write(event, &w->text);
    if (w->text.failed)
        return link_fail(&w->link, ERR_NOMEM, "out of memory");
    outbox_add(&w->box, (int)event->topic, partition, event->at_ms, key_bytes,
               (struct bytes){w->text.data, w->text.size});
    return 0;
}

// Takes what is due, as much of it as one request may have.
static int take_events(struct writer *w, int64_t now_ms)
{
    int64_t until_ms = now_ms < w->until_ms + STEP_MS ? now_ms : w->until_ms + STEP_MS;
    struct shop_event event;
    int err = 0;
    while (!err && w->box.records < MOST_EVENTS && shop_next(w->shop, until_ms, &event))
        err = add(w, &event);
    if (w->box.records < MOST_EVENTS && until_ms > w->until_ms) // all of that time
        w->until_ms = until_ms;
    return err;
}

// What is due, or what is left of the last time. *more: that was not all.
static int write_events(struct writer *w, bool *more)
{
    int64_t now_ms = demo_time(w->demo->options.speed, w->start_ms, w->begun_ms, clock_wall_ms());
    int err = w->box.records > 0 ? 0 : take_events(w, now_ms);
    *more = w->until_ms < now_ms;
    return err || w->box.records == 0 ? err : outbox_send(&w->box, &w->link);
}

void writer_run(void *demo)
{
    struct writer *w = calloc(1, sizeof *w);
    if (!w)
        return;
    w->demo = demo;
    while (!demo_stopping(w->demo)) {
        bool more = false;
        int err = w->ready ? 0 : prepare(w);
        err = err ? err : write_events(w, &more);
        w->ready &= !err;
        demo_note(w->demo, &w->failures, err, w->link.error);
        if (err)
            demo_pause(w->demo, DEMO_RETRY_MS);
        else if (!more)
            demo_pause(w->demo, DEMO_TICK_MS);
    }
    link_close(&w->link);
    outbox_free(&w->box);
    buffer_free(&w->text);
    shop_free(w->shop);
    free(w);
}
