#include "demo/shop.h"

#include "base/heap.h"
#include "base/list.h"
#include "demo/random.h"

#include <stdlib.h>

#define EVENTS_A_VISIT 6.3 // on an average: what the shares below come to
#define MORE_VIEWS     5.0 // after the first, on an average
#define ORDER_SHARE    0.10
#define PAID_SHARE     0.92
#define RETRY_SHARE    0.6 // of those whose payment was declined
#define LATE_SHARE     0.03
#define TWICE_SHARE    0.01

#define BUSIEST     1.6
#define BUSIEST_MS  (18 * 3600 * 1000.0) // of the day, UTC
#define DAY_MS      (24 * 3600 * 1000.0)
#define CUSTOMERS   20000
#define READING_MS  7000.0  // of a page, on an average
#define CHECKOUT_MS 20000.0 // from the last page to the order
#define PAYING_MS   5000.0

// What is to happen next, in the order of time.
enum due_kind {
    DUE_VISITOR, // somebody may come
    DUE_VIEW,
    DUE_ORDER,
    DUE_PAYMENT,
    DUE_SENDING // of an event that is late, or is sent again
};

struct due {
    struct heap_node node;
    enum due_kind kind;
    uint32_t views_left;
    double at_ms;            // exactly; the event's time is cut to milliseconds
    struct shop_event event; // what is known of it by now
};

struct shop {
    uint64_t random, ids;
    double mean_wait_ms; // between two visitors, at the busiest
    struct heap due;
};

// Weights: how many of a hundred customers live there.
static const uint8_t country_weights[SHOP_COUNTRIES] = {24, 19, 14, 10, 9, 7, 6, 5, 3, 3};

double shop_rhythm(int64_t ms)
{
    return 1 + (BUSIEST - 1) * cos(2 * M_PI * ((double)ms - BUSIEST_MS) / DAY_MS);
}

// The same customer always comes from the same country.
static uint8_t country_of(uint32_t customer)
{
    uint64_t left = random_mix(customer) % 100;
    uint8_t country = 0;
    while (country + 1 < SHOP_COUNTRIES && left >= country_weights[country])
        left -= country_weights[country++];
    return country;
}

// One of `count`; the first ones far more often.
static uint32_t skewed(struct shop *shop, uint32_t count)
{
    double u = random_unit(&shop->random);
    return (uint32_t)(u * u * u * count);
}

static void push(struct shop *shop, struct due *due, enum due_kind kind, double at_ms)
{
    due->kind = kind;
    due->at_ms = at_ms;
    if (heap_push(&shop->due, &due->node, (int64_t)at_ms) != 0)
        free(due);
}

static void next_visitor(struct shop *shop, struct due *due, double after_ms)
{
    push(shop, due, DUE_VISITOR, after_ms + random_wait(&shop->random, shop->mean_wait_ms));
}

// A visitor comes, as often as the hour of the day says.
static void come(struct shop *shop, double at_ms)
{
    if (!random_chance(&shop->random, shop_rhythm((int64_t)at_ms) / BUSIEST))
        return;
    struct due *visit = calloc(1, sizeof *visit);
    if (!visit)
        return;
    visit->views_left = 1 + (uint32_t)random_wait(&shop->random, MORE_VIEWS + 0.5);
    visit->event.session = random_next(&shop->ids);
    visit->event.customer = skewed(shop, CUSTOMERS);
    visit->event.country = country_of(visit->event.customer);
    double device = random_unit(&shop->random);
    visit->event.device = device < 0.58 ? 0 : device < 0.92 ? 1 : 2;
    push(shop, visit, DUE_VIEW, at_ms);
}

static void after_view(struct shop *shop, struct due *visit)
{
    if (--visit->views_left > 0)
        push(shop, visit, DUE_VIEW, visit->at_ms + 500 + random_wait(&shop->random, READING_MS));
    else if (random_chance(&shop->random, ORDER_SHARE))
        push(shop, visit, DUE_ORDER, visit->at_ms + 2000 + random_wait(&shop->random, CHECKOUT_MS));
    else
        free(visit);
}

static void after_order(struct shop *shop, struct due *visit)
{
    push(shop, visit, DUE_PAYMENT, visit->at_ms + 1000 + random_wait(&shop->random, PAYING_MS));
}

