// What happens in the demo's shop: somebody looks at a page, orders, pays. And its form as the JSON of a
// record.
#ifndef DEMO_EVENT_H
#define DEMO_EVENT_H

#include "base/buffer.h"

enum shop_topic { SHOP_VIEWS, SHOP_ORDERS, SHOP_PAYMENTS, SHOP_TOPICS };

#define SHOP_COUNTRIES 10

extern const char *const shop_country_codes[SHOP_COUNTRIES];

struct shop_event {
    enum shop_topic topic; // says which of the fields count
    uint64_t id;           // of the event: a duplicate has the same
    uint64_t session;      // the visit that it belongs to; its text is the record's key
    uint64_t order;        // orders and payments
    int64_t at_ms;         // when it happened: the record's timestamp
    int64_t cents;         // orders and payments: the amount
    uint32_t customer;
    uint8_t country, device;
    uint8_t product; // views and orders
    uint8_t items;   // orders: how many of the product
    uint8_t method;  // payments
    bool paid;       // payments; false: declined
};

#define SHOP_PRODUCTS 24
#define SHOP_DEVICES  3
#define SHOP_METHODS  4

int64_t shop_product_cents(uint8_t product);

#define SHOP_KEY_BYTES 17 // 16 digits and the terminating zero

void shop_event_key(const struct shop_event *event, char out[SHOP_KEY_BYTES]);

// Appends its JSON, on one line.
void shop_event_write(const struct shop_event *event, struct buffer *out);

// Reads what counting needs: id, session, country, paid, cents. topic is the caller's, at_ms the record's
// timestamp. False: it is none of ours (a record may come from anybody).
bool shop_event_read(enum shop_topic topic, int64_t at_ms, struct bytes value, struct shop_event *out);

// "2026-01-31T12:00:00.123Z"
#define SHOP_TIME_BYTES 40
void shop_time_text(int64_t ms, char out[SHOP_TIME_BYTES]);

#endif
