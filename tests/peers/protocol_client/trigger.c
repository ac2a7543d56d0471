/* Trigger parts by software: docs/protocol.md, section 10.
   trigger CONTROL PREFIX FIRST COUNT INTERVAL_MS: parts PREFIX-FIRST ..., each repeated until it is answered. */
#include "ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

enum { FOR_EVER_MS = 600000 };

static json_t *trigger_of(const char *prefix, int number) {
    char name[65];
    snprintf(name, sizeof name, "%s-%d", prefix, number);
    return json_pack("{s:s, s:s, s:n, s:i, s:s, s:n}", "request", "trigger", "part_id", name, "tag", "counter", number,
                     "mode", "production", "cameras");
}

/* "After `busy`, `not_ready`, `not_journaled` and `stopping` nothing was done": try anew. */
static int is_put_off(const Answer *answer) { return is_refused_as(answer, "busy") || is_refused_as(answer, "stopping"); }

/* "A line that can wait looks at `ready` first." */
static int is_ready(void) {
    Answer answer;
    int ready = 0;
    if (!ask(json_pack("{s:s}", "request", "status"), 5000, &answer))
        return 0;
    if (is_answer(&answer, "status"))
        ready = json_is_true(json_object_get(json_object_get(answer.header, "status"), "ready"));
    answer_free(&answer);
    return ready;
}

static void trigger(const char *prefix, int number) {
    Answer answer;
    while (ask(trigger_of(prefix, number), FOR_EVER_MS, &answer) && is_put_off(&answer)) {
        answer_free(&answer);
        sleep_ms(1000);
    }
    json_dumpf(answer.header, stdout, JSON_COMPACT);
    puts("");
    fflush(stdout);
    if (!is_answer(&answer, "triggered"))
        die("%s-%d: refused", prefix, number);
    answer_free(&answer);
}

int main(int count, char **words) {
    if (count != 6)
        die("usage: trigger CONTROL PREFIX FIRST COUNT INTERVAL_MS");
    int first = atoi(words[3]), end = first + atoi(words[4]), interval_ms = atoi(words[5]);
    ask_open(zmq_ctx_new(), words[1]);
    for (int number = first; number < end; number++) {
        while (!is_ready())
            sleep_ms(100);
        trigger(words[2], number);
        sleep_ms(interval_ms);
    }
    return 0;
}
