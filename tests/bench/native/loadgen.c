// loadgen: sends the same chat request over and over on keep-alive connections and prints one JSON line.
//
//   loadgen --port P --body FILE [--connections 16] [--requests 20000] [--warmup 1000] [--max-seconds 60]
//           [--header 'Name: value']... [--values FILE]... [--stream [--chunks N]] [--hold]
//
// Closed loop: every connection sends its next request when its answer is complete. An answer counts as an error if
// its status is not 200, if a unary one has no "total_tokens", if a stream does not end with [DONE] or does not have
// exactly N content frames, or if the connection breaks inside it.
// --values: a file of lines of one length; where the request first holds the first line, successive requests hold
// successive lines (many keys, many models).
// --hold: print the line as soon as every connection has had a content frame, then keep reading until stdin closes.
//
// Latencies are microseconds, from the first byte sent: latency = to the last byte, first = to the first content
// frame, age = how long a content frame was on its way (the upstream writes its clock into it as t=<ns>).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 2048
#define KEPT_BODY_BYTES 4096
#define MAX_VALUE_FILES 4

enum state { HEAD, SIZED_BODY, BODY_TO_CLOSE, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILERS, COMPLETE };

typedef struct {
    char bytes[LINE_BYTES];
    size_t length;
} line;

typedef struct {
    int fd;
    char *request;  // this connection's own copy, so that values can be changed between requests
    size_t sent;
    bool wants_writable;
    enum state state;
    int status;
    bool active;  // a request is on its way; else the connection has nothing more to do
    bool chunked, close_after, got_bytes, done_seen, counted_open;
    long left;   // of the body or the chunk; -1: length unknown
    line frame;  // a line of the HTTP framing
    line event;  // a line of the event stream
    char body[KEPT_BODY_BYTES];
    size_t body_length;
    long content_frames;
    uint64_t started_ns;
} connection;

typedef struct {
    uint64_t *values;
    size_t count, capacity;
} samples;

typedef struct {
    char *lines;         // all lines, each `width` bytes
    size_t width, count, next;
    size_t offset;       // where in the request
    bool found;
} value_file;

static struct {
    int port, connections;
    long requests, warmup, chunks;
    double max_seconds;
    bool stream, hold;
    const char *expect;  // what a good answer that is no stream holds
} options = {
    .connections = 16, .requests = 20000, .warmup = 1000, .chunks = -1, .max_seconds = 60, .expect = "total_tokens",
};

static int poller;
static char *request;
static size_t request_length;
static value_file value_files[MAX_VALUE_FILES];
static int value_file_count;
static samples latencies, firsts, ages;
static long started, finished, errors, reconnects, content_frames, reads, open_streams;
static char first_error[256];

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(2);
}

// ---- samples

static void record(samples *s, uint64_t value) {
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 65536;
        s->values = realloc(s->values, s->capacity * sizeof *s->values);
    }
    s->values[s->count++] = value;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void print_percentiles(const char *name, samples *s) {
    static const struct { const char *suffix; double at; } WANTED[] = {{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p999", .999}};
    qsort(s->values, s->count, sizeof *s->values, compare);
    for (int i = 0; i < 4; i++) {
        size_t rank = (size_t)(WANTED[i].at * s->count);
        double value = s->count ? s->values[rank < s->count ? rank : s->count - 1] / 1000.0 : 0;
        printf(",\"%s_%s_us\":%.1f", name, WANTED[i].suffix, value);
    }
}

// ---- requests

static char *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    fseek(file, 0, SEEK_END);
    *length = ftell(file);
    rewind(file);
    char *bytes = malloc(*length + 1);
    if (fread(bytes, 1, *length, file) != *length) fail(path);
    bytes[*length] = 0;
    fclose(file);
    return bytes;
}

static void load_values(const char *path) {
    size_t length;
    value_file *v = &value_files[value_file_count++];
    char *text = read_file(path, &length), *out = text;
    v->lines = text;
    for (char *word = strtok(text, "\n"); word; word = strtok(NULL, "\n")) {
        if (!v->width) v->width = strlen(word);
        if (strlen(word) != v->width) {
            fprintf(stderr, "loadgen: %s: lines differ in length\n", path);
            exit(2);
        }
        memmove(out, word, v->width);
        out += v->width;
        v->count++;
    }
}

static void place_values(void) {
    for (int i = 0; i < value_file_count; i++) {
        value_file *v = &value_files[i];
        char *found = memmem(request, request_length, v->lines, v->width);
        if (!found) {
            fprintf(stderr, "loadgen: the request does not hold the first line of a --values file\n");
            exit(2);
        }
        v->offset = found - request;
    }
}

static void build_request(const char *path, const char *headers, const char *body_file) {
    size_t body_length;
    char *body = read_file(body_file, &body_length);
    request = malloc(body_length + strlen(headers) + 1024);
    request_length = sprintf(request,
                             "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: application/json\r\n"
                             "User-Agent: OpenAI/Python 2.0.0\r\nContent-Type: application/json\r\n%s"
                             "Content-Length: %zu\r\n\r\n",
                             path, options.port, headers, body_length);
    memcpy(request + request_length, body, body_length);
    request_length += body_length;
    place_values();
}

// ---- connections

static void watch(connection *c, int operation, bool writable) {
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, operation, c->fd, &event);
    c->wants_writable = writable;
}

