/* A consumer: docs/protocol.md, section 8.2; the numbers in the comments are its steps.
   consume RESULTS CONTROL STATION NAME RECORD: until SIGTERM, which acknowledges, detaches and ends with 0. */
#include "ask.h"
#include "message.h"
#include "record.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

enum { SILENCE_MS = 3000, LEASE_US = 5000000, RENEW_US = 1700000, ACK_US = 200000, PAGE = 500, EPOCHS = 4096 };

typedef enum { SUBSCRIBE, ATTACH, REPLAY, LIVE } Step;

static const char *results_address, *station, *name;
static char session[33];
static void *context, *results;
static volatile sig_atomic_t told_to_end;

static Place position, dealt_with, acknowledged; /* dealt_with: the last delivered that is in the journal */
static int64_t tentative_epoch, tentative_first, tentative_last; /* epoch 0: nothing is tentative */
static int64_t present, put, lease_us, asked_us;
static int attached_once;
static int64_t seen[EPOCHS], over[EPOCHS];
static int seen_count, over_count;
static struct { int64_t epoch, first; json_t *last; } told;
static json_t *kept; /* step 4: looked at again after 2 or 3 */

static void on_term(int number) { (void)number; told_to_end = 1; }

static int is_in(const int64_t *epochs, int count, int64_t epoch) {
    while (count)
        if (epochs[--count] == epoch)
            return 1;
    return 0;
}

static void see(int64_t epoch) {
    if (is_in(seen, seen_count, epoch))
        return;
    if (seen_count == EPOCHS)
        die("more epochs than one process can see");
    seen[seen_count++] = epoch;
}

static int64_t last_seq(void) { return tentative_epoch == present && tentative_epoch ? tentative_last : position.seq; }

static void forget_tentative(void) { tentative_epoch = tentative_first = tentative_last = 0; }

static void move_to(Place place) {
    position = place;
    if (tentative_epoch != place.epoch || tentative_last <= place.seq)
        forget_tentative();
}

static int is_tentative(Place place) {
    return tentative_epoch == place.epoch && tentative_first <= place.seq && place.seq <= tentative_last;
}

static void deliver(const json_t *verdict, int live) {
    Place place = place_of(verdict);
    record_verdict(verdict, live);
    if (json_is_true(json_object_get(verdict, "journaled"))) {
        forget_tentative();
        position = dealt_with = place;
    } else {
        if (tentative_epoch != place.epoch)
            tentative_first = place.seq;
        tentative_epoch = place.epoch;
        tentative_last = place.seq;
    }
}

