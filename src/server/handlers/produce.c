// Produce (KIP-98, KIP-467, KIP-516): validate each batch where it lies, append it under the partition's
// lock, answer when the high watermark says so.
#include "base/clock.h"
#include "base/error.h"
#include "protocol/errors.h"
#include "server/handlers/handlers.h"
#include "server/handlers/produce_internal.h"
#include "server/live_config.h"
#include "storage/batch_validate.h"

#include <stdlib.h>

// Of CPU, that a request may take on the reactor: what needs more goes to a worker.
#define VALIDATE_ON_REACTOR_NS 200000

// Who names more of them has a worker look at them, and write the answer down.
#define PARTITIONS_ON_REACTOR 500

// Nobody has so many batches to send at once; whoever names more asks for memory without any end.
#define PARTITIONS_MAX      100000
#define TOO_MANY_PARTITIONS "a Produce to more than 100,000 topics or partitions"

static struct batch_rules rules_of(const struct produce_item *item, const struct log_config *c,
                                   int16_t version)
{
    struct batch_rules rules = BATCH_RULES;
    rules.topic = item->topic;
    rules.partition = item->index;
    rules.produce_version = version;
    rules.max_message_bytes = c->max_message_bytes;
    rules.keep_compression = c->compression == LOG_COMPRESSION_PRODUCER;
    if (!rules.keep_compression)
        rules.compression = (enum compression)c->compression;
    rules.compression_level = c->compression == LOG_COMPRESSION_GZIP   ? c->gzip_level
                              : c->compression == LOG_COMPRESSION_LZ4  ? c->lz4_level
                              : c->compression == LOG_COMPRESSION_ZSTD ? c->zstd_level
                                                                       : COMPRESSION_LEVEL_DEFAULT;
    rules.log_append_time = c->timestamp_log_append;
    rules.compacted = c->cleanup_compact;
    rules.before_max_ms = c->timestamp_before_max_ms;
    rules.after_max_ms = c->timestamp_after_max_ms;
    return rules;
}

static void report_log_start(struct produce_item *item)
{
    struct log_offsets offsets;
    if (item->error == E_NOT_LEADER_OR_FOLLOWER || item->error == E_KAFKA_STORAGE_ERROR)
        return;
    log_offsets(item->partition->log, &offsets);
    item->log_start_offset = offsets.log_start_offset;
}

// Validates one batch; one that is accepted is left in item->append. Otherwise the item's result is set.
// False: it would cost more than the budget (NULL: nothing does).
static bool validate(struct produce *w, struct produce_item *item, struct batch_budget *budget)
{
    struct request *r = w->request;
    struct log_config config;
    log_get_config(item->partition->log, &config);
    struct batch_rules rules = rules_of(item, &config, r->version);
    struct batch_verdict verdict;
    rules.budget = budget;
    int rc = batch_validate(item->records, item->records_bytes, &rules, clock_wall_ms(), &r->arena,
                            &item->rewrite, &verdict);
    if (rc == ERR_AGAIN)
        return false;
    if (rc) {
        item->error = E_UNKNOWN_SERVER_ERROR;
        return true;
    }
    item->error = verdict.error;
    item->message = verdict.message;
    item->record_errors = verdict.record_errors;
    item->record_error_count = verdict.record_error_count;
    if (verdict.error != E_NONE) {
        if (verdict.reports_log_start)
            report_log_start(item);
        return true;
    }
    item->append = arena_zalloc(&r->arena, 1, sizeof *item->append);
    if (!item->append) {
        item->error = E_UNKNOWN_SERVER_ERROR;
        return true;
    }
    item->append_time = config.timestamp_log_append;
    item->append->acks = w->acks;
    item->append->log.bytes = verdict.batch;
    item->append->log.size = verdict.size;
    item->append->log.guard = item->guard;
    return true;
}

// Validates what is not validated yet. False: the budget is used up, and something is left. Touches nothing
// but the request and the partitions' logs: a worker may call it.
static bool validate_all(struct produce *w, struct batch_budget *budget)
{
    for (; w->validated < w->count; w->validated++) {
        struct produce_item *item = &w->items[w->validated];
        if (item->partition && item->error == E_NONE && item->records && !validate(w, item, budget))
            return false;
    }
    return true;
}

