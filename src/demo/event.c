#include "demo/event.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MOST_CENTS 1e12 // of an amount that is counted; what is more is none of ours

const char *const shop_country_codes[SHOP_COUNTRIES] = {"DE", "US", "GB", "FR", "PL",
                                                        "NL", "ES", "IT", "SE", "JP"};

static const char *const devices[SHOP_DEVICES] = {"phone", "desktop", "tablet"};
static const char *const methods[SHOP_METHODS] = {"card", "paypal", "transfer", "invoice"};

static const struct {
    const char *name;
    int32_t cents;
} products[SHOP_PRODUCTS] = {
    {"cotton-thread", 290}, {"linen-thread", 450},      {"wooden-spool", 690},     {"sewing-needles", 380},
    {"tailors-chalk", 240}, {"tape-measure", 590},      {"fabric-scissors", 2490}, {"pin-cushion", 890},
    {"silk-thread", 990},   {"buttons", 320},           {"thimble", 410},          {"zip", 260},
    {"wool-yarn", 790},     {"knitting-needles", 1290}, {"crochet-hook", 690},     {"embroidery-hoop", 1190},
    {"pattern-book", 1990}, {"linen-fabric", 2790},     {"felt-sheets", 950},      {"bobbins", 540},
    {"iron", 4990},         {"cutting-mat", 2290},      {"dress-form", 12900},     {"sewing-machine", 24900},
};

int64_t shop_product_cents(uint8_t product)
{
    return products[product].cents;
}

void shop_event_key(const struct shop_event *event, char out[SHOP_KEY_BYTES])
{
    snprintf(out, SHOP_KEY_BYTES, "%016" PRIx64, event->session);
}

void shop_time_text(int64_t ms, char out[SHOP_TIME_BYTES])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(out, SHOP_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, SHOP_TIME_BYTES - n, ".%03dZ", (int)(ms % 1000));
}

void shop_event_write(const struct shop_event *event, struct buffer *out)
{
    static const char *const names[SHOP_TOPICS] = {"view", "order", "payment"};
    char time[SHOP_TIME_BYTES];
    shop_time_text(event->at_ms, time);
    buffer_printf(out,
                  "{\"event\":\"%016" PRIx64 "\",\"type\":\"%s\",\"time\":\"%s\",\"session\":\"%016" PRIx64
                  "\",\"customer\":{\"id\":%" PRIu32 ",\"country\":\"%s\",\"device\":\"%s\"}",
                  event->id, names[event->topic], time, event->session, event->customer,
                  shop_country_codes[event->country], devices[event->device]);
    if (event->topic != SHOP_VIEWS)
        buffer_printf(out, ",\"order\":\"%016" PRIx64 "\"", event->order);
    if (event->topic != SHOP_PAYMENTS)
        buffer_printf(out, ",\"product\":\"%s\",\"price\":%.2f", products[event->product].name,
                      products[event->product].cents / 100.0);
    if (event->topic == SHOP_ORDERS)
        buffer_printf(out, ",\"items\":%u", event->items);
    if (event->topic == SHOP_PAYMENTS)
        buffer_printf(out, ",\"method\":\"%s\",\"status\":\"%s\"", methods[event->method],
                      event->paid ? "paid" : "declined");
    if (event->topic != SHOP_VIEWS)
        buffer_printf(out, ",\"amount\":%.2f,\"currency\":\"EUR\"", (double)event->cents / 100);
    buffer_byte(out, '}');
}

static bool read_id(const json_t *object, const char *name, uint64_t *out)
{
    const char *text = json_string_value(json_object_get(object, name));
    char *end = NULL;
    if (!text || strlen(text) != SHOP_KEY_BYTES - 1)
        return false;
    *out = strtoull(text, &end, 16);
    return *end == 0;
}

static bool read_country(const json_t *object, uint8_t *out)
{
    const char *text = json_string_value(json_object_get(json_object_get(object, "customer"), "country"));
    for (uint8_t i = 0; text && i < SHOP_COUNTRIES; i++)
        if (strcmp(text, shop_country_codes[i]) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static bool read_payment(const json_t *object, struct shop_event *out)
{
    const char *status = json_string_value(json_object_get(object, "status"));
    const json_t *amount = json_object_get(object, "amount");
    double cents = json_number_value(amount) * 100;
    if (!status || !json_is_number(amount) || !(cents >= 0 && cents < MOST_CENTS))
        return false;
    out->paid = strcmp(status, "paid") == 0;
    out->cents = llround(cents);
    return true;
}

bool shop_event_read(enum shop_topic topic, int64_t at_ms, struct bytes value, struct shop_event *out)
{
    json_t *object = json_loadb((const char *)value.data, value.size, 0, NULL);
    *out = (struct shop_event){.topic = topic, .at_ms = at_ms};
    bool ours = read_id(object, "event", &out->id) && read_id(object, "session", &out->session) &&
                read_country(object, &out->country) && (topic != SHOP_PAYMENTS || read_payment(object, out));
    json_decref(object);
    return ours;
}
