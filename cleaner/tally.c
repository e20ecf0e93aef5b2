#include "cleaner/tally.h"

#include <string.h>
#include <unistd.h>

#include "common/log.h"

#define ROWS (LEFTOVERS_WHERES * FAMILY_COUNT * LEFTOVERS_TABLES)

static bool is_empty(const struct leftovers_row *r)
{
	return r->chains == 0 && r->rules == 0;
}

struct leftovers_row *tally_begin(
    struct tally *t, enum leftovers_where where, uint8_t family, enum leftovers_table table)
{
	struct leftovers_row *r = &t->rows[where][family][table];

	*r = (struct leftovers_row){
	    .where = (uint8_t)where, .family = family, .table = (uint8_t)table};
	return r;
}

void tally_name(struct leftovers_row *r, const char *name)
{
	if (r->name_count < LEFTOVERS_NAMES && leftovers_name_valid(name))
		strlcpy(r->names[r->name_count++], name, LEFTOVERS_NAME_MAX);
}

void tally_stays(struct leftovers_row *r, enum leftovers_why why, const char *name)
{
	if (r->why != (uint8_t)why)
		r->name_count = 0;
	r->why = (uint8_t)why;
	tally_name(r, name);
}

void tally_keep_family(struct tally *t, unsigned family)
{
	for (unsigned w = 0; w < LEFTOVERS_WHERES; w++)
		for (unsigned n = 0; n < LEFTOVERS_TABLES; n++) {
			t->rows[w][family][n].why = LEFTOVERS_FAMILY;
			t->rows[w][family][n].error = 0;
		}
}

bool tally_empty(const struct tally *t)
{
	const struct leftovers_row *r = &t->rows[0][0][0];

	for (size_t i = 0; i < ROWS; i++)
		if (!is_empty(&r[i]))
			return false;
	return true;
}

bool tally_settled(const struct tally *t)
{
	const struct leftovers_row *r = &t->rows[0][0][0];

	for (size_t i = 0; i < ROWS; i++)
		if (!is_empty(&r[i]) && r[i].why != LEFTOVERS_POLICY &&
		    r[i].why != LEFTOVERS_IN_USE && r[i].why != LEFTOVERS_EXCLUDED &&
		    r[i].why != LEFTOVERS_FAMILY)
			return false;
	return true;
}

void tally_remember(struct tally *t)
{
	memcpy(t->told, t->rows, sizeof(t->told));
}

static void log_row(const struct leftovers_row *now, const struct leftovers_row *before)
{
	char place[LEFTOVERS_TEXT_MAX], content[LEFTOVERS_TEXT_MAX];
	const bool waits = now->why == LEFTOVERS_WAITING || now->why == LEFTOVERS_CONNECTIONS;

	leftovers_place(place, now);
	if (is_empty(now)) {
		log_info(
		    "%s: removed a kube-proxy's %s", place, leftovers_content(content, before));
		return;
	}
	leftovers_content(content, now);
	(waits ? log_info : log_warn)("%s: there are %s, of another kube-proxy or mode; %s%s%s",
	    place, content, leftovers_whys[now->why], now->error != 0 ? ": " : "",
	    now->error != 0 ? strerror(now->error) : "");
}

static bool send_frame(int fd, const struct frame *f)
{
	return fd < 0 || write(fd, f->buf, f->len) == (ssize_t)f->len;
}

static bool is_same(const struct leftovers_row *a, const struct leftovers_row *b)
{
	return a->why == b->why && a->error == b->error && a->chains == b->chains &&
	       a->rules == b->rules && a->name_count == b->name_count &&
	       memcmp(a->names, b->names, sizeof(a->names)) == 0;
}

bool tally_report(struct tally *t, int fd)
{
	const struct leftovers_row *now = &t->rows[0][0][0];
	struct leftovers_row *before = &t->told[0][0][0];
	static struct frame f;
	bool sent = true;

	for (size_t i = 0; i < ROWS; i++) {
		if (is_same(&now[i], &before[i]) || (is_empty(&now[i]) && is_empty(&before[i])))
			continue;
		log_row(&now[i], &before[i]);
		before[i] = now[i];
		leftovers_encode_row(&f, &now[i]);
		sent = sent && send_frame(fd, &f);
	}
	for (uint32_t i = 0; i < t->firewall_count && !t->firewalls_told; i++) {
		char advice[LEFTOVERS_TEXT_MAX];

		log_warn("%s", leftovers_advice(advice, &t->firewalls[i]));
		leftovers_encode_firewall(&f, &t->firewalls[i]);
		sent = sent && send_frame(fd, &f);
	}
	t->firewalls_told = true;
	return sent;
}
