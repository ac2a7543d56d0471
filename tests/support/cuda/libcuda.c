// A stand-in for libcuda.so.1, for machines without a GPU: "device" memory is host memory, nothing here is a GPU.
//
// What it keeps of the real thing: a context must be current; work on a stream happens in order and not before somebody
// waits for the stream, so that an answer read too early is an old one; a capture records instead of running; a sticky
// error ends everything. It runs no kernels: cuLaunchHostFunc is the only way to compute. It proves plumbing, no speed.
//
// What the product does not call is answered with "not supported" by a file that build.py generates.

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_READY = 600, CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901
};
enum { DEVICE_MEMORY, HOST_MEMORY, STREAMS, EVENTS, GRAPHS, CONTEXTS, KINDS };
enum { COPY, FILL, CALL, STAMP };

typedef unsigned long long Address;
typedef void (*Function)(void *);
typedef struct Event { double ms; int captured; struct Stream *stream; } Event;
typedef struct Node {
    int kind;
    char *to;
    const char *from;
    size_t bytes;
    unsigned value, width;
    Function function;
    void *data;
    Event *event;
    struct Node *next;
} Node;
typedef struct Graph { Node *first; } Graph;
typedef struct Stream { Node *waiting; Graph *capture; int broken; } Stream;
typedef struct Block { char *at; size_t bytes; int kind; struct Block *next; } Block;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Block *blocks;
static Stream default_stream;
static int primary;  // its address is the primary context
static int live[KINDS];
static size_t memory = 8ull << 30, used;
static int devices = 1, integrated = 0, major = 8, minor = 7, initialized = 0;
static long calls, failing_from;
static int failing_with;
static __thread void *current[64];
static __thread int depth;
static __thread Stream *capturing;

// ---- what a test can ask and change; the same by environment, for processes that a test does not run itself

// *after* below 0: fail no more; this thread captures nothing then, as if it were a new process.
void standin_cuda_fail(long after, int code) {
    failing_from = after < 0 ? 0 : calls + after;
    failing_with = code;
    if (after < 0) capturing = 0;
}
void standin_cuda_devices(int n) { devices = n; }
void standin_cuda_integrated(int yes) { integrated = yes; }
void standin_cuda_capability(int a, int b) { major = a; minor = b; }
void standin_cuda_memory(size_t bytes) { memory = bytes; }
int standin_cuda_live(int kind) { return live[kind]; }
int standin_cuda_pushed(void) { return depth; }
long standin_cuda_calls(void) { return calls; }

__attribute__((constructor)) static void read_environment(void) {
    const char *text;
    if ((text = getenv("STANDIN_CUDA_DEVICES"))) devices = atoi(text);
    if ((text = getenv("STANDIN_CUDA_INTEGRATED"))) integrated = atoi(text);
    if ((text = getenv("STANDIN_CUDA_CAPABILITY"))) sscanf(text, "%d.%d", &major, &minor);
    if ((text = getenv("STANDIN_CUDA_MEMORY"))) memory = strtoull(text, 0, 10);
    if ((text = getenv("STANDIN_CUDA_FAIL"))) sscanf(text, "%ld:%d", &failing_from, &failing_with);
}

static int gate(int needs_context) {
    calls++;
    if (failing_from && calls >= failing_from) return failing_with;
    if (!initialized) return NOT_INITIALIZED;
    return needs_context && !depth ? INVALID_CONTEXT : OK;
}

// What would stop the whole device is refused while this thread captures, and spoils the capture.
static int unsafe_gate(void) {
    int bad = gate(1);
    if (!bad && capturing) { capturing->broken = 1; return CAPTURE_UNSUPPORTED; }
    return bad;
}

#define GATE do { int bad = gate(0); if (bad) return bad; } while (0)
#define CONTEXT_GATE do { int bad = gate(1); if (bad) return bad; } while (0)
#define UNSAFE_GATE do { int bad = unsafe_gate(); if (bad) return bad; } while (0)

static void count(int kind, int by) { pthread_mutex_lock(&lock); live[kind] += by; pthread_mutex_unlock(&lock); }

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

// ---- driver and device

