#define _GNU_SOURCE
#include "record.h"

#include "ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BEHIND = 100000 };

static FILE *file;
static Place behind[BEHIND]; /* recorded before this start, and not known to be in the journal then */
static int behind_count;

static void take(Place *proven, const json_t *line) {
    if (!json_object_get(line, "seq"))
        return; /* of something missing */
    if (json_is_true(json_object_get(line, "proven"))) {
        *proven = place_of(line);
        behind_count = 0;
    } else if (behind_count == BEHIND) {
        die("more than %d records of which none is known to be in the journal", BEHIND);
    } else {
        behind[behind_count++] = place_of(line);
    }
}

Place record_open(const char *path) {
    Place proven = {0, 0};
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
        take(&proven, line);
        json_decref(line);
    }
    free(text);
    if (ftruncate(fileno(file), whole))
        die("cannot cut %s", path);
    fseek(file, 0, SEEK_END);
    return proven;
}

static void write_line(json_t *line) {
    json_dumpf(line, file, JSON_COMPACT);
    json_decref(line);
    if (fputc('\n', file) < 0 || fflush(file) || fdatasync(fileno(file)))
        die("cannot write the record");
}

static int is_recorded(Place place) {
    for (int k = 0; k < behind_count; k++)
        if (is_same(behind[k], place))
            return 1;
    return 0;
}

void record_verdict(const json_t *verdict, int live) {
    if (is_recorded(place_of(verdict)))
        return;
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
