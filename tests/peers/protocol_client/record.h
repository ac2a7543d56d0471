/* The durable record of what was delivered: a line of JSON each. The record is the delivery. */
#ifndef RECORD_H
#define RECORD_H

#include "message.h"

typedef struct {
    Place proven;             /* last place recorded as journaled or replayed; 0, 0: none */
    int64_t epoch, last;      /* what was recorded behind it as not journaled: epoch and last seq; 0: nothing */
} Recorded;

/* Open *path* for appending and tell where its records end; an unfinished last line is cut off. */
Recorded record_open(const char *path);
void record_verdict(const json_t *verdict, int live);
void record_missing(int64_t epoch, int64_t first, const json_t *last, const char *why);

#endif