int cuInit(unsigned flags) { initialized = devices > 0; return initialized ? OK : NO_DEVICE; }
int cuDriverGetVersion(int *version) { *version = 13000; return OK; }
int cuDeviceGetCount(int *n) { GATE; *n = devices; return OK; }
int cuDeviceGet(int *device, int i) { GATE; *device = i; return i >= 0 && i < devices ? OK : INVALID_DEVICE; }
int cuDeviceGetName(char *name, int n, int device) { GATE; snprintf(name, n, "stand-in GPU (a CPU)"); return OK; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { GATE; *bytes = memory; return OK; }
int cuDeviceComputeCapability(int *a, int *b, int device) { GATE; *a = major; *b = minor; return OK; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    GATE;
    *value = attribute == 75 ? major : attribute == 76 ? minor : attribute == 18 ? integrated : attribute == 19;
    return OK;
}
int cuGetErrorString(int code, const char **text) {
    *text = code == OUT_OF_MEMORY ? "out of memory"
        : code == NO_DEVICE ? "no CUDA-capable device is detected"
        : code == INVALID_DEVICE ? "invalid device ordinal"
        : code == INVALID_CONTEXT ? "invalid device context"
        : code == 700 ? "an illegal memory access was encountered"
        : code == 719 ? "unspecified launch failure"
        : code == 801 ? "operation not supported"
        : code == CAPTURE_UNSUPPORTED ? "operation not permitted when stream is capturing" : "some error";
    return OK;
}
int cuGetErrorName(int code, const char **text) {
    *text = code == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : code == 719 ? "CUDA_ERROR_LAUNCH_FAILED" : "CUDA_ERROR";
    return OK;
}

// ---- contexts: only the primary one

int cuDevicePrimaryCtxRetain(void **context, int device) { GATE; *context = &primary; count(CONTEXTS, 1); return OK; }
int cuDevicePrimaryCtxRelease_v2(int device) { GATE; count(CONTEXTS, -1); return OK; }
int cuCtxPushCurrent_v2(void *context) { GATE; current[depth++] = context; return OK; }
int cuCtxPopCurrent_v2(void **context) { CONTEXT_GATE; *context = current[--depth]; return OK; }
int cuCtxGetCurrent(void **context) { GATE; *context = depth ? current[depth - 1] : 0; return OK; }
int cuCtxGetDevice(int *device) { CONTEXT_GATE; *device = 0; return OK; }
int cuCtxGetApiVersion(void *context, unsigned *version) { GATE; *version = 13000; return OK; }

// ---- memory

static int allocate(char **at, size_t bytes, int kind) {
    pthread_mutex_lock(&lock);
    int fits = kind == HOST_MEMORY || used + bytes <= memory;
    if (fits && kind == DEVICE_MEMORY) used += bytes;
    pthread_mutex_unlock(&lock);
    if (!fits || posix_memalign((void **)at, 4096, bytes ? bytes : 1)) return OUT_OF_MEMORY;
    memset(*at, 0xAB, bytes);
    Block *block = malloc(sizeof *block);
    pthread_mutex_lock(&lock);
    *block = (Block){*at, bytes, kind, blocks};
    blocks = block;
    live[kind]++;
    pthread_mutex_unlock(&lock);
    return OK;
}

static int release(char *at, int kind) {
    pthread_mutex_lock(&lock);
    Block **place = &blocks;
    while (*place && ((*place)->at != at || (*place)->kind != kind)) place = &(*place)->next;
    Block *block = *place;
    if (block) {
        *place = block->next;
        live[kind]--;
        if (kind == DEVICE_MEMORY) used -= block->bytes;
    }
    pthread_mutex_unlock(&lock);
    if (!block) return INVALID_VALUE;
    free(block->at);
    free(block);
    return OK;
}

// Tell whether that range lies in one allocation: what a GPU answers with an illegal address is refused when enqueued.
static int owned(const char *at, size_t bytes) {
    pthread_mutex_lock(&lock);
    Block *block = blocks;
    while (block && !(at >= block->at && at + bytes <= block->at + block->bytes)) block = block->next;
    pthread_mutex_unlock(&lock);
    return block != 0;
}

int cuMemAlloc_v2(Address *at, size_t bytes) { UNSAFE_GATE; return allocate((char **)at, bytes, DEVICE_MEMORY); }
int cuMemFree_v2(Address at) { UNSAFE_GATE; return release((char *)at, DEVICE_MEMORY); }
int cuMemHostAlloc(void **at, size_t bytes, unsigned flags) {
    UNSAFE_GATE;
    return allocate((char **)at, bytes, HOST_MEMORY);
}
int cuMemFreeHost(void *at) { UNSAFE_GATE; return release(at, HOST_MEMORY); }
int cuMemHostGetDevicePointer_v2(Address *to, void *at, unsigned flags) { CONTEXT_GATE; *to = (Address)at; return OK; }
int cuMemGetInfo_v2(size_t *left, size_t *all) { CONTEXT_GATE; *all = memory; *left = memory - used; return OK; }

// ---- streams: work waits until somebody waits for it

static void append(Node **list, Node node) {
    Node *copy = malloc(sizeof *copy);
    *copy = node;
    copy->next = 0;
    pthread_mutex_lock(&lock);
    while (*list) list = &(*list)->next;
    *list = copy;
    pthread_mutex_unlock(&lock);
}

static Stream *of(void *stream) { return stream ? stream : &default_stream; }

static int enqueue(void *stream, Node node) {
    append(of(stream)->capture ? &of(stream)->capture->first : &of(stream)->waiting, node);
    return OK;
}

static void execute(const Node *node) {
    if (node->kind == COPY) memmove(node->to, node->from, node->bytes);
    if (node->kind == FILL)
        for (size_t i = 0; i < node->bytes; i += node->width) memcpy(node->to + i, &node->value, node->width);
    if (node->kind == CALL) node->function(node->data);  // unlocked: it may wait for the interpreter
    if (node->kind == STAMP) node->event->ms = now_ms();
}

static void run(Stream *stream) {
    for (;;) {
        pthread_mutex_lock(&lock);
        Node *node = stream->waiting;
        if (node) stream->waiting = node->next;
        pthread_mutex_unlock(&lock);
        if (!node) return;
        if (!failing_from || calls < failing_from) execute(node);
        free(node);
    }
}

static int wait_for(Stream *stream) {
    if (stream->capture) { stream->broken = 1; return CAPTURE_UNSUPPORTED; }
    run(stream);
    return gate(0);  // an error of the work just done
}

int cuStreamCreate(void **stream, unsigned flags) {
    CONTEXT_GATE;
    *stream = calloc(1, sizeof(Stream));
    count(STREAMS, 1);
    return OK;
}
// What nobody has waited for is dropped: its memory may be gone already.
int cuStreamDestroy_v2(Stream *stream) {
    CONTEXT_GATE;
    for (Node *node = stream->waiting, *next; node; node = next) { next = node->next; free(node); }
    free(stream);
    count(STREAMS, -1);
    return OK;
}
int cuStreamSynchronize(void *stream) { CONTEXT_GATE; return wait_for(of(stream)); }
int cuStreamQuery(void *stream) { CONTEXT_GATE; return of(stream)->waiting ? NOT_READY : OK; }
// Of the whole context this thread only knows the default stream; enough to be told of an error.
int cuCtxSynchronize(void) { UNSAFE_GATE; return wait_for(&default_stream); }

static int copy(void *stream, char *to, const char *from, size_t bytes, int to_device, int from_device) {
    CONTEXT_GATE;
    if ((to_device && !owned(to, bytes)) || (from_device && !owned(from, bytes))) return INVALID_VALUE;
    // Out of pageable memory the driver copies before it returns.
    if (!of(stream)->capture && !(owned(to, bytes) && owned(from, bytes))) {
        run(of(stream));
        memmove(to, from, bytes);
        return OK;
    }
    return enqueue(stream, (Node){.kind = COPY, .to = to, .from = from, .bytes = bytes});
}
int cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t n, void *stream) {
    return copy(stream, (char *)to, from, n, 1, 0);
}
int cuMemcpyDtoHAsync_v2(void *to, Address from, size_t n, void *stream) {
    return copy(stream, to, (char *)from, n, 0, 1);
}
int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t n, void *stream) {
    return copy(stream, (char *)to, (char *)from, n, 1, 1);
}
static int fill(void *stream, Address to, unsigned value, unsigned width, size_t n) {
    CONTEXT_GATE;
    if (!owned((char *)to, n * width)) return INVALID_VALUE;
    return enqueue(stream, (Node){.kind = FILL, .to = (char *)to, .value = value, .width = width, .bytes = n * width});
}
int cuMemsetD8Async(Address to, unsigned char value, size_t n, void *stream) { return fill(stream, to, value, 1, n); }
int cuMemsetD32Async(Address to, unsigned value, size_t n, void *stream) { return fill(stream, to, value, 4, n); }
int cuLaunchHostFunc(void *stream, Function function, void *data) {
    CONTEXT_GATE;
    return enqueue(stream, (Node){.kind = CALL, .function = function, .data = data});
}
// On the default stream, and done when it returns; it does not wait for other streams, as with non-blocking ones.
static int copy_now(char *to, const char *from, size_t n) { UNSAFE_GATE; memmove(to, from, n); return OK; }
int cuMemcpyHtoD_v2(Address to, const void *from, size_t n) { return copy_now((char *)to, from, n); }
int cuMemcpyDtoH_v2(void *to, Address from, size_t n) { return copy_now(to, (char *)from, n); }
int cuMemcpyDtoD_v2(Address to, Address from, size_t n) { return copy_now((char *)to, (char *)from, n); }