static void dial(connection *c) {
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (void *)&address, sizeof address)) fail("loadgen: connect");
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(c, EPOLL_CTL_ADD, false);
}

static void redial(connection *c) {
    close(c->fd);
    reconnects++;
    dial(c);
}

static void send_more(connection *c) {
    while (c->sent < request_length) {
        ssize_t sent = send(c->fd, c->request + c->sent, request_length - c->sent, MSG_NOSIGNAL);
        if (sent < 0) break;  // EAGAIN: wait; anything else shows up as a failed read
        c->sent += sent;
    }
    bool unsent = c->sent < request_length;
    if (c->wants_writable != unsent) watch(c, EPOLL_CTL_MOD, unsent);
}

static void start_request(connection *c) {
    started++;
    for (int i = 0; i < value_file_count; i++) {
        value_file *v = &value_files[i];
        memcpy(c->request + v->offset, v->lines + v->width * v->next, v->width);
        v->next = (v->next + 1) % v->count;
    }
    c->active = true;
    c->state = HEAD;
    c->status = 0;
    c->chunked = c->close_after = c->got_bytes = c->done_seen = false;
    c->left = -1;
    c->frame.length = c->event.length = c->body_length = c->sent = 0;
    c->content_frames = 0;
    c->started_ns = now_ns();
    send_more(c);
}

// ---- answers

static void read_event_line(connection *c, const char *text) {
    if (strncmp(text, "data:", 5)) return;
    const char *stamp = strstr(text, "\"t=");
    if (stamp) {
        uint64_t now = now_ns(), sent = strtoull(stamp + 3, NULL, 10);
        if (finished >= options.warmup) record(&ages, now > sent ? now - sent : 0);
        if (!c->content_frames++ && finished >= options.warmup) record(&firsts, now - c->started_ns);
        if (!c->counted_open) {
            c->counted_open = true;
            open_streams++;
        }
    } else if (strstr(text, "[DONE]")) {
        c->done_seen = true;
    }
}

static void read_body(connection *c, const char *bytes, size_t length) {
    size_t kept = KEPT_BODY_BYTES - c->body_length;
    if (kept > length) kept = length;
    memcpy(c->body + c->body_length, bytes, kept);
    c->body_length += kept;
    if (!options.stream) return;
    while (length) {
        const char *end = memchr(bytes, '\n', length);
        size_t part = end ? (size_t)(end - bytes) : length, room = LINE_BYTES - 1 - c->event.length;
        memcpy(c->event.bytes + c->event.length, bytes, part < room ? part : room);
        c->event.length += part < room ? part : room;
        if (!end) return;
        c->event.bytes[c->event.length] = 0;
        read_event_line(c, c->event.bytes);
        c->event.length = 0;
        bytes = end + 1;
        length -= part + 1;
    }
}

static void end_head(connection *c) {
    if (c->status == 100) c->state = HEAD, c->status = 0;
    else if (c->chunked) c->state = CHUNK_SIZE;
    else if (c->left == 0) c->state = COMPLETE;
    else c->state = c->left > 0 ? SIZED_BODY : BODY_TO_CLOSE;
}

