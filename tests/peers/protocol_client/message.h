/* What the results endpoint says: docs/protocol.md, sections 2 to 4. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <jansson.h>
#include <stdint.h>

typedef struct {
    int64_t epoch, seq;
} Place;

/* Whether *object* is a verdict (status) of version 1 of *station*: all fields there, no other, its closed lists kept. */
int is_verdict(const json_t *object, const char *station);
int is_status(const json_t *object, const char *station);
Place place_of(const json_t *object);
int is_same(Place one, Place other);

/* Read one message of *socket*. NULL: it was not written for us, which its place in the sequence will show. */
json_t *read_message(void *socket, const char *station);

/* Whether a machine on the station's own machine may act by *verdict*, heard live, as the next one, under a lease. */
int may_act(const json_t *verdict);

#endif
