/* Asking the station: docs/protocol.md, section 10. */
#ifndef ASK_H
#define ASK_H

#include <jansson.h>
#include <stdint.h>

typedef struct {
    int64_t first_sent_us; /* when the request was first sent: a lease counts from here */
    json_t *header;        /* the answer; owned by the caller */
    json_t **verdicts;     /* the further parts of `replayed` */
    int count;
} Answer;

int64_t monotonic_us(void);
void random_hex(char text[33]);
void sleep_ms(int64_t ms);

/* Connect; *address* must outlive all asking. */
void ask_open(void *context, const char *address);
void ask_anew(void);

/* Ask until an answer comes or *patience_ms* are over, the same bytes again each second. Takes over *request*, adds
   version and id. Returns 1 with *answer* filled, 0 where none came. A malformed answer ends the process. */
int ask(json_t *request, int patience_ms, Answer *answer);
void answer_free(Answer *answer);

int is_answer(const Answer *answer, const char *name);
int is_refused_as(const Answer *answer, const char *code);
int64_t integer_of(const json_t *object, const char *field);
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