// ---- events

int cuEventCreate(void **event, unsigned flags) {
    CONTEXT_GATE;
    *event = calloc(1, sizeof(Event));
    count(EVENTS, 1);
    return OK;
}
int cuEventDestroy_v2(void *event) { CONTEXT_GATE; free(event); count(EVENTS, -1); return OK; }
int cuEventRecord(Event *event, void *stream) {
    CONTEXT_GATE;
    event->stream = of(stream);
    event->captured = of(stream)->capture != 0;
    return enqueue(stream, (Node){.kind = STAMP, .event = event});
}
int cuEventSynchronize(Event *event) { CONTEXT_GATE; return event->stream ? wait_for(event->stream) : OK; }
int cuEventQuery(Event *event) { CONTEXT_GATE; return event->stream && event->stream->waiting ? NOT_READY : OK; }
int cuEventElapsedTime_v2(float *ms, Event *from, Event *to) {
    CONTEXT_GATE;
    if (from->captured || to->captured || !from->ms || !to->ms) return INVALID_HANDLE;
    *ms = to->ms - from->ms;
    return OK;
}
int cuEventElapsedTime(float *ms, Event *from, Event *to) { return cuEventElapsedTime_v2(ms, from, to); }
int cuStreamWaitEvent(void *stream, Event *event, unsigned flags) {
    CONTEXT_GATE;
    if (event->stream && event->stream != of(stream)) run(event->stream);
    return OK;
}