// Takes over what the append came to.
static void appended(struct produce_item *item)
{
    const struct partition_append *a = item->append;
    item->append = NULL;
    item->error = a->error;
    if (item->error != E_NONE) {
        report_log_start(item); // the log's own words (info.message) are for its log: Kafka sends none
        return;
    }
    item->wait_for = a->wait_for;
    item->base_offset = a->log.info.base_offset;
    item->append_time_ms = item->append_time ? a->log.info.append_time_ms : -1;
    item->log_start_offset = a->log.info.log_start_offset;
    if (a->flush_due)
        flusher_submit(broker_of(item->produce->request)->flusher, item->partition);
}

// What a mention that did not look good makes of the answer.
static void apply_refusal(struct produce_item *item)
{
    if (!item->partition || item->refusal == E_NONE)
        return;
    item->error = item->refusal;
    item->message = item->refusal_message;
    item->base_offset = item->append_time_ms = item->log_start_offset = -1;
    item->record_error_count = 0;
}

// Answering

static int fill_partition(struct produce *w, const struct produce_item *item,
                          struct produce_response_partition_produce_response *out)
{
    out->index = item->index;
    out->error_code = item->error;
    out->base_offset = item->base_offset;
    out->log_append_time_ms = item->append_time_ms;
    out->log_start_offset = item->log_start_offset;
    out->error_message = item->message;
    if (item->record_error_count == 0)
        return 0;
    out->record_errors = produce_response_batch_index_and_error_message_new(
        &w->request->arena, (int32_t)item->record_error_count);
    if (!out->record_errors)
        return ERR_NOMEM;
    out->record_errors_count = (int32_t)item->record_error_count;
    for (size_t i = 0; i < item->record_error_count; i++) {
        out->record_errors[i].batch_index = item->record_errors[i].index;
        out->record_errors[i].batch_index_error_message = item->record_errors[i].message;
    }
    return 0;
}

static int build_response(struct produce *w, struct produce_response *response)
{
    struct arena *arena = &w->request->arena;
    message_init(&produce_response_type, response);
    response->responses = produce_response_topic_produce_response_new(arena, (int32_t)w->count);
    if (!response->responses)
        return ERR_NOMEM;
    struct produce_response_partition_produce_response *partitions =
        produce_response_partition_produce_response_new(arena, (int32_t)w->count);
    if (!partitions)
        return ERR_NOMEM;
    struct produce_response_topic_produce_response *topic = NULL;
    for (size_t i = 0; i < w->count; i++) { // items of one topic lie side by side
        const struct produce_item *item = &w->items[i];
        bool ids = w->request->version >= TOPIC_ID_VERSION;
        if (!topic ||
            (ids ? !uuid_equal(&topic->topic_id, &item->topic_id) : !str_equal(topic->name, item->topic))) {
            topic = &response->responses[response->responses_count++];
            topic->name = item->topic;
            topic->topic_id = item->topic_id;
            topic->partition_responses = &partitions[i];
        }
        topic->partition_responses_count++;
        if (fill_partition(w, item, &partitions[i]))
            return ERR_NOMEM;
    }
    return 0;
}

// Lets go of the partitions; nothing wakes the request afterwards.
static void release(struct produce *w)
{
    for (size_t i = 0; i < w->count; i++) {
        partition_wait_cancel(&w->items[i].waiter);
        buffer_free(&w->items[i].rewrite);
        partition_unref(w->items[i].partition);
        w->items[i].partition = NULL;
    }
    reactor_cancel(w->request->reactor, &w->progress);
    reactor_timer_cancel(w->request->reactor, &w->timeout);
}

static void respond(struct request *r, void *context)
{
    struct produce_response response;
    if (build_response(context, &response)) {
        request_close(r, "out of memory for the response to Produce");
        return;
    }
    response.throttle_time_ms = r->throttle_ms;
    request_respond(r, &response);
}

static void answer(struct produce *w)
{
    for (size_t i = 0; i < w->count; i++)
        apply_refusal(&w->items[i]);
    release(w);
    struct request *r = w->request;
    request_throttle(r, request_charge(r, QUOTA_PRODUCER_BYTE_RATE, (double)r->size_bytes));
    if (w->acks == 0) {
        for (size_t i = 0; i < w->count; i++) {
            if (w->items[i].error != E_NONE) { // the only way to tell a producer that wants no answer
                struct str reason = arena_printf(&r->arena, "Produce with acks=0 to %.*s-%d failed: %s",
                                                 STR_ARG(w->items[i].topic), w->items[i].index,
                                                 error_code_name(w->items[i].error));
                request_close(r, reason.data);
                return;
            }
        }
        request_respond_none(r);
        return;
    }
    if (w->count > PARTITIONS_ON_REACTOR) {
        request_charge_time(r); // what the response says of waiting is encoded with it
        request_offload(r, respond, NULL, w);
    } else {
        respond(r, w);
    }
}