static void read_frame_line(connection *c, const char *text) {
    if (c->state == HEAD) {
        if (!*text) end_head(c);
        else if (!c->status) c->status = atoi(text + 9);
        else if (!strncasecmp(text, "content-length:", 15)) c->left = atol(text + 15);
        else if (!strncasecmp(text, "transfer-encoding:", 18)) c->chunked = strcasestr(text, "chunked") != NULL;
        else if (!strncasecmp(text, "connection:", 11)) c->close_after = strcasestr(text, "close") != NULL;
    } else if (c->state == CHUNK_SIZE) {
        c->left = strtol(text, NULL, 16);
        c->state = c->left ? CHUNK_DATA : TRAILERS;
    } else if (c->state == CHUNK_END) {
        c->state = CHUNK_SIZE;
    } else if (c->state == TRAILERS && !*text) {
        c->state = COMPLETE;
    }
}

static void read_answer(connection *c, const char *bytes, size_t length) {
    c->got_bytes = true;
    while (length && c->state != COMPLETE) {
        size_t part;
        if (c->state == SIZED_BODY || c->state == CHUNK_DATA) {
            part = length < (size_t)c->left ? length : (size_t)c->left;
            read_body(c, bytes, part);
            c->left -= part;
            if (!c->left) c->state = c->state == CHUNK_DATA ? CHUNK_END : COMPLETE;
        } else if (c->state == BODY_TO_CLOSE) {
            read_body(c, bytes, part = length);
        } else {
            const char *end = memchr(bytes, '\n', length);
            part = end ? (size_t)(end - bytes) : length;
            size_t room = LINE_BYTES - 1 - c->frame.length, kept = part < room ? part : room;
            memcpy(c->frame.bytes + c->frame.length, bytes, kept);
            c->frame.length += kept;
            if (!end) return;
            if (c->frame.length && c->frame.bytes[c->frame.length - 1] == '\r') c->frame.length--;
            c->frame.bytes[c->frame.length] = 0;
            c->frame.length = 0;
            read_frame_line(c, c->frame.bytes);
            part++;
        }
        bytes += part;
        length -= part;
    }
}

static bool answer_is_good(connection *c) {
    if (c->status != 200) return false;
    if (!options.stream) return memmem(c->body, c->body_length, options.expect, strlen(options.expect)) != NULL;
    return c->done_seen && (options.chunks < 0 || c->content_frames == options.chunks);
}

static void finish_request(connection *c, bool broken) {
    if (broken || !answer_is_good(c)) {
        errors++;
        if (!first_error[0]) {
            c->body[c->body_length < 160 ? c->body_length : 160] = 0;
            snprintf(first_error, sizeof first_error, "%s, status %d, %ld content frames: %.160s",
                     broken ? "broken" : "bad answer", c->status, c->content_frames, c->body);
        }
    } else if (finished >= options.warmup) {
        record(&latencies, now_ns() - c->started_ns);
        content_frames += c->content_frames;
    }
    finished++;
}

// One read; then the next request if the answer is complete.
static void advance(connection *c, bool may_start) {
    static char bytes[1 << 18];
    ssize_t got = recv(c->fd, bytes, sizeof bytes, 0);
    if (got < 0 && errno == EAGAIN) return;
    reads++;
    if (got > 0) read_answer(c, bytes, got);
    bool closed = got <= 0;
    if (!c->active) {  // the server ends a connection that is not needed any more
        if (closed) close(c->fd);
        return;
    }
    if (closed && c->state == BODY_TO_CLOSE) c->state = COMPLETE;
    if (closed && !c->got_bytes) {  // a kept-alive connection that was closed before it was used: send again
        started--;
        redial(c);
        start_request(c);
        return;
    }
    if (c->state != COMPLETE && !closed) return;
    finish_request(c, c->state != COMPLETE);
    c->active = false;
    if (closed || c->close_after) redial(c);
    if (may_start && started < options.requests + options.warmup) start_request(c);
}

// ---- the run

