#include "planner/diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"
#include "planner/nft_print.h"

/* So many are told; the rest is counted. */
#define DIFFERENCES_MAX 1000

void diff_clear(struct diff *d)
{
	snapshot_clear(&d->snapshot);
	elements_clear(&d->kernel);
	free(d->constant);
	free(d->items);
	memset(d, 0, sizeof(*d));
}

bool diff_line(struct diff *d, const char *is)
{
	if (d->found++ >= DIFFERENCES_MAX)
		return false;
	report_line(d->out, NULL);
	report_str(d->out, "is", is);
	return true;
}

void diff_line_end(struct diff *d, const struct stored_service *v)
{
	if (v != NULL)
		report_printf(d->out, "of", "%s/%s", v->namespace, v->name);
	report_close(d->out);
}

/* --- chains: all but nftables mode --- */

const char *diff_add(struct diff *d, const struct txn_snapshot *part)
{
	return snapshot_add(&d->snapshot, part);
}

static void write_chain(
    struct diff *d, const char *is, const struct ipt_chain *c, const struct stored_service *v)
{
	char name[CHAIN_NAME_LEN];

	if (!diff_line(d, is))
		return;
	report_str(d->out, "family", c->family == FAMILY_4 ? "IPv4" : "IPv6");
	report_str(d->out, "table", c->table == IPT_NAT ? "nat" : "filter");
	report_str(d->out, "chain", ipt_chain_name(c, name));
	diff_line_end(d, v);
}

/* C should be there with DIGEST. */
static void expect(
    struct diff *d, const struct ipt_chain *c, uint64_t digest, const struct stored_service *v)
{
	struct snapshot_chain *s = snapshot_find(&d->snapshot, c);

	if (s == NULL)
		write_chain(d, "missing", c, v);
	else if (s->digest != digest)
		write_chain(d, "changed", c, v);
	if (s != NULL)
		s->wanted = true;
}

static void expect_services(struct diff *d, const struct plan_view *view)
{
	struct stored_service *v;

	RB_FOREACH (v, service_tree, &view->store->services)
		for (uint32_t i = 0; i < v->chain_count; i++) {
			const struct ipt_chain c = owned_chain_name(&v->chains[i]);

			expect(d, &c, v->chains[i].digest, v);
		}
}

/* Objects that come while the snapshot is awaited change what these would be. */
void diff_begin(struct diff *d, const struct plan_view *view)
{
	struct ipt_chain c = {0};

	if (view->cfg->mode == MODE_NFTABLES)
		return;
	for (c.family = 0; c.family < FAMILY_COUNT; c.family++)
		for (c.table = 0;
		     view->ipt->desired.families[c.family] && c.table < IPT_TABLE_COUNT; c.table++)
			for (c.kind = 0; c.kind < CHAIN_KIND_COUNT; c.kind++) {
				if (!ipt_plan_has_chain(view->ipt, &c))
					continue;
				d->constant = memory_grow(d->constant, &d->constant_room,
				    d->constant_count + 1, sizeof(*d->constant));
				d->constant[d->constant_count++] = (struct diff_chain){
				    c, desired_static(&view->ipt->desired, &c, NULL)};
			}
}

static void expect_constant(struct diff *d, const struct plan_view *view)
{
	for (size_t i = 0; i < d->constant_count; i++)
		expect(d, &d->constant[i].chain, d->constant[i].digest, NULL);
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		struct dispatch_node *n;

		RB_FOREACH (n, dispatch_tree, &view->ipt->desired.dispatch[f].known) {
			const struct ipt_chain c = dispatch_chain(&n->net);

			expect(d, &c, n->digest, NULL);
		}
	}
}

static void compare_hooks(struct diff *d, const struct plan_view *view, uint8_t family)
{
	for (unsigned i = 0; i < IPT_HOOK_COUNT; i++) {
		const bool is = (d->snapshot.hooks[family] & 1u << i) != 0;
		const struct ipt_hook *h = &ipt_hooks[i];

		if (is == ipt_plan_has_hook(view->ipt, i) ||
		    !diff_line(d, is ? "too many" : "missing"))
			continue;
		report_str(d->out, "family", family == FAMILY_4 ? "IPv4" : "IPv6");
		report_str(d->out, "table", h->table == IPT_NAT ? "nat" : "filter");
		report_printf(
		    d->out, "jump", "from %s to %s", h->builtin, ipt_chain_kinds[h->kind].name);
		diff_line_end(d, NULL);
	}
}

