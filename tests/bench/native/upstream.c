// upstream: an OpenAI-compatible model server that costs almost nothing, to measure what stands in front of it.
//
//   upstream PORT...
//
// One thread, epoll, HTTP/1.1 keep-alive, bodies with a length or chunked, pipelining. It answers
//   GET  /set?unary_us=A&chunk_us=B&chunks=C&prose=D   changes the behaviour of later requests (each is optional)
//   GET  /stats                                requests answered, streams cut by the other side
//   GET  anything else (/health, /v1/models)   200 with a model list
//   POST anything   one chat completion of 692 bytes after unary_us, or, when the body asks for a stream, an SSE
//                   stream: a role frame, `chunks` content frames one per chunk_us, a finish frame, a usage frame
//                   if the body asks for it, [DONE]. Each content frame carries t=<CLOCK_MONOTONIC ns>, so that
//                   the load generator can tell how long the frame was on its way; with prose=1 it is a word or
//                   two of a text instead, which has some personal data in it.
//
// It does not parse JSON: it looks for `"stream":true` and `"include_usage":true` in the first and last 2 KB of a
// body, so that a body of 1 MB costs it no more than reading it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SCAN_BYTES 2048
#define ANSWER_BYTES 692

typedef struct {
    char *bytes;
    size_t length, capacity;
} buffer;

enum work { IDLE, UNARY, STREAM };

typedef struct connection {
    int fd;
    buffer in, out;          // out holds what the socket did not take
    bool wants_writable;     // registered for EPOLLOUT
    bool listens;            // a listening socket
    enum work work;          // what is owed for the request being answered
    long chunks_left;
    bool send_usage, role_sent;
    uint64_t due_ns;
    struct connection *earlier, *later;  // queue of work by due time
    struct connection *next_dead;
} connection;

static int poller, timer;
static connection queue = {.earlier = &queue, .later = &queue};
static connection *dead;
static connection timer_mark;
static uint64_t unary_us, chunk_us, chunks = 64, prose;
static uint64_t requests_answered, streams_cut;
static char unary_answer[2048], models_answer[2048];
static size_t unary_answer_length, models_answer_length;

static const char IDENTITY[] =
    "\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"created\":1741569952,\"model\":\"mock-model\"";
static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n"
    "x-request-id: req_0123456789abcdef\r\n\r\n";

static const char *PROSE[] = {
    "The", " meeting", " went", " well", ",", " and", " every", "body", " agreed", " that", " the", " next", " release",
    " should", " be", " smaller", ".", " Please", " write", " to", " anna", ".mey", "er", "@", "example", ".org", " or",
    " call", " +49", " 30", " 123", "456", "7", " before", " Friday", ";", " the", " others", " were", " told", " on",
    " 20", "26", "-03", "-04", ".", " It", " is", " not", " clear", " to", " me", " why", " the", " second", " one",
    " was", " slower", " than", " the", " first", ",", " although", " both", " ran", " on", " the", " same", " machine",
    " with", " the", " same", " settings", ".", " We", " shall", " look", " at", " twenty", "-two", " candidates", ".",
};

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void append(buffer *b, const char *bytes, size_t length) {
    if (b->length + length > b->capacity) {
        b->capacity = (b->length + length) * 2;
        b->bytes = realloc(b->bytes, b->capacity);
    }
    memcpy(b->bytes + b->length, bytes, length);
    b->length += length;
}

static void consume(buffer *b, size_t length) {
    b->length -= length;
    memmove(b->bytes, b->bytes + length, b->length);
}

static void dequeue(connection *c) {
    if (!c->later) return;
    c->earlier->later = c->later;
    c->later->earlier = c->earlier;
    c->earlier = c->later = NULL;
}

static void enqueue(connection *c, uint64_t due_ns) {
    // Delays hardly differ between requests, so the place is nearly always at the end.
    connection *before = queue.earlier;
    while (before != &queue && before->due_ns > due_ns) before = before->earlier;
    c->due_ns = due_ns;
    c->earlier = before;
    c->later = before->later;
    before->later->earlier = c;
    before->later = c;
}

static void close_connection(connection *c) {
    if (c->fd < 0) return;
    if (c->work != IDLE) streams_cut++;
    dequeue(c);
    close(c->fd);
    c->fd = -1;
    c->next_dead = dead;  // freed after the current batch of events, which may still name it
    dead = c;
}

static void free_dead(void) {
    while (dead) {
        connection *next = dead->next_dead;
        free(dead->in.bytes);
        free(dead->out.bytes);
        free(dead);
        dead = next;
    }
}

static void watch(connection *c, bool writable) {
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
    c->wants_writable = writable;
}

static void flush(connection *c) {
    while (c->out.length) {
        ssize_t sent = send(c->fd, c->out.bytes, c->out.length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) break;
        if (sent < 0) {
            close_connection(c);
            return;
        }
        consume(&c->out, sent);
    }
    if (c->wants_writable != (c->out.length > 0)) watch(c, c->out.length > 0);
}

