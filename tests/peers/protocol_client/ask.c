#include "ask.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <zmq.h>

static void *context_of_all;
static const char *control_address;
static void *control;

void die(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

int64_t monotonic_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void sleep_ms(int64_t ms) {
    struct timespec time = {ms / 1000, (ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

void random_hex(char text[33]) {
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        die("getrandom gave too little");
    for (int k = 0; k < 16; k++)
        sprintf(text + 2 * k, "%02x", bytes[k]);
}

void ask_open(void *context, const char *address) {
    context_of_all = context;
    control_address = address;
    ask_anew();
}

void ask_anew(void) {
    int no_linger = 0, no_limit = 0;
    if (control)
        zmq_close(control);
    control = zmq_socket(context_of_all, ZMQ_DEALER);
    zmq_setsockopt(control, ZMQ_LINGER, &no_linger, sizeof no_linger);
    zmq_setsockopt(control, ZMQ_RCVHWM, &no_limit, sizeof no_limit);
    if (zmq_connect(control, control_address))
        die("cannot connect to %s: %s", control_address, zmq_strerror(errno));
}

static json_t *next_part(int *more) {
    zmq_msg_t message;
    zmq_msg_init(&message);
    if (zmq_msg_recv(&message, control, ZMQ_DONTWAIT) < 0)
        die("cannot read an answer: %s", zmq_strerror(errno));
    json_t *part = json_loadb(zmq_msg_data(&message), zmq_msg_size(&message), JSON_REJECT_DUPLICATES, NULL);
    *more = zmq_msg_more(&message);
    zmq_msg_close(&message);
    if (!json_is_object(part))
        die("an answer's part is not a JSON object");
    return part;
}

static void read_answer(Answer *answer) {
    int more;
    answer->header = next_part(&more);
    answer->verdicts = NULL;
    for (answer->count = 0; more; answer->count++) {
        answer->verdicts = realloc(answer->verdicts, sizeof(json_t *) * (answer->count + 1));
        answer->verdicts[answer->count] = next_part(&more);
    }
}

void answer_free(Answer *answer) {
    for (int k = 0; k < answer->count; k++)
        json_decref(answer->verdicts[k]);
    free(answer->verdicts);
    json_decref(answer->header);
}

static int answered(const char *id, int64_t until_us, Answer *answer) {
    for (;;) {
        int64_t left_us = until_us - monotonic_us();
        zmq_pollitem_t item = {control, 0, ZMQ_POLLIN, 0};
        if (left_us <= 0 || zmq_poll(&item, 1, left_us / 1000 + 1) <= 0)
            return 0;
        read_answer(answer);
        if (!strcmp(json_string_value(json_object_get(answer->header, "id")), id))
            break;
        answer_free(answer); /* of a request that was given up */
    }
    if (integer_of(answer->header, "version") != 1)
        die("an answer of another version");
    return 1;
}

int ask(json_t *request, int patience_ms, Answer *answer) {
    char id[33];
    random_hex(id);
    json_object_set_new(request, "version", json_integer(1));
    json_object_set_new(request, "id", json_string(id));
    char *bytes = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    int64_t end_us = monotonic_us() + (int64_t)patience_ms * 1000;
    answer->first_sent_us = monotonic_us();
    int done = 0;
    while (!done && monotonic_us() < end_us) {
        int64_t again_us = monotonic_us() + 1000000;
        zmq_send(control, bytes, strlen(bytes), ZMQ_DONTWAIT);
        done = answered(id, again_us < end_us ? again_us : end_us, answer);
        if (!done)
            ask_anew();
    }
    free(bytes);
    return done;
}

int is_answer(const Answer *answer, const char *name) {
    return !strcmp(json_string_value(json_object_get(answer->header, "answer")), name);
}

int is_refused_as(const Answer *answer, const char *code) {
    return is_answer(answer, "refused") && !strcmp(json_string_value(json_object_get(answer->header, "code")), code);
}

int64_t integer_of(const json_t *object, const char *field) {
    const json_t *value = json_object_get(object, field);
    if (!json_is_integer(value))
        die("%s: not an integer", field);
    return json_integer_value(value);
}
