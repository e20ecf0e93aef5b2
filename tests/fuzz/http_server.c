/*
 * A whole conversation with the HTTP server: keep-alive, pipelining, answers at once, later and in
 * parts. The first byte says how the network cuts it. What comes back must be answers, one behind
 * the other, and nothing else.
 */
#include <event2/event.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listener/http_conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct event_base *base;
static struct http_pool *pool;
static struct http_server *server;
static struct http_pending *later;

static void answer(void *arg, const struct http_request *r, struct http_reply *reply)
{
	(void)arg;
	evbuffer_add_printf(reply->body, "%s?%s", r->path, r->query);
}

static void gone(void *arg)
{
	*(struct http_pending **)arg = NULL;
}

static void answer_later(void *arg, const struct http_request *r, struct http_reply *reply)
{
	(void)arg;
	(void)r;
	if (later == NULL)
		later = http_defer(reply, gone, &later);
}

static void drained(void *arg)
{
	struct http_pending *p = *(struct http_pending **)arg;

	*(struct http_pending **)arg = NULL;
	http_end(p);
}

static void answer_in_parts(void *arg, const struct http_request *r, struct http_reply *reply)
{
	static struct http_pending *now;

	(void)arg;
	(void)r;
	if (now != NULL)
		return;
	now = http_defer(reply, gone, &now);
	evbuffer_add(reply->body, "part", 4);
	http_stream(now, 200, "text/plain", drained);
	http_send(now, reply->body);
}

static const struct http_route routes[] = {
    {"/a*", answer, 0}, {"/l", answer_later, 0}, {"/p", answer_in_parts, 0}};

static void begin(void)
{
	const struct http_server_options options = {
	    .name = "fuzz", .hint = "", .addr = {FAMILY_4, {127, 0, 0, 1}}, .quiet = true};

	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	pool = http_pool_new(base, 3);
	server = http_server_new(pool, &options);
	if (server == NULL ||
	    http_server_add(server, routes, sizeof(routes) / sizeof(routes[0]), NULL) != 0)
		abort();
}

/* The length of the answer that GOT begins with; its body may be cut off, or left out by a HEAD. */
static size_t check_answer(const char *got, size_t len)
{
	const char *end = memmem(got, len, "\r\n\r\n", 4);
	const char *length = memmem(got, len, "\r\nContent-Length: ", 18);
	size_t head, body;

	if (len < 13 || memcmp(got, "HTTP/1.", 7) != 0 || got[8] != ' ' || got[12] != ' ' ||
	    end == NULL)
		abort();
	head = (size_t)(end - got) + 4;
	if (length == NULL || length > end) { /* in parts: the rest is its own */
		const char *next = memmem(end, len - head + 4, "HTTP/1.", 7);

		return next != NULL ? (size_t)(next - got) : len;
	}
	body = strtoul(length + 18, NULL, 10);
	if (len - head >= 7 && memcmp(got + head, "HTTP/1.", 7) == 0)
		return head;
	return body < len - head ? head + body : len;
}

/* Lets the server do what it can; looks at what it says. */
static void go_on(int fd)
{
	static char got[1 << 18];
	size_t len = 0;
	ssize_t n;

	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	while (len < sizeof(got) - 1 && (n = read(fd, got + len, sizeof(got) - 1 - len)) > 0)
		len += (size_t)n;
	got[len] = '\0';
	for (size_t at = 0; at < len;)
		at += check_answer(got + at, len - at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sockaddr_in peer = {.sin_family = AF_INET};
	size_t step, sent = 1;
	int pair[2];

	if (base == NULL)
		begin();
	if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0)
		return 0;
	http_conn_new(pool, server, pair[1], (const struct sockaddr *)&peer);
	step = 1 + (size_t)data[0] * size / 256;
	while (sent < size) {
		size_t n = size - sent < step ? size - sent : step;

		if (write(pair[0], data + sent, n) != (ssize_t)n)
			break; /* it hung up */
		sent += n;
		go_on(pair[0]);
	}
	if (later != NULL) {
		struct http_pending *p = later;

		later = NULL;
		http_finish(p, 200, "text/plain", NULL);
	}
	shutdown(pair[0], SHUT_WR);
	go_on(pair[0]);
	close(pair[0]);
	go_on(-1);
	return 0;
}