/* 1. Subscribe, and wait for a status as long as it takes. */
static Step subscribe(void) {
    int zero = 0;
    char topic[160];
    if (results)
        zmq_close(results);
    ask_anew();
    results = zmq_socket(context, ZMQ_SUB);
    zmq_setsockopt(results, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(results, ZMQ_RCVHWM, &zero, sizeof zero);
    snprintf(topic, sizeof topic, "verdict/%s/", station);
    zmq_setsockopt(results, ZMQ_SUBSCRIBE, topic, strlen(topic));
    snprintf(topic, sizeof topic, "status/%s/", station);
    zmq_setsockopt(results, ZMQ_SUBSCRIBE, topic, strlen(topic));
    if (zmq_connect(results, results_address))
        die("cannot connect to %s: %s", results_address, zmq_strerror(errno));
    while (!told_to_end) {
        zmq_pollitem_t item = {results, 0, ZMQ_POLLIN, 0};
        if (zmq_poll(&item, 1, 200) <= 0)
            continue;
        json_t *message = read_message(results, station);
        int heard = message && is_status(message, station);
        if (message)
            see(place_of(message).epoch);
        json_decref(message);
        if (heard)
            return ATTACH;
    }
    return SUBSCRIBE;
}

static void take_present(const Answer *answer) {
    present = integer_of(answer->header, "live_epoch");
    see(present);
    memcpy(over, seen, sizeof seen);
    over_count = seen_count;
}

static void begin(const Answer *answer, Place recorded) {
    Place cursor = place_of(answer->header);
    int is_new = json_is_true(json_object_get(answer->header, "new"));
    attached_once = 1;
    put = cursor.seq;
    position = cursor;
    if (recorded.epoch && (is_new || recorded.seq > cursor.seq))
        position = dealt_with = recorded;
}

static void attach_again(const Answer *answer) {
    int64_t seq = integer_of(answer->header, "seq");
    if (json_is_true(json_object_get(answer->header, "new")))
        put = seq;
    else if (seq > put)
        die("%s: somebody else used this name", name);
}

/* 2. Attach. */
static Step attach(Place recorded) {
    int64_t end_us = monotonic_us() + 7000000;
    Answer answer;
    for (;;) {
        json_t *request = json_pack("{s:s, s:s, s:s, s:s, s:b}", "request", "attach", "consumer", name, "session", session,
                                    "origin", "oldest", "take_over", 0);
        if (told_to_end || !ask(request, SILENCE_MS, &answer))
            return SUBSCRIBE;
        if (is_answer(&answer, "attached"))
            break;
        int is_taken = is_refused_as(&answer, "name_taken");
        if (is_taken ? attached_once || monotonic_us() > end_us : !is_refused_as(&answer, "not_journaled"))
            die("attach: %s", json_string_value(json_object_get(answer.header, "text")));
        answer_free(&answer);
        sleep_ms(500);
    }
    lease_us = asked_us = answer.first_sent_us;
    take_present(&answer);
    if (attached_once)
        attach_again(&answer);
    else
        begin(&answer, recorded);
    answer_free(&answer);
    return REPLAY;
}

static int is_leased(void) { return monotonic_us() - lease_us < LEASE_US; }

/* 5 and 6. Acknowledge what is dealt with, which renews the lease. The step that follows; LIVE: go on. */
static Step acknowledge(void) {
    Place place = dealt_with;
    if (place.seq > put)
        put = place.seq; /* before it is sent */
    Answer answer;
    json_t *request = json_pack("{s:s, s:s, s:s, s:I, s:I}", "request", "ack", "consumer", name, "session", session, "epoch",
                                (json_int_t)place.epoch, "seq", (json_int_t)place.seq);
    asked_us = monotonic_us();
    if (!ask(request, SILENCE_MS, &answer))
        return SUBSCRIBE;
    Step next = LIVE;
    if (is_answer(&answer, "acknowledged")) {
        lease_us = answer.first_sent_us;
        acknowledged = place;
    } else if (is_refused_as(&answer, "not_attached")) {
        next = ATTACH;
    } else if (is_refused_as(&answer, "unknown_epoch")) {
        dealt_with = acknowledged = (Place){0, 0};
    } else if (!is_refused_as(&answer, "not_journaled")) {
        die("ack: %s", json_string_value(json_object_get(answer.header, "text")));
    }
    answer_free(&answer);
    return next;
}

/* What is due: an ack, for its own sake or to renew. */
static Step keep_lease(void) {
    if (!is_leased())
        return SUBSCRIBE;
    int64_t since_us = monotonic_us() - asked_us;
    if (since_us < ACK_US || (is_same(dealt_with, acknowledged) && since_us < RENEW_US))
        return LIVE;
    return acknowledge();
}

static void tell_missing(const json_t *missing) {
    int64_t epoch = integer_of(missing, "epoch"), first = integer_of(missing, "first"), from = first;
    json_t *last = json_object_get(missing, "last");
    if (told.last && told.epoch == epoch && told.first == first)
        from = json_is_null(told.last) ? INT64_MAX : json_integer_value(told.last) + 1;
    if (from != INT64_MAX && is_tentative((Place){epoch, from}))
        from = tentative_last + 1;
    if (from != INT64_MAX && (json_is_null(last) || from <= json_integer_value(last)))
        record_missing(epoch, from, last, json_string_value(json_object_get(missing, "why")));
    json_decref(told.last);
    told.epoch = epoch;
    told.first = first;
    told.last = json_incref(last);
}

static void take_replayed(const json_t *verdict) {
    Place place = place_of(verdict);
    if (is_tentative(place)) {
        dealt_with = place;
        move_to(place);
        return;
    }
    int live = kept && is_verdict(kept, station) && is_same(place, place_of(kept)) && place.epoch == present;
    record_verdict(verdict, live);
    dealt_with = place;
    move_to(place);
}

static int is_end(const Answer *answer) {
    int empty = answer->count == 0, in_present = integer_of(answer->header, "epoch") == present;
    return json_is_true(json_object_get(answer->header, "end")) && (empty || in_present);
}

/* 3. Replay from the position, page by page. */
static Step replay(void) {
    for (int end = 0; !end;) {
        Answer answer;
        Step next = keep_lease();
        if (next != LIVE)
            return next;
        json_t *request = json_pack("{s:s, s:I, s:I, s:i}", "request", "replay", "epoch", (json_int_t)position.epoch, "seq",
                                    (json_int_t)position.seq, "limit", PAGE);
        if (told_to_end || !ask(request, SILENCE_MS, &answer))
            return SUBSCRIBE;
        if (is_answer(&answer, "replayed")) {
            if (!is_leased())
                return SUBSCRIBE;
            json_t *missing = json_object_get(answer.header, "missing");
            if (!json_is_null(missing))
                tell_missing(missing);
            for (int k = 0; k < answer.count; k++) {
                if (!is_verdict(answer.verdicts[k], station))
                    die("replay: a verdict that cannot be read");
                take_replayed(answer.verdicts[k]);
            }
            move_to(place_of(answer.header));
            see(position.epoch);
            end = is_end(&answer);
        } else if (is_refused_as(&answer, "not_journaled")) {
            sleep_ms(100);
        } else {
            die("replay: %s", json_string_value(json_object_get(answer.header, "text")));
        }
        answer_free(&answer);
    }
    return LIVE;
}

static void settle_by(const json_t *status) {
    int64_t journaled = integer_of(status, "journaled_seq");
    if (!tentative_epoch || tentative_epoch != present || journaled <= position.seq)
        return;
    Place place = {tentative_epoch, journaled < tentative_last ? journaled : tentative_last};
    dealt_with = place;
    move_to(place);
}

/* 4. Look at one message. LIVE: it is dealt with; else: where to go, and look at it again. */
static Step look_at(const json_t *message) {
    Place place = place_of(message);
    see(place.epoch);
    if (place.epoch != present)
        return is_in(over, over_count, place.epoch) ? LIVE : ATTACH;
    int64_t last = last_seq();
    if (is_status(message, station)) {
        settle_by(message);
        return place.seq > last ? REPLAY : LIVE;
    }
    if (place.seq <= last && (place.epoch == position.epoch || place.epoch == tentative_epoch))
        return LIVE;
    if (place.seq != last + 1)
        return REPLAY;
    deliver(message, 1);
    return LIVE;
}

/* Look again at what led to 2 or 3. */
static Step look_again(void) {
    Step next = look_at(kept);
    int is_awaited = next == REPLAY && is_verdict(kept, station); /* its predecessors are not in the journal yet */
    if (is_awaited) {
        sleep_ms(100);
        return REPLAY;
    }
    json_decref(kept);
    kept = NULL;
    return LIVE;
}

/* 4. Live. */
static Step live(void) {
    int64_t heard_us = monotonic_us();
    while (!told_to_end) {
        Step next = keep_lease();
        if (next != LIVE)
            return next;
        if (kept && (next = look_again()) != LIVE)
            return next;
        zmq_pollitem_t item = {results, 0, ZMQ_POLLIN, 0};
        int is_there = zmq_poll(&item, 1, 50) > 0;
        if (!is_there && monotonic_us() - heard_us > SILENCE_MS * 1000)
            return SUBSCRIBE;
        if (!is_there)
            continue;
        json_t *message = read_message(results, station);
        if (!message)
            continue; /* its place is found missing */
        if (is_status(message, station))
            heard_us = monotonic_us();
        next = is_leased() ? look_at(message) : SUBSCRIBE;
        if (next == ATTACH || next == REPLAY) {
            kept = message;
            return next;
        }
        json_decref(message);
        if (next != LIVE)
            return next;
    }
    return LIVE;
}

static void leave(void) {
    Answer answer;
    if (!attached_once)
        return;
    acknowledge();
    json_t *request =
        json_pack("{s:s, s:s, s:s, s:b}", "request", "detach", "consumer", name, "session", session, "forget", 0);
    if (ask(request, SILENCE_MS, &answer))
        answer_free(&answer);
}

int main(int count, char **words) {
    if (count != 6)
        die("usage: consume RESULTS CONTROL STATION NAME RECORD");
    results_address = words[1];
    station = words[3];
    name = words[4];
    Place recorded = record_open(words[5]);
    context = zmq_ctx_new();
    random_hex(session);
    signal(SIGTERM, on_term);
    ask_open(context, words[2]);
    for (Step step = SUBSCRIBE; !told_to_end;) {
        if (step == SUBSCRIBE) {
            json_decref(kept);
            kept = NULL;
            step = subscribe();
        } else if (step == ATTACH) {
            step = attach(recorded);
        } else if (step == REPLAY) {
            step = replay();
        } else {
            step = live();
        }
    }
    leave();
    return 0;
}
