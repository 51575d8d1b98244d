// Segments and KRaft snapshots: batches, and their records when asked.
#include "cli/dump.h"

#include "base/error.h"
#include "cli/output.h"
#include "os/file.h"
#include "storage/batch.h"

#include <inttypes.h>

#define BATCH_MAX_BYTES   (1 << 30)
#define RECORDS_MAX_BYTES ((size_t)1 << 30) // decompressed, of one batch
#define SHOWN_BYTES       200               // of a key or value, for people

// One file on its way.
struct batches {
    struct dump *dump;
    const char *path;
    int fd;
    int64_t size, at;
    struct buffer bytes, scratch;
};

static void print_flags(struct buffer *out, const struct batch_header *h)
{
    if (batch_has_producer(h))
        buffer_printf(out, ", producer %" PRId64 " epoch %d sequence %d", h->producer_id, h->producer_epoch,
                      h->base_sequence);
    if (batch_is_transactional(h))
        buffer_text(out, ", transactional");
    if (batch_is_control(h))
        buffer_text(out, ", control");
    if (batch_has_delete_horizon(h))
        buffer_text(out, ", with a delete horizon");
}

static void print_batch(struct batches *b, const struct batch_header *h, bool crc_ok)
{
    struct buffer *out = &b->dump->out;
    char time[TIME_TEXT_BYTES];
    const char *codec = compression_name(batch_compression(h));
    const char *time_type = batch_is_log_append_time(h) ? "LogAppendTime" : "CreateTime";
    if (!b->dump->json) {
        time_text(h->max_timestamp_ms, time);
        buffer_printf(
            out, "  %" PRId64 "..%" PRId64 "  at %" PRId64 ", %zu bytes, %d record%s, epoch %d, %s %s, %s",
            h->base_offset, batch_last_offset(h), b->at, batch_size(h), h->count, h->count == 1 ? "" : "s",
            h->leader_epoch, time_type, time, codec ? codec : "unknown compression");
        print_flags(out, h);
        buffer_text(out, crc_ok ? "\n" : ", CRC WRONG\n");
        return;
    }
    buffer_byte(out, '{');
    json_member(out, "file", str_from(b->path));
    buffer_printf(out,
                  ",\"kind\":\"batch\",\"position\":%" PRId64 ",\"sizeBytes\":%zu,\"baseOffset\":%" PRId64,
                  b->at, batch_size(h), h->base_offset);
    buffer_printf(out, ",\"lastOffset\":%" PRId64 ",\"records\":%d,\"leaderEpoch\":%d,\"compression\":\"%s\"",
                  batch_last_offset(h), h->count, h->leader_epoch, codec ? codec : "unknown");
    buffer_printf(out, ",\"timestampType\":\"%s\",\"baseTimestamp\":%" PRId64 ",\"maxTimestamp\":%" PRId64,
                  time_type, h->base_timestamp_ms, h->max_timestamp_ms);
    buffer_printf(out, ",\"producerId\":%" PRId64 ",\"producerEpoch\":%d,\"baseSequence\":%d", h->producer_id,
                  h->producer_epoch, h->base_sequence);
    buffer_printf(out, ",\"transactional\":%s,\"control\":%s,\"crcOk\":%s}\n",
                  batch_is_transactional(h) ? "true" : "false", batch_is_control(h) ? "true" : "false",
                  crc_ok ? "true" : "false");
}

// Text as it is, other bytes as \xNN, cut where it becomes long.
static void print_bytes(struct buffer *out, struct bytes b)
{
    if (!b.data) {
        buffer_text(out, "null");
        return;
    }
    size_t shown = b.size < SHOWN_BYTES ? b.size : SHOWN_BYTES;
    bool text = utf8_valid(b.data, b.size);
    while (text && shown < b.size && (b.data[shown] & 0xc0) == 0x80)
        shown++; // to the end of a character
    for (size_t i = 0; i < shown; i++) {
        uint8_t c = b.data[i];
        if (c >= 0x20 && c != 0x7f && (c < 0x80 || text))
            buffer_byte(out, c);
        else
            buffer_printf(out, "\\x%02x", c);
    }
    if (shown < b.size)
        buffer_printf(out, "... (%zu bytes)", b.size);
}

static bool print_decoded(struct batches *b, const struct batch_header *h, const struct record *r)
{
    int16_t type;
    struct buffer *out = &b->dump->out;
    if (batch_is_control(h))
        return control_key_read(r->key, NULL, &type) == 0 && dump_control_value(b->dump, type, r->value, out);
    return b->dump->metadata && r->value.data && dump_metadata_value(b->dump, r->value, out);
}