static void write_out(connection *c, const char *bytes, size_t length) {
    size_t done = 0;
    if (!c->out.length) {
        ssize_t sent = send(c->fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            close_connection(c);
            return;
        }
        done = sent > 0 ? sent : 0;
    }
    if (done < length) {
        append(&c->out, bytes + done, length - done);
        if (!c->wants_writable) watch(c, true);
    }
}

static size_t put_frame(char *at, const char *json) {
    return sprintf(at, "%zx\r\ndata: %s\n\n\r\n", strlen(json) + 8, json);
}

// One content frame, or the end of the stream; true when the stream has ended.
static bool step_stream(connection *c) {
    char json[1024], frames[4096];
    size_t length = 0;
    static const char *FORM = "{%s,\"object\":\"chat.completion.chunk\",\"system_fingerprint\":\"fp_44709d6fcb\","
                              "\"choices\":[{\"index\":0,\"delta\":{%s},\"logprobs\":null,\"finish_reason\":%s}]}";
    char delta[128];
    if (!c->role_sent) {
        sprintf(json, FORM, IDENTITY, "\"role\":\"assistant\",\"content\":\"\"", "null");
        c->role_sent = true;
        length = put_frame(frames, json);
        write_out(c, frames, length);
        return false;
    }
    if (c->chunks_left > 0) {
        size_t said = (chunks - c->chunks_left) % (sizeof PROSE / sizeof *PROSE);
        if (prose) sprintf(delta, "\"content\":\"%s\"", PROSE[said]);
        else sprintf(delta, "\"content\":\"t=%llu;\"", (unsigned long long)now_ns());
        sprintf(json, FORM, IDENTITY, delta, "null");
        c->chunks_left--;
        length = put_frame(frames, json);
        write_out(c, frames, length);
        return false;
    }
    sprintf(json, FORM, IDENTITY, "", "\"stop\"");
    length = put_frame(frames, json);
    if (c->send_usage) {
        sprintf(json, "{%s,\"object\":\"chat.completion.chunk\",\"choices\":[],"
                      "\"usage\":{\"prompt_tokens\":419,\"completion_tokens\":%llu,\"total_tokens\":%llu}}",
                IDENTITY, (unsigned long long)chunks, (unsigned long long)(419 + chunks));
        length += put_frame(frames + length, json);
    }
    length += put_frame(frames + length, "[DONE]");
    length += sprintf(frames + length, "0\r\n\r\n");
    write_out(c, frames, length);
    return true;
}

static bool asks_for(const char *body, size_t length, const char *words, const char *spaced) {
    size_t head = length < SCAN_BYTES ? length : SCAN_BYTES;
    const char *tail = length > SCAN_BYTES ? body + length - SCAN_BYTES : body;
    return memmem(body, head, words, strlen(words)) || memmem(tail, head, words, strlen(words)) ||
           memmem(body, head, spaced, strlen(spaced)) || memmem(tail, head, spaced, strlen(spaced));
}

static void set_parameter(const char *head, const char *name, uint64_t *value) {
    const char *found = strstr(head, name);
    if (found) *value = strtoull(found + strlen(name), NULL, 10);
}

static void answer_get(connection *c, const char *head) {
    if (!strncmp(head, "GET /set?", 9)) {
        set_parameter(head, "unary_us=", &unary_us);
        set_parameter(head, "chunk_us=", &chunk_us);
        set_parameter(head, "chunks=", &chunks);
        set_parameter(head, "prose=", &prose);
    }
    if (!strncmp(head, "GET /stats", 10)) {
        char body[128], answer[256];
        int length = sprintf(body, "{\"requests\":%llu,\"cut\":%llu}", (unsigned long long)requests_answered,
                             (unsigned long long)streams_cut);
        int total = sprintf(answer, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s",
                            length, body);
        write_out(c, answer, total);
        return;
    }
    write_out(c, models_answer, models_answer_length);
}

static void answer_post(connection *c, const char *body, size_t length) {
    requests_answered++;
    if (asks_for(body, length, "\"stream\":true", "\"stream\": true")) {
        c->work = STREAM;
        c->chunks_left = chunks;
        c->role_sent = false;
        c->send_usage = asks_for(body, length, "\"include_usage\":true", "\"include_usage\": true");
        write_out(c, STREAM_HEAD, sizeof STREAM_HEAD - 1);
        if (c->fd >= 0) enqueue(c, now_ns() + chunk_us * 1000);
    } else if (unary_us) {
        c->work = UNARY;
        enqueue(c, now_ns() + unary_us * 1000);
    } else {
        write_out(c, unary_answer, unary_answer_length);
    }
}

// The length of the body that starts at `at`, framing included, or -1 while it is incomplete.
static ssize_t body_length(const char *head, const char *at, size_t available) {
    const char *field = strcasestr(head, "\ncontent-length:");
    if (field) {
        size_t length = strtoull(field + 16, NULL, 10);
        return available < length ? -1 : (ssize_t)length;
    }
    if (!strcasestr(head, "\ntransfer-encoding: chunked")) return 0;
    for (size_t offset = 0;;) {
        const char *end = memmem(at + offset, available - offset, "\r\n", 2);
        if (!end) return -1;
        size_t size = strtoull(at + offset, NULL, 16), next = end + 2 - at + size + 2;
        if (available < next) return -1;
        if (!size) return next;
        offset = next;
    }
}

