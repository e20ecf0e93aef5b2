#include "planner/inspection.h"

#include <string.h>

#include "planner/explain.h"
#include "planner/service_search.h"

static const char *mode_name(const struct plan_view *view)
{
	switch (view->cfg->mode) {
	case MODE_IPTABLES:
		return "iptables";
	case MODE_NFTABLES:
		return "nftables";
	case MODE_IPVS:
		return "ipvs";
	default:
		return "userspace";
	}
}

void inspection_begin(struct inspection *i, const struct query *q)
{
	inspection_clear(i);
	i->query = *q;
	i->status = 200;
}

void inspection_clear(struct inspection *i)
{
	report_clear(&i->out);
	memset(i, 0, sizeof(*i));
}

static void end(struct inspection *i)
{
	report_finish(&i->out);
	i->ended = true;
}

static void begin(struct inspection *i, const struct plan_view *view)
{
	report_begin(&i->out, i->query.json);
	report_str(&i->out, "mode", mode_name(view));
}

static void write_services(struct inspection *i, const struct plan_view *view)
{
	struct service_filter filter;
	char missing[SERVICE_SEARCH_MAX];

	memcpy(filter.namespace, i->query.namespace, sizeof(filter.namespace));
	memcpy(filter.name, i->query.name, sizeof(filter.name));
	if (i->out.depth == 0) {
		if (service_search_missing(view, &filter, missing) != NULL) {
			inspection_refuse(i, 404, missing);
			return;
		}
		begin(i, view);
		report_list(&i->out, "services");
	}
	while (i->out.len < QUERY_PART_MAX / 2)
		if (!service_report_next(view, &filter, &i->at, &i->out)) {
			report_close(&i->out);
			report_str(&i->out, "note",
			    i->changed ? "something changed while this was written: not all of it "
					 "is of one moment"
				       : "all of it is of one moment");
			end(i);
			return;
		}
}

void inspection_write(struct inspection *i, const struct plan_view *view)
{
	if (i->ended || i->out.len >= QUERY_PART_MAX)
		return;
	if (i->query.kind == QUERY_SERVICES) {
		write_services(i, view);
	} else if (i->query.kind == QUERY_EXPLAIN) {
		begin(i, view);
		explain_packet(view, &i->query.packet, &i->out);
		end(i);
	}
}

uint64_t inspection_differences(struct inspection *i, const struct plan_view *view, struct diff *d)
{
	uint64_t found;

	begin(i, view);
	found = diff_write(d, view, &i->out);
	end(i);
	return found;
}

void inspection_refuse(struct inspection *i, uint16_t status, const char *why)
{
	if (i->out.depth == 0) {
		i->status = status;
		report_begin(&i->out, i->query.json);
	}
	while (i->out.depth > 1)
		report_close(&i->out);
	report_str(&i->out, "error", why);
	end(i);
}