static void print_record(struct batches *b, const struct batch_header *h, const struct record *r)
{
    struct buffer *out = &b->dump->out;
    struct bytes headers = r->headers;
    struct record_header header;
    char time[TIME_TEXT_BYTES];
    time_text(record_timestamp_ms(h, r), time);
    buffer_printf(out, "    %" PRId64 "  %s  ", record_offset(h, r), time);
    if (!print_decoded(b, h, r)) {
        buffer_text(out, "key ");
        print_bytes(out, r->key);
        buffer_text(out, "  value ");
        print_bytes(out, r->value);
    }
    while (record_header_next(&headers, &header)) {
        buffer_printf(out, "  %.*s=", STR_ARG(header.key));
        print_bytes(out, header.value);
    }
    buffer_byte(out, '\n');
}

static void print_record_json(struct batches *b, const struct batch_header *h, const struct record *r)
{
    struct buffer *out = &b->dump->out;
    struct bytes headers = r->headers;
    struct record_header header;
    buffer_byte(out, '{');
    json_member(out, "file", str_from(b->path));
    buffer_printf(out, ",\"kind\":\"record\",\"offset\":%" PRId64 ",\"timestamp\":%" PRId64 ",",
                  record_offset(h, r), record_timestamp_ms(h, r));
    if (!print_decoded(b, h, r)) {
        json_bytes_member(out, "key", r->key);
        buffer_byte(out, ',');
        json_bytes_member(out, "value", r->value);
    }
    buffer_text(out, ",\"headers\":[");
    for (bool first = true; record_header_next(&headers, &header); first = false) {
        buffer_text(out, first ? "{" : ",{");
        json_member(out, "name", header.key);
        buffer_byte(out, ',');
        json_bytes_member(out, "value", header.value);
        buffer_byte(out, '}');
    }
    buffer_text(out, "]}\n");
}

static void print_records(struct batches *b, const struct batch_header *h, struct bytes batch)
{
    struct bytes body;
    int err = batch_body(h, batch, RECORDS_MAX_BYTES, &b->scratch, &body);
    struct record_cursor cursor;
    struct record r;
    if (!err) {
        cursor = record_cursor(body, h->count);
        while ((err = record_cursor_next(&cursor, &r)) == 1)
            (b->dump->json ? print_record_json : print_record)(b, h, &r);
    }
    if (err)
        dump_problem(b->dump, b->path, b->at, "the records of this batch are damaged");
}

// 1 and the batch at b->at; 0 at the end, which may be damage (said so); a negative code when reading fails.
static int next_batch(struct batches *b, struct batch_header *h, struct bytes *batch)
{
    uint8_t raw[BATCH_HEADER_BYTES];
    size_t got;
    if (b->at == b->size)
        return 0;
    int err = file_read_at(b->fd, raw, sizeof raw, b->at, &got);
    if (err)
        return err;
    err = batch_header_read((struct bytes){raw, got}, h);
    if (!err && batch_size(h) > BATCH_MAX_BYTES)
        err = ERR_CORRUPT;
    if (!err && b->at + (int64_t)batch_size(h) > b->size)
        err = ERR_TRUNCATED;
    if (err) {
        dump_problem(b->dump, b->path, b->at,
                     err == ERR_TRUNCATED     ? "the file ends within a batch"
                     : err == ERR_UNSUPPORTED ? "a batch of magic 0 or 1"
                                              : "this is no batch");
        return 0;
    }
    buffer_clear(&b->bytes);
    if (!buffer_reserve(&b->bytes, batch_size(h)))
        return ERR_NOMEM;
    b->bytes.size = batch_size(h);
    *batch = (struct bytes){b->bytes.data, b->bytes.size};
    err = file_read_exactly(b->fd, b->bytes.data, b->bytes.size, b->at);
    return err ? err : 1;
}

int dump_batches(struct dump *d, const char *path, int fd, int64_t size)
{
    struct batches b = {.dump = d, .path = path, .fd = fd, .size = size};
    struct batch_header h;
    struct bytes batch;
    int next, status = EXIT_OK;
    while (status == EXIT_OK && (next = next_batch(&b, &h, &batch)) == 1) {
        bool crc_ok = batch_crc_ok(batch);
        print_batch(&b, &h, crc_ok);
        if (!crc_ok)
            dump_problem(d, path, b.at, "the CRC of this batch is wrong");
        else if (d->records)
            print_records(&b, &h, batch);
        b.at += (int64_t)batch_size(&h);
        status = dump_flush(d);
    }
    if (status == EXIT_OK && next < 0)
        status = cli_fail(d->command, "%s: %s", path, err_text(next));
    buffer_free(&b.bytes);
    buffer_free(&b.scratch);
    return status;
}