static void compare_chains(struct diff *d, const struct plan_view *view)
{
	expect_services(d, view);
	expect_constant(d, view);
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		if (view->ipt->desired.families[f])
			compare_hooks(d, view, (uint8_t)f);
	for (size_t i = 0; i < d->snapshot.count; i++)
		if (!d->snapshot.chains[i].wanted)
			write_chain(d, "too many", &d->snapshot.chains[i].chain, NULL);
}

/* --- nftables mode --- */

void diff_add_nft(struct diff *d, const struct config *cfg, const struct nft_snapshot *part)
{
	struct element e;

	memcpy(d->families, part->families, sizeof(d->families));
	memcpy(d->installed, part->installed, sizeof(d->installed));
	for (uint32_t i = 0; i < part->count; i++) {
		const struct nft_elem *x = &part->elems[i];

		if (x->set == NFT_TIMEOUTS && x->slot < NFT_AFFINITIES) {
			d->timeouts[x->slot] = x->seconds;
			continue;
		}
		element_from_wire(&e, x, nft_name_hash(cfg, x->name));
		elements_add(&d->kernel, &e);
	}
	if (part->last)
		elements_sort(&d->kernel);
}

static void write_element(
    struct diff *d, const char *is, const struct element *e, const struct stored_service *v)
{
	char *text = NULL, addr[IP_STRLEN];
	struct nft_elem wire;
	size_t len = 0;
	FILE *out;

	if (!diff_line(d, is))
		return;
	out = open_memstream(&text, &len);
	if (out != NULL) {
		element_to_wire(&wire, e, "");
		nft_print_key(out, &wire);
		if (nft_set(e->set)->fields & NFT_TO)
			fprintf(out, " : %s . %u", ip_format(&wire.to, addr), wire.to_port);
		fclose(out);
	}
	report_str(d->out, "table", e->family == FAMILY_4 ? "ip " NFT_TABLE : "ip6 " NFT_TABLE);
	report_str(d->out, "set", nft_set(e->set)->name);
	report_str(d->out, "element", text != NULL ? text : "");
	free(text);
	diff_line_end(d, v);
}

static void expect_elements(
    struct diff *d, const struct element *e, size_t count, const struct stored_service *v)
{
	for (size_t i = 0; i < count; i++) {
		struct element *k;

		if (!d->installed[e[i].family])
			continue; /* which is one difference, and told */
		k = elements_find(d->kernel.e, d->kernel.count, &e[i]);
		if (k == NULL)
			write_element(d, "missing", &e[i], v);
		else if (!element_same(k, &e[i]))
			write_element(d, "changed", &e[i], v);
		if (k != NULL)
			k->fresh = true; /* here: it is wanted */
	}
}

static void compare_tables(struct diff *d, const struct plan_view *view)
{
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		if (view->nft->desired.families[f] && !d->installed[f] &&
		    diff_line(d, "missing, or its rules are not those of this program")) {
			report_str(
			    d->out, "table", f == FAMILY_4 ? "ip " NFT_TABLE : "ip6 " NFT_TABLE);
			diff_line_end(d, NULL);
		}
	for (unsigned i = 0; i < NFT_AFFINITIES; i++)
		if (d->timeouts[i] != view->nft->desired.timeouts[i] &&
		    (d->installed[FAMILY_4] || d->installed[FAMILY_6]) && diff_line(d, "changed")) {
			report_printf(d->out, "affinity", "%u: %u seconds in place of %u", i,
			    d->timeouts[i], view->nft->desired.timeouts[i]);
			diff_line_end(d, NULL);
		}
}

static void compare_elements(struct diff *d, const struct plan_view *view)
{
	struct stored_service *v;

	compare_tables(d, view);
	RB_FOREACH (v, service_tree, &view->store->services)
		expect_elements(d, v->elems, v->elem_count, v);
	expect_elements(d, view->nft->node.e, view->nft->node.count, NULL);
	for (size_t i = 0; i < d->kernel.count; i++)
		if (!d->kernel.e[i].fresh)
			write_element(d, "too many", &d->kernel.e[i], NULL);
}

/* --- all of them --- */

uint64_t diff_write(struct diff *d, const struct plan_view *view, struct report *out)
{
	d->out = out;
	d->found = 0;
	report_list(out, "differences");
	if (view->cfg->mode == MODE_NFTABLES)
		compare_elements(d, view);
	else
		compare_chains(d, view);
	if (view->cfg->mode == MODE_IPVS)
		diff_compare_ipvs(d, view);
	report_close(out);
	report_uint(out, "count", d->found);
	report_str(out, "meaning",
	    d->found == 0 ? "nothing differs: the kernel has what was written"
			  : "another program changed what was written; it is put right");
	leftovers_write(view->leftovers, out);
	return d->found;
}