static void after_payment(struct shop *shop, struct due *visit)
{
    if (!visit->event.paid && random_chance(&shop->random, RETRY_SHARE))
        after_order(shop, visit);
    else
        free(visit);
}

// Fills in what the visit did not know yet.
static void happen(struct shop *shop, struct due *visit)
{
    struct shop_event *e = &visit->event;
    e->id = random_next(&shop->ids);
    e->at_ms = (int64_t)visit->at_ms;
    if (visit->kind == DUE_VIEW) {
        e->topic = SHOP_VIEWS;
        e->product = (uint8_t)skewed(shop, SHOP_PRODUCTS);
    } else if (visit->kind == DUE_ORDER) { // of the product seen last
        e->topic = SHOP_ORDERS;
        e->order = random_next(&shop->ids);
        e->items = (uint8_t)(1 + skewed(shop, 5));
        e->cents = e->items * shop_product_cents(e->product);
    } else {
        e->topic = SHOP_PAYMENTS;
        e->method = (uint8_t)skewed(shop, SHOP_METHODS);
        e->paid = random_chance(&shop->random, PAID_SHARE);
    }
}

static void send_later(struct shop *shop, const struct shop_event *event, double at_ms)
{
    struct due *later = calloc(1, sizeof *later);
    if (!later)
        return;
    later->event = *event;
    push(shop, later, DUE_SENDING, at_ms);
}

// Whether it is sent at once; a late one and a second time follow by themselves.
static bool sent_now(struct shop *shop, const struct shop_event *event, double at_ms)
{
    double delay_ms = random_chance(&shop->random, LATE_SHARE)
                          ? 1000 + random_unit(&shop->random) * (SHOP_LATEST_MS - 1000)
                          : 0;
    if (random_chance(&shop->random, TWICE_SHARE))
        send_later(shop, event, at_ms + delay_ms + 100 + random_unit(&shop->random) * 20000);
    if (delay_ms > 0)
        send_later(shop, event, at_ms + delay_ms);
    return delay_ms <= 0;
}

// Takes what is due first on. True: an event is sent.
static bool advance(struct shop *shop, struct due *due, struct shop_event *out)
{
    switch (due->kind) {
    case DUE_VISITOR:
        come(shop, due->at_ms);
        next_visitor(shop, due, due->at_ms);
        return false;
    case DUE_SENDING:
        *out = due->event;
        free(due);
        return true;
    default:
        break;
    }
    static void (*const after[])(struct shop *, struct due *) = {
        [DUE_VIEW] = after_view, [DUE_ORDER] = after_order, [DUE_PAYMENT] = after_payment};
    happen(shop, due);
    *out = due->event;
    double at_ms = due->at_ms;
    after[due->kind](shop, due);
    return sent_now(shop, out, at_ms);
}

bool shop_next(struct shop *shop, int64_t now_ms, struct shop_event *out)
{
    struct heap_node *first;
    while ((first = heap_first(&shop->due)) && first->key <= now_ms) {
        heap_remove(&shop->due, first);
        if (advance(shop, container_of(first, struct due, node), out))
            return true;
    }
    return false;
}

struct shop *shop_new(const struct shop_options *options)
{
    struct shop *shop = calloc(1, sizeof *shop);
    struct due *first = calloc(1, sizeof *first);
    if (!shop || !first || heap_reserve(&shop->due, 64) != 0) {
        free(first);
        shop_free(shop);
        return NULL;
    }
    // Ids differ from those of another day's run of the same seed.
    shop->random = random_mix(options->seed);
    shop->ids = random_mix(shop->random ^ (uint64_t)options->start_ms);
    shop->mean_wait_ms = 1000 * EVENTS_A_VISIT / options->events_per_second / BUSIEST;
    next_visitor(shop, first, (double)options->start_ms);
    return shop;
}

void shop_free(struct shop *shop)
{
    struct heap_node *node;
    while (shop && (node = heap_first(&shop->due))) {
        heap_remove(&shop->due, node);
        free(container_of(node, struct due, node));
    }
    if (shop)
        heap_free(&shop->due);
    free(shop);
}
