#include "planner/leftovers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

/* More than it ever says: a row when it has looked, again when it was removed, and a few after. */
#define FRAMES_MAX 65536
/* Frames handled in one wake-up, so that the other channels get their turn. */
#define BURST 16

static void hang_up(struct leftovers *l)
{
	event_free(l->readable);
	l->readable = NULL;
	close(l->fd);
	l->fd = -1;
}

static const char *take(struct leftovers *l, unsigned type, struct cursor *c)
{
	struct leftovers_firewall wall;
	struct leftovers_row row;
	const char *why;

	switch (type) {
	case LEFTOVERS_ROW:
		why = leftovers_decode_row(c, &row);
		if (why == NULL)
			l->rows[row.where][row.family][row.table] = row;
		return why;
	case LEFTOVERS_FIREWALL:
		why = leftovers_decode_firewall(c, &wall);
		if (why == NULL && l->firewall_count == LEFTOVERS_FIREWALLS_MAX)
			why = "too many firewalls";
		if (why == NULL)
			l->firewalls[l->firewall_count++] = wall;
		return why;
	case LEFTOVERS_DONE:
		l->done = true;
		return cursor_end(c);
	default:
		return "an unknown message type";
	}
}

static const char *take_frame(struct leftovers *l, const uint8_t *data, size_t len)
{
	struct cursor c;
	unsigned type = 0;
	const char *why = frame_open(data, len, &type, &c);

	if (why != NULL)
		return why;
	why = l->done ? "a message after the last one" : take(l, type, &c);
	return why == NULL && ++l->frames > FRAMES_MAX ? "too many messages" : why;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	static uint8_t buf[FRAME_MAX + 1]; /* one more, so that a longer datagram shows */
	struct leftovers *l = arg;

	(void)what;
	for (int i = 0; i < BURST; i++) {
		ssize_t n = read(fd, buf, sizeof(buf));
		const char *why;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			if (!l->done) {
				l->failures++;
				log_warn("the cleaner ended before it was done: rules of other "
					 "kube-proxies may still be there; kube-proxy --check-node "
					 "shows them, the next start removes them");
			}
			hang_up(l);
			return;
		}
		why = take_frame(l, buf, (size_t)n);
		if (why == NULL)
			continue;
		l->failures++;
		log_warn(
		    "protocol violation by the cleaner: %s; its channel is closed, rules stay in "
		    "place",
		    why);
		hang_up(l);
		return;
	}
}

void leftovers_start(struct leftovers *l, struct event_base *base, int fd)
{
	l->fd = fd;
	l->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, l);
	if (l->readable == NULL || event_add(l->readable, NULL) != 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		fatal(EXIT_FAILED, "channel to the cleaner: %s", strerror(errno));
}

void leftovers_programmed(struct leftovers *l, const bool families[FAMILY_COUNT])
{
	const uint8_t byte = leftovers_encode_programmed(families);

	if (l->fd < 0 || l->readable == NULL)
		return;
	if (write(l->fd, &byte, 1) != 1) /* it has ended, which its channel tells as well */
		log_debug(1, "telling the cleaner: %s", strerror(errno));
}

uint64_t leftovers_rules(const struct leftovers *l, enum leftovers_where where)
{
	uint64_t sum = 0;

	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		for (unsigned t = 0; t < LEFTOVERS_TABLES; t++)
			sum += l->rows[where][f][t].rules;
	return sum;
}

/* --- reports --- */

static void write_row(const struct leftovers_row *r, struct report *out)
{
	char text[LEFTOVERS_TEXT_MAX];

	report_line(out, NULL);
	report_str(out, "where", leftovers_place(text, r));
	report_str(out, "found", leftovers_content(text, r));
	report_str(out, "state", leftovers_whys[r->why]);
	report_close(out);
}

static bool is_empty(const struct leftovers_row *r)
{
	return r->chains == 0 && r->rules == 0;
}

void leftovers_write(const struct leftovers *l, struct report *out)
{
	const struct leftovers_row *rows = l == NULL ? NULL : &l->rows[0][0][0];
	bool open = false;

	for (size_t i = 0; rows != NULL && i < LEFTOVERS_WHERES * FAMILY_COUNT * LEFTOVERS_TABLES;
	     i++) {
		if (is_empty(&rows[i]))
			continue;
		if (!open)
			report_list(out, "leftovers");
		open = true;
		write_row(&rows[i], out);
	}
	if (open)
		report_close(out);
	if (l == NULL || l->firewall_count == 0)
		return;
	report_list(out, "firewalls");
	for (uint32_t i = 0; i < l->firewall_count; i++) {
		char text[LEFTOVERS_TEXT_MAX];

		report_line(out, NULL);
		report_str(out, "warning", leftovers_advice(text, &l->firewalls[i]));
		report_close(out);
	}
	report_close(out);
}

void leftovers_write_warnings(const struct leftovers *l, uint8_t family, struct report *out)
{
	char place[LEFTOVERS_TEXT_MAX], content[LEFTOVERS_TEXT_MAX];

	bool open = false;

	for (unsigned w = 0; l != NULL && w < LEFTOVERS_WHERES; w++)
		for (unsigned t = 0; t < LEFTOVERS_TABLES; t++) {
			const struct leftovers_row *r = &l->rows[w][family][t];

			if (r->rules == 0)
				continue;
			if (!open)
				report_list(out, "warnings");
			open = true;
			report_printf(out, NULL,
			    "rules of another kube-proxy may answer first: %s: %s; %s",
			    leftovers_place(place, r), leftovers_content(content, r),
			    leftovers_whys[r->why]);
		}
	if (open)
		report_close(out);
}
