#include "message.h"

#include "ask.h"

#include <stdio.h>
#include <string.h>
#include <zmq.h>

static const char *const VERDICT[] = {
    "schema", "version", "station", "epoch", "seq", "part", "part_id", "tag", "mode", "outcome", "reason", "detail",
    "stage", "views", "recipe", "bundle_hash", "trigger_us", "deadline_us", "published_us", "utc_us", "timings_us",
    "journaled", "replayed", "complete", NULL};
static const char *const STATUS[] = {
    "schema", "version", "station", "epoch", "seq", "journaled_seq", "state", "ready", "detail", "alarms", "recipe",
    "paused", "challenge", "inspector", "start_ms", "triggers", "counts", "unknown", "open", "cameras", "sent_us",
    "utc_us", NULL};
static const char *const REASON[] = {
    "late", "missed", "overrun", "overload", "camera", "geometry", "engine", "recipe", "drift", "selftest", "paused",
    "restart", "stopped", NULL};

static const char *text_of(const json_t *object, const char *field) {
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "";
}

static int is_one_of(const char *text, const char *const *list) {
    for (; *list; list++)
        if (!strcmp(text, *list))
            return 1;
    return 0;
}

static int has_exactly(const json_t *object, const char *const *fields) {
    size_t count = 0;
    for (; fields[count]; count++)
        if (!json_object_get(object, fields[count]))
            return 0;
    return json_object_size(object) == count;
}

static int is_record(const json_t *object, const char *schema, const char *const *fields, const char *station) {
    return has_exactly(object, fields) && !strcmp(text_of(object, "schema"), schema) &&
           json_integer_value(json_object_get(object, "version")) == 1 && !strcmp(text_of(object, "station"), station) &&
           json_is_integer(json_object_get(object, "epoch")) && json_is_integer(json_object_get(object, "seq"));
}

int is_verdict(const json_t *object, const char *station) {
    if (!is_record(object, "verdict", VERDICT, station) || !json_is_boolean(json_object_get(object, "journaled")))
        return 0;
    int unknown = !strcmp(text_of(object, "outcome"), "UNKNOWN");
    if (!unknown && strcmp(text_of(object, "outcome"), "PASS") && strcmp(text_of(object, "outcome"), "REJECT"))
        return 0;
    return unknown ? is_one_of(text_of(object, "reason"), REASON) : json_is_null(json_object_get(object, "reason"));
}

int is_status(const json_t *object, const char *station) {
    return is_record(object, "status", STATUS, station) && json_is_integer(json_object_get(object, "journaled_seq"));
}

Place place_of(const json_t *object) { return (Place){integer_of(object, "epoch"), integer_of(object, "seq")}; }

int is_same(Place one, Place other) { return one.epoch == other.epoch && one.seq == other.seq; }

static int is_topic_of(const char *topic, size_t size, const json_t *header, const char *station) {
    char own[160];
    int length = snprintf(own, sizeof own, "%s/%s/", text_of(header, "schema"), station);
    return size == (size_t)length && !memcmp(topic, own, size);
}

json_t *read_message(void *socket, const char *station) {
    char topic[160];
    json_t *header = NULL;
    size_t topic_size = 0;
    int more = 1, parts = 0;
    for (; more; parts++) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, socket, 0) < 0)
            die("cannot read results: %s", zmq_strerror(errno));
        if (parts == 0 && zmq_msg_size(&part) < sizeof topic)
            memcpy(topic, zmq_msg_data(&part), topic_size = zmq_msg_size(&part));
        if (parts == 1)
            header = json_loadb(zmq_msg_data(&part), zmq_msg_size(&part), JSON_REJECT_DUPLICATES, NULL);
        more = zmq_msg_more(&part);
        zmq_msg_close(&part);
    }
    if (parts == 2 && is_topic_of(topic, topic_size, header, station))
        if (is_verdict(header, station) || is_status(header, station))
            return header;
    json_decref(header);
    return NULL;
}

int may_act(const json_t *verdict) {
    int64_t now_us = monotonic_us();
    return !strcmp(text_of(verdict, "outcome"), "PASS") && !strcmp(text_of(verdict, "mode"), "production") &&
           integer_of(verdict, "published_us") <= now_us && now_us < integer_of(verdict, "deadline_us");
}
