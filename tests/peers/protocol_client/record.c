#define _GNU_SOURCE
#include "record.h"

#include "ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FILE *file;

static void take(Recorded *recorded, const json_t *line) {
    if (!json_object_get(line, "seq"))
        return; /* of something missing */
    Place place = place_of(line);
    if (json_is_true(json_object_get(line, "proven")))
        *recorded = (Recorded){place, 0, 0};
    else
        recorded->epoch = place.epoch, recorded->last = place.seq;
}

Recorded record_open(const char *path) {
    Recorded recorded = {{0, 0}, 0, 0};
    char *text = NULL;
    size_t room = 0;
    long whole = 0;
    file = fopen(path, "a+");
    if (!file)
        die("cannot open %s", path);
    rewind(file);
    for (ssize_t length; (length = getline(&text, &room, file)) > 0 && text[length - 1] == '\n'; whole = ftell(file)) {
        json_t *line = json_loads(text, 0, NULL);
        if (!line)
            die("%s: a line that is no JSON", path);
        take(&recorded, line);
        json_decref(line);
    }
    free(text);
    if (ftruncate(fileno(file), whole))
        die("cannot cut %s", path);
    fseek(file, 0, SEEK_END);
    return recorded;
}

static void write_line(json_t *line) {
    json_dumpf(line, file, JSON_COMPACT);
    json_decref(line);
    if (fputc('\n', file) < 0 || fflush(file) || fdatasync(fileno(file)))
        die("cannot write the record");
}

void record_verdict(const json_t *verdict, int live) {
    json_t *line = json_object();
    static const char *const KEPT[] = {"epoch", "seq", "part", "part_id", "outcome", "reason", "trigger_us"};
    for (size_t k = 0; k < sizeof KEPT / sizeof *KEPT; k++)
        json_object_set(line, KEPT[k], json_object_get(verdict, KEPT[k]));
    int journaled = json_is_true(json_object_get(verdict, "journaled"));
    json_object_set_new(line, "proven", json_boolean(journaled));
    json_object_set_new(line, "live", json_boolean(live));
    json_object_set_new(line, "act", json_boolean(live && may_act(verdict)));
    write_line(line);
}

void record_missing(int64_t epoch, int64_t first, const json_t *last, const char *why) {
    write_line(json_pack("{s:I, s:I, s:O, s:s}", "missing_of", (json_int_t)epoch, "first", (json_int_t)first, "last", last, "why",
                         why));
}