// Waiting

static void wake(struct partition_waiter *waiter)
{
    struct produce *w = container_of(waiter, struct produce_item, waiter)->produce;
    reactor_post(w->request->reactor, &w->progress);
}

// Waits for the first item that is not replicated yet. True: the request waits on.
static bool wait_on(struct produce *w)
{
    for (size_t i = 0; i < w->count; i++) {
        struct produce_item *item = &w->items[i];
        if (item->wait_for < 0)
            continue;
        partition_wait_cancel(&item->waiter);
        item->waiter = (struct partition_waiter){
            .kind = PARTITION_WAIT_HIGH_WATERMARK, .offset = item->wait_for, .wake = wake};
        list_init(&item->waiter.node);
        if (partition_wait(item->partition, &item->waiter))
            return true;
        struct log_offsets offsets;
        log_offsets(item->partition->log, &offsets);
        if (offsets.high_watermark <= item->wait_for) {
            int16_t why = partition_check_leader(item->partition, -1);
            item->error = why == E_NONE ? E_NOT_LEADER_OR_FOLLOWER : why;
        }
        item->wait_for = -1;
    }
    return false;
}

static struct produce_item *first_waiting(struct produce *w)
{
    struct produce_item *item = w->items;
    while (item->wait_for < 0)
        item++;
    return item;
}

static void on_progress(struct task *task)
{
    struct produce *w = container_of(task, struct produce, progress);
    if (!wait_on(w))
        answer(w);
}

static void on_timeout(struct loop_timer *timer)
{
    struct produce *w = container_of(timer, struct produce, timeout);
    while (wait_on(w)) { // each partition for itself: others of the request may be replicated
        struct produce_item *item = first_waiting(w);
        item->error = E_REQUEST_TIMED_OUT;
        item->wait_for = -1;
    }
    answer(w);
}

static void on_cancel(struct request *r)
{
    release(r->parked);
}

static void park(struct produce *w)
{
    struct request *r = w->request;
    for (size_t i = 0; i < w->count; i++) { // names may be views of the request
        w->items[i].topic = arena_str(&r->arena, w->items[i].topic);
        w->items[i].records = NULL;
        buffer_free(&w->items[i].rewrite);
    }
    int32_t timeout_ms = w->message->timeout_ms;
    w->message = NULL;
    request_release_input(r);
    reactor_timer_arm(r->reactor, &w->timeout,
                      reactor_now_ms(r->reactor) + (timeout_ms > 0 ? timeout_ms : 0));
    request_park(r, PARK_OVERTAKE, on_cancel, w);
}

// Once every append is done.
static void finish(struct produce *w)
{
    if (w->cancelled)
        return;
    if (w->acks != 0 && wait_on(w))
        park(w);
    else
        answer(w);
}

// Appending: what the requests of a turn have for one partition goes to it together

