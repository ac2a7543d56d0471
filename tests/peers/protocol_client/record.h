/* The durable record of what was delivered: a line of JSON each. The record is the delivery. */
#ifndef RECORD_H
#define RECORD_H

#include "message.h"

/* Open *path* for appending; an unfinished last line is cut off. Returns the last place recorded as journaled or
   replayed; 0, 0: none. What was recorded behind it is not recorded a second time. */
Place record_open(const char *path);
void record_verdict(const json_t *verdict, int live);
void record_missing(int64_t epoch, int64_t first, const json_t *last, const char *why);

#endif