static void print_result(double seconds) {
    long measured = latencies.count;
    for (char *p = first_error; *p; p++)
        if (*p == '"' || *p == '\\' || *p < ' ') *p = '\'';
    printf("{\"requests\":%ld,\"finished\":%ld,\"errors\":%ld,\"reconnects\":%ld,\"seconds\":%.4f,\"requests_per_s\":%.1f",
           measured, finished, errors, reconnects, seconds, measured / seconds);
    print_percentiles("latency", &latencies);
    if (options.stream) {
        printf(",\"open_streams\":%ld,\"content_frames\":%ld,\"frames_per_s\":%.0f,\"reads\":%ld", open_streams,
               content_frames, content_frames / seconds, reads);
        print_percentiles("first", &firsts);
        print_percentiles("age", &ages);
    }
    printf(",\"first_error\":\"%s\"}\n", first_error);
    fflush(stdout);
}

static bool stdin_closed(void) {
    char byte;
    return read(STDIN_FILENO, &byte, 1) == 0;
}

static void run(void) {
    connection *connections = calloc(options.connections, sizeof *connections);
    poller = epoll_create1(0);
    for (int i = 0; i < options.connections; i++) {
        connections[i].request = malloc(request_length);
        memcpy(connections[i].request, request, request_length);
        dial(&connections[i]);
    }
    uint64_t begun_ns = now_ns(), measured_from_ns = begun_ns;
    for (int i = 0; i < options.connections && started < options.requests + options.warmup; i++)
        start_request(&connections[i]);
    bool warm = options.warmup == 0, announced = false;
    if (options.hold) fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    while (finished < started) {
        struct epoll_event events[256];
        int ready = epoll_wait(poller, events, 256, 100);
        double elapsed = (now_ns() - begun_ns) / 1e9;
        bool in_time = elapsed < options.max_seconds;
        if (elapsed > options.max_seconds + 10) break;  // something hangs: what is unfinished is reported as errors
        for (int i = 0; i < ready; i++) {
            connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) send_more(c);
            if (events[i].events & ~EPOLLOUT) advance(c, in_time);
        }
        if (!warm && finished >= options.warmup) {
            warm = true;
            measured_from_ns = now_ns();
        }
        if (options.hold) {
            if (!announced && (open_streams == options.connections || !in_time)) {
                announced = true;
                print_result((now_ns() - measured_from_ns) / 1e9);
            }
            if (announced && stdin_closed()) return;
        }
    }
    errors += started - finished;
    if (!announced) print_result((now_ns() - measured_from_ns) / 1e9);
}

int main(int count, char **arguments) {
    static const struct option OPTIONS[] = {
        {"port", 1, 0, 'p'},    {"body", 1, 0, 'b'},   {"connections", 1, 0, 'c'}, {"requests", 1, 0, 'n'},
        {"warmup", 1, 0, 'w'},  {"header", 1, 0, 'H'}, {"max-seconds", 1, 0, 't'}, {"values", 1, 0, 'v'},
        {"stream", 0, 0, 's'},  {"chunks", 1, 0, 'k'}, {"hold", 0, 0, 'o'},        {"path", 1, 0, 'P'},
        {"expect", 1, 0, 'x'},
        {0},
    };
    const char *path = "/v1/chat/completions", *body_file = NULL;
    char headers[8192] = "";
    for (int letter; (letter = getopt_long(count, arguments, "", OPTIONS, NULL)) != -1;) {
        switch (letter) {
            case 'p': options.port = atoi(optarg); break;
            case 'b': body_file = optarg; break;
            case 'c': options.connections = atoi(optarg); break;
            case 'n': options.requests = atol(optarg); break;
            case 'w': options.warmup = atol(optarg); break;
            case 'H':
                strncat(headers, optarg, sizeof headers - strlen(headers) - 3);
                strcat(headers, "\r\n");
                break;
            case 't': options.max_seconds = atof(optarg); break;
            case 'v': if (value_file_count < MAX_VALUE_FILES) load_values(optarg); break;
            case 's': options.stream = true; break;
            case 'k': options.chunks = atol(optarg); break;
            case 'o': options.hold = true; break;
            case 'P': path = optarg; break;
            case 'x': options.expect = optarg; break;
            default: return 2;
        }
    }
    if (!options.port || !body_file) {
        fprintf(stderr, "usage: loadgen --port P --body FILE ... (see the head of loadgen.c)\n");
        return 2;
    }
    build_request(path, headers, body_file);
    run();
    return 0;
}