static int by_partition(const void *left, const void *right)
{
    const struct produce_item *a = *(struct produce_item *const *)left,
                              *b = *(struct produce_item *const *)right;
    if (a->partition != b->partition)
        return (uintptr_t)a->partition < (uintptr_t)b->partition ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

// Of one partition.
static void append_group(struct produce_item *const *items, size_t count, int64_t now_ms)
{
    struct partition_append *appends[LOG_GROUP_APPENDS];
    for (size_t i = 0; i < count; i++)
        appends[i] = items[i]->append;
    partition_append_group(items[0]->partition, appends, count, now_ms);
    for (size_t i = 0; i < count; i++)
        appended(items[i]);
}

static void append_items(struct produce_item **items, size_t count)
{
    int64_t now_ms = clock_wall_ms();
    if (count > 1)
        qsort(items, count, sizeof items[0], by_partition);
    for (size_t i = 0, n; i < count; i += n) {
        for (n = 1; i + n < count && n < LOG_GROUP_APPENDS && items[i + n]->partition == items[i]->partition;)
            n++;
        append_group(items + i, n, now_ms);
    }
}

static size_t gather(struct produce *w, struct produce_item **out, size_t at)
{
    for (size_t i = 0; i < w->count; i++) {
        if (!w->items[i].append)
            continue;
        if (out) {
            out[at] = &w->items[i];
            out[at]->order = at;
        }
        at++;
    }
    return at;
}

static void settle(struct reactor *reactor)
{
    struct list all;
    struct list *node;
    size_t count = 0;
    list_init(&all);
    while ((node = list_pop_front(&reactor->collected))) {
        list_push_back(&all, node);
        count = gather(container_of(node, struct produce, node), NULL, count);
    }
    struct produce *first = container_of(list_first(&all), struct produce, node);
    struct produce_item **items = arena_alloc(&first->request->arena, count * sizeof(struct produce_item *));
    size_t at = 0;
    for (node = list_first(&all); items && node != &all; node = node->next)
        at = gather(container_of(node, struct produce, node), items, at);
    if (items)
        append_items(items, count);
    while ((node = list_pop_front(&all))) {
        struct produce *w = container_of(node, struct produce, node);
        for (size_t i = 0; !items && i < w->count; i++) {
            struct produce_item *item = &w->items[i];
            if (item->append)
                append_items(&item, 1);
        }
        finish(w);
    }
}

// The client has gone. What it sent is appended all the same: a producer without acks may close at once.
static void on_cancel_collected(struct request *r)
{
    struct produce *w = r->parked;
    w->cancelled = true;
    reactor_settle(r->reactor);
    release(w);
}

// Once everything is validated.
static void append_all(struct produce *w)
{
    struct request *r = w->request;
    if (gather(w, NULL, 0) == 0) {
        finish(w);
        return;
    }
    request_park(r, PARK_OVERTAKE, on_cancel_collected, w);
    reactor_collect(r->reactor, &w->node, r->size_bytes, settle);
    if (r->reactor->collected_bytes >= REACTOR_COLLECTED_BYTES)
        reactor_settle(r->reactor);
}

// Validating

static void validate_on_worker(struct request_work *work)
{
    validate_all(container_of(work, struct produce, validation), NULL);
}

// What is validated of a client that has gone meanwhile: as in on_cancel_collected.
static void append_unanswered(struct produce *w)
{
    w->cancelled = true;
    if (gather(w, NULL, 0) > 0) {
        reactor_collect(w->request->reactor, &w->node, w->request->size_bytes, settle);
        reactor_settle(w->request->reactor);
    }
    release(w);
}

static void on_validated(struct request_work *work, bool gone)
{
    struct produce *w = container_of(work, struct produce, validation);
    if (gone)
        append_unanswered(w);
    else
        append_all(w);
}

static void validate_and_append(struct produce *w)
{
    struct batch_budget budget = {VALIDATE_ON_REACTOR_NS};
    if (validate_all(w, &budget)) {
        append_all(w);
        return;
    }
    w->validation.run = validate_on_worker;
    w->validation.done = on_validated;
    request_work(w->request, &w->validation);
}

// Transactions: their coordinator is asked first, as by Kafka: a partition joins the transaction of a client
// of version 2 whatever is then found wrong with the batch.

static void on_verified(void *context)
{
    struct produce *w = context;
    w->verifying = NULL;
    for (size_t i = 0; i < w->entry_count; i++) {
        const struct produce_entry *e = &w->entries[i];
        struct produce_item *item = e->context;
        item->guard = e->guard;
        if (e->error == E_NONE)
            continue;
        item->error = e->error;
        item->message = e->message;
    }
    validate_and_append(w);
}

static void on_cancel_verifying(struct request *r)
{
    struct produce *w = r->parked;
    produce_verify_forget(w->verifying);
    release(w);
}

// Gathers the transactional batches; all of them are of one producer. False: they are not.
static bool gather_transactional(struct produce *w)
{
    struct batch_header h;
    w->entries = arena_zalloc(&w->request->arena, w->count, sizeof *w->entries);
    for (size_t i = 0; i < w->count && w->entries; i++) {
        struct produce_item *item = &w->items[i];
        if (!item->partition || !item->records ||
            batch_header_read((struct bytes){item->records, item->records_bytes}, &h) ||
            !batch_is_transactional(&h) || !batch_has_producer(&h))
            continue;
        const struct batch_header *first = &w->entries[0].batch;
        if (w->entry_count > 0 &&
            (h.producer_id != first->producer_id || h.producer_epoch != first->producer_epoch))
            return false;
        w->entries[w->entry_count++] = (struct produce_entry){.partition = item->partition,
                                                              .topic = item->topic,
                                                              .index = item->index,
                                                              .batch = h,
                                                              .guard = LOG_NO_GUARD,
                                                              .context = item};
    }
    return true;
}

static void verify_and_append(struct produce *w)
{
    struct request *r = w->request;
    if (!w->transactional || !w->verifies) {
        validate_and_append(w);
    } else if (!gather_transactional(w)) {
        produce_fail_all(w, E_INVALID_PRODUCER_ID_MAPPING,
                         STR("Transactional records contained more than one producer ID"));
        append_all(w);
    } else if (w->entry_count == 0 || produce_verify(r, w->message->transactional_id, w->entries,
                                                     w->entry_count, on_verified, w, &w->verifying)) {
        on_verified(w);
    } else {
        request_park(r, PARK_STALL, on_cancel_verifying, w);
    }
}

static void prepared(struct produce *w)
{
    if (w->out_of_memory) {
        release(w);
        request_close(w->request, "out of memory for Produce");
    } else if (w->settled) {
        append_all(w);
    } else {
        verify_and_append(w);
    }
}

// Transactional ones only once their coordinator has been asked.
static void validate_early(struct produce *w)
{
    if (!w->out_of_memory && !w->settled && !(w->transactional && w->verifies))
        validate_all(w, NULL);
}

static void load_on_loader(struct request_work *work)
{
    struct produce *w = container_of(work, struct produce, preparation);
    w->loaders = NULL;
    for (size_t i = 0; i < w->count; i++) {
        struct partition *p = w->items[i].partition;
        struct workers *loaders = p ? log_loaders(p->log) : NULL;
        if (loaders == work->loaders)
            (void)log_load(p->log); // a log that cannot be loaded is off line
        else if (loaders)
            w->loaders = loaders;
    }
    if (!w->loaders)
        validate_early(w);
}

static void prepare_on_worker(struct request_work *work)
{
    struct produce *w = container_of(work, struct produce, preparation);
    produce_prepare(w);
    if (!w->loaders)
        validate_early(w);
}

static void on_prepared(struct request_work *work, bool gone);

// Logs that nobody has used yet are read first, those of one directory after the other, whether or not the
// client is still there.
static void load_or_go_on(struct produce *w, bool gone)
{
    if (w->loaders) {
        w->preparation =
            (struct request_work){.run = load_on_loader, .done = on_prepared, .loaders = w->loaders};
        request_work(w->request, &w->preparation);
    } else if (gone) {
        append_unanswered(w);
    } else {
        prepared(w);
    }
}

static void on_prepared(struct request_work *work, bool gone)
{
    load_or_go_on(container_of(work, struct produce, preparation), gone);
}

static void handle_produce(struct request *r)
{
    size_t partitions = produce_count_partitions(r->message), topics = produce_count_topics(r->message);
    struct produce *w = arena_zalloc(&r->arena, 1, sizeof *w);
    if (!w || partitions > PARTITIONS_MAX || topics > PARTITIONS_MAX) {
        request_close(r, w ? TOO_MANY_PARTITIONS : "out of memory for Produce");
        return;
    }
    w->request = r;
    w->message = r->message;
    w->acks = w->message->acks;
    w->verifies = broker_config_now(broker_of(r))->verify_transactions || r->version >= PRODUCE_ADDS_VERSION;
    w->progress = TASK_INIT(on_progress);
    w->timeout.fire = on_timeout;
    if (partitions + topics > PARTITIONS_ON_REACTOR) {
        w->preparation = (struct request_work){.run = prepare_on_worker, .done = on_prepared};
        request_work(r, &w->preparation);
    } else {
        produce_prepare(w);
        load_or_go_on(w, false);
    }
}

const struct api_handler produce_handler = {.api_key = 0,
                                            .min_version = 3,
                                            .max_version = 13,
                                            .advertised_min_version = 0,
                                            .listeners = LISTENER_BROKER,
                                            .collects = true,
                                            .handle = handle_produce};