// Answers every complete request in the input, one after the other.
static void serve(connection *c) {
    while (c->fd >= 0 && c->work == IDLE && c->in.length) {
        char *end = memmem(c->in.bytes, c->in.length, "\r\n\r\n", 4);
        if (!end) return;
        size_t head_length = end + 4 - c->in.bytes;
        end[2] = 0;  // the head as a string; nothing is lost, since it is consumed below or restored
        ssize_t length = body_length(c->in.bytes, c->in.bytes + head_length, c->in.length - head_length);
        if (length < 0) {
            end[2] = '\r';
            return;
        }
        if (c->in.bytes[0] == 'G') answer_get(c, c->in.bytes);
        else answer_post(c, c->in.bytes + head_length, length);
        if (c->fd >= 0) consume(&c->in, head_length + length);
    }
}

static void run_due_work(void) {
    uint64_t now = now_ns();
    // Bounded by the time of entry: with chunk_us = 0 every stream gets one step, then sockets are looked at again.
    while (queue.later != &queue && queue.later->due_ns <= now) {
        connection *c = queue.later;
        dequeue(c);
        bool ended = true;
        if (c->work == UNARY) write_out(c, unary_answer, unary_answer_length);
        else if (c->out.length) ended = false;  // the reader is slower than we are: wait for it
        else ended = step_stream(c);
        if (c->fd < 0) continue;
        if (!ended) {
            uint64_t due = c->due_ns + chunk_us * 1000;
            enqueue(c, due > now ? due : now + 1);
            continue;
        }
        c->work = IDLE;
        serve(c);
    }
    struct itimerspec next = {0};
    if (queue.later != &queue) {
        next.it_value.tv_sec = queue.later->due_ns / 1000000000ull;
        next.it_value.tv_nsec = queue.later->due_ns % 1000000000ull;
    }
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &next, NULL);
}

static void read_from(connection *c) {
    for (;;) {
        if (c->in.length == c->in.capacity) {
            c->in.capacity = c->in.capacity ? c->in.capacity * 2 : 8192;
            c->in.bytes = realloc(c->in.bytes, c->in.capacity);
        }
        size_t room = c->in.capacity - c->in.length;
        ssize_t got = recv(c->fd, c->in.bytes + c->in.length, room, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            close_connection(c);
            return;
        }
        if (got < 0) break;
        c->in.length += got;
        if ((size_t)got < room) break;
    }
    serve(c);
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connection *c = calloc(1, sizeof *c);
        c->fd = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

static void write_answers(void) {
    char body[1024];
    size_t length = sprintf(
        body,
        "{%s,\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
        "\"content\":\"Hello! How can I assist you today? I can answer questions, write text, translate, summarise "
        "documents and more.\",\"refusal\":null,\"tool_calls\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":419,\"completion_tokens\":24,\"total_tokens\":443,"
        "\"prompt_tokens_details\":{\"cached_tokens\":0}},\"system_fingerprint\":\"fp_44709d6fcb\",\"padding\":\"",
        IDENTITY);
    while (length < ANSWER_BYTES - 2) body[length++] = 'x';
    length += sprintf(body + length, "\"}");
    unary_answer_length = sprintf(unary_answer,
                                  "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n"
                                  "x-request-id: req_0123456789abcdef\r\n\r\n%s",
                                  length, body);
    // The extra fields are what sglang's router asks a worker for.
    length = sprintf(body, "{\"object\":\"list\",\"data\":[{\"id\":\"mock-model\",\"object\":\"model\",\"created\":1,"
                           "\"owned_by\":\"mock\",\"max_model_len\":131072}],\"model_path\":\"mock-model\","
                           "\"served_model_name\":\"mock-model\",\"is_generation\":true,\"status\":\"ok\"}");
    models_answer_length = sprintf(
        models_answer, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s", length, body);
}

static void listen_on(int port) {
    int on = 1;
    connection *c = calloc(1, sizeof *c);
    c->listens = true;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(c->fd, (void *)&address, sizeof address) || listen(c->fd, 4096)) {
        perror("upstream: listen");
        exit(1);
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
}

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: upstream PORT...\n");
        return 2;
    }
    write_answers();
    poller = epoll_create1(0);
    for (int i = 1; i < count; i++) listen_on(atoi(arguments[i]));
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &timer_mark};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event);
    for (;;) {
        struct epoll_event events[256];
        int ready = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            connection *c = events[i].data.ptr;
            uint64_t expirations;
            if (c->listens) accept_all(c->fd);
            else if (c == &timer_mark) (void)!read(timer, &expirations, sizeof expirations);
            else {
                if (c->fd >= 0 && events[i].events & EPOLLOUT) flush(c);
                if (c->fd >= 0 && events[i].events & ~EPOLLOUT) read_from(c);
            }
        }
        run_due_work();
        free_dead();
    }
}