// ---- graphs

static Graph *new_graph(const Node *of) {
    Graph *graph = calloc(1, sizeof *graph);
    for (; of; of = of->next) append(&graph->first, *of);
    count(GRAPHS, 1);
    return graph;
}
static int end_graph(Graph *graph) {
    for (Node *node = graph->first, *next; node; node = next) { next = node->next; free(node); }
    free(graph);
    count(GRAPHS, -1);
    return OK;
}
int cuStreamBeginCapture_v2(Stream *stream, int mode) {
    CONTEXT_GATE;
    if (!stream || stream->capture) return INVALID_VALUE;
    run(stream);
    stream->capture = new_graph(0);
    stream->broken = 0;
    if (mode != 2) capturing = stream;  // relaxed: this thread may do what it likes
    return OK;
}
int cuStreamEndCapture(Stream *stream, Graph **graph) {
    CONTEXT_GATE;
    if (!stream->capture) return INVALID_VALUE;
    *graph = stream->capture;
    stream->capture = 0;
    capturing = 0;
    if (!stream->broken) return OK;
    end_graph(*graph);
    *graph = 0;
    return CAPTURE_INVALIDATED;
}
int cuStreamIsCapturing(Stream *stream, int *status) { GATE; *status = of(stream)->capture != 0; return OK; }
int cuGraphInstantiateWithFlags(Graph **executable, Graph *graph, unsigned long long flags) {
    CONTEXT_GATE;
    *executable = new_graph(graph->first);
    return OK;
}
int cuGraphLaunch(Graph *executable, void *stream) {
    CONTEXT_GATE;
    for (Node *node = executable->first; node; node = node->next) enqueue(stream, *node);
    return OK;
}
int cuGraphGetNodes(Graph *graph, void **nodes, size_t *n) {
    GATE;
    *n = 0;
    for (Node *node = graph->first; node; node = node->next) ++*n;
    return OK;
}
int cuGraphDestroy(Graph *graph) { GATE; return end_graph(graph); }
int cuGraphExecDestroy(Graph *executable) { GATE; return end_graph(executable); }
