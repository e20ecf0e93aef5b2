/* Every decoder of every channel on arbitrary bytes; the first byte chooses which. */
#include <stdlib.h>
#include <string.h>

#include "ipc/config.h"
#include "ipc/dial.h"
#include "ipc/flows.h"
#include "ipc/health.h"
#include "ipc/ipvs_ops.h"
#include "ipc/metrics.h"
#include "ipc/nft_ops.h"
#include "ipc/objects.h"
#include "ipc/profile.h"
#include "ipc/query.h"
#include "ipc/relay.h"
#include "ipc/status.h"
#include "ipc/txn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *see_chain(void *arg, const struct ipt_chain *c)
{
	char name[CHAIN_NAME_LEN];
	struct ipt_chain back = {.family = c->family, .table = c->table};

	if (!ipt_chain_parse(&back, ipt_chain_name(c, name)) || memcmp(&back, c, sizeof(back)) != 0)
		abort(); /* a name must read back to the chain it was made of */
	*(struct ipt_chain *)arg = *c;
	return NULL;
}
static const char *see_rule(void *arg, const struct ipt_rule *r)
{
	return ipt_rule_check(r, arg);
}
static const char *see_hook(void *arg, uint8_t family, unsigned number, bool on)
{
	(void)arg;
	if (family >= FAMILY_COUNT || number >= IPT_HOOK_COUNT)
		abort();
	return on ? NULL : "off";
}
static const char *see_item(void *arg, enum txn_op op, const struct ipvs_item *i)
{
	char text[256];

	(void)arg;
	(void)op;
	ipvs_item_text(text, sizeof(text), i);
	return ipvs_item_check(i);
}

static const struct txn_visitor visitor = {see_chain, see_rule, see_chain, see_hook, see_item};

static void decode_object(unsigned type, struct cursor *c)
{
	static struct node_addrs_part addrs;
	char ns[NAME_MAX_LABEL], name[NAME_MAX_SUBDOMAIN];
	struct service service;
	struct slice slice;
	struct node node;
	enum object_kind kind;
	struct ip_cidr *cidrs;
	uint32_t cidr_count;

	switch (type % 7) {
	case 0:
		objects_decode_list(c, &kind);
		break;
	case 1:
		objects_decode_service(c, &service);
		service_clear(&service);
		break;
	case 2:
		objects_decode_slice(c, &slice);
		slice_clear(&slice);
		break;
	case 3:
		objects_decode_node(c, &node);
		break;
	case 4:
		objects_decode_node_addrs(c, &addrs);
		break;
	case 5:
		objects_decode_service_cidrs(c, &cidrs, &cidr_count);
		free(cidrs);
		break;
	default:
		objects_decode_del(c, ns, name);
	}
}

static void decode_txn(unsigned type, struct cursor *c)
{
	static struct txn_snapshot snapshot;
	struct ipt_chain chain = {.table = IPT_NAT, .kind = CHAIN_SVC};
	struct txn_result result;
	uint64_t a, b;

	switch (type % 5) {
	case 0:
		txn_decode_begin(c, &a, &b);
		break;
	case 1:
		txn_decode_ops(c, &visitor, &chain);
		break;
	case 2:
		txn_decode_commit(c, &a, &b);
		break;
	case 3:
		txn_decode_snapshot(c, &snapshot);
		break;
	default:
		txn_decode_result(c, &result);
	}
}

static void decode_flows(unsigned type, struct cursor *c)
{
	static struct flows_part part;
	struct flows_choice choice;
	struct flows_end end;
	uint8_t family;

	switch (type % 4) {
	case 0:
		flows_decode_request(c, &family);
		break;
	case 1:
		flows_decode_part(c, &part);
		break;
	case 2:
		if (flows_decode_choice(c, &choice) == NULL)
			for (uint32_t i = 1; i < choice.count; i++)
				if (choice.places[i] <= choice.places[i - 1])
					abort();
		break;
	default:
		flows_decode_end(c, &end);
	}
}

static void decode_relay(unsigned type, struct cursor *c)
{
	static struct relay_backends backends;
	struct relay_open open;
	uint32_t id;
	uint16_t port;

	switch (type) {
	case RELAY_PROXY_PORT_OPEN:
		if (relay_decode_open(c, &open) == NULL && open.id >= RELAYS_MAX)
			abort();
		break;
	case RELAY_BACKENDS:
		if (relay_decode_backends(c, &backends) != NULL)
			break;
		for (uint32_t i = 0; i < backends.count; i++) /* nobody else is connected to */
			if (!ip_is_endpoint(&backends.endpoints[i].addr) ||
			    backends.endpoints[i].port == 0)
				abort();
		break;
	case RELAY_PROXY_PORT_CLOSE:
		relay_decode_close(c, &id);
		break;
	default:
		relay_decode_port(c, &id, &port);
	}
}

/* The broker's side has arrays of as many as a request can name. */
static void decode_dial(unsigned type, struct cursor *c)
{
	struct dial_request r;
	uint32_t token;
	int error;

	if (type == DIAL_REQUEST) {
		if (dial_decode_request(c, &r) == NULL &&
		    (r.token >= DIAL_MAX || r.relay >= RELAYS_MAX))
			abort();
	} else if (dial_decode_result(c, &token, &error) == NULL &&
		   (token >= DIAL_MAX || error < 0)) {
		abort();
	}
}

static const char *see_family(void *arg, uint8_t family)
{
	(void)arg;
	if (family >= FAMILY_COUNT)
		abort();
	return NULL;
}
static const char *see_affinity(void *arg, uint8_t family, unsigned number, uint32_t seconds)
{
	if (number >= NFT_AFFINITIES || seconds > 86400)
		abort();
	return see_family(arg, family);
}
/* What the check lets pass goes to an address that packets may be sent to. */
static const char *see_put(void *arg, const struct nft_elem *e)
{
	const char *why = nft_elem_check(e, false);

	if (e->set >= NFT_SET_COUNT)
		abort();
	if (why == NULL && (nft_set_dynamic(e->set) || e->set == NFT_TIMEOUTS ||
			       ((nft_set(e->set)->fields & NFT_TO) && !ip_is_endpoint(&e->to))))
		abort();
	return why != NULL ? why : see_family(arg, e->family);
}
static const char *see_key(void *arg, const struct nft_elem *e)
{
	const char *why = nft_elem_check(e, true);

	return why != NULL ? why : see_family(arg, e->family);
}
static const struct nft_visitor nft_visitor = {see_family, see_put, see_key, see_affinity, see_key};

static void decode_ipvs(unsigned type, struct cursor *c)
{
	static struct ipvs_snapshot a, b;
	static struct frame f;

	if (type != IPVS_SNAPSHOT || ipvs_decode_snapshot(c, &a) != NULL)
		return;
	ipvs_encode_snapshot(&f, &a);
	if (frame_open(f.buf, f.len, &type, c) != NULL || ipvs_decode_snapshot(c, &b) != NULL ||
	    a.count != b.count || memcmp(a.items, b.items, a.count * sizeof(a.items[0])) != 0)
		abort();
}

static void decode_nft(unsigned type, struct cursor *c)
{
	static struct nft_snapshot a, b;
	static struct frame f;

	if (type == NFT_OPS)
		nft_decode_ops(c, &nft_visitor, NULL);
	if (type != NFT_SNAPSHOT || nft_decode_snapshot(c, &a) != NULL)
		return;
	nft_encode_snapshot(&f, &a);
	if (frame_open(f.buf, f.len, &type, c) != NULL || nft_decode_snapshot(c, &b) != NULL ||
	    a.count != b.count)
		abort();
}

static void decode_health(unsigned type, struct cursor *c)
{
	struct health_service s;
	struct health_addrs addrs;

	if (type == HEALTH_PUT && health_decode_put(c, &s) == NULL && s.port == 0)
		abort();
	if (type == HEALTH_DEL)
		health_decode_del(c, &s);
	if (type == HEALTH_ADDRS)
		health_decode_addrs(c, &addrs);
}

static void decode_metrics(unsigned type, struct cursor *c)
{
	static struct profile_part part;
	static struct metrics m;
	struct metrics_relay use;
	enum profile_process process;
	unsigned seconds;

	if (type == PROFILE_ASK)
		profile_decode_ask(c, &process, &seconds);
	else if (type == PROFILE_PART)
		profile_decode_part(c, &part);
	else if (type == METRICS_ALL)
		metrics_decode_all(c, &m);
	else if (type == METRICS_USE)
		metrics_decode_use(c, &use);
	else
		metrics_decode_stats(c, &m);
	if (memchr(m.apiserver, '\0', sizeof(m.apiserver)) == NULL)
		abort();
}

/* What the decoder takes, the encoder says again, and it is taken as the same. */
static void decode_config(const uint8_t *data, size_t size)
{
	static struct config a, b;
	static struct frame f;

	if (config_decode(&a, data, size) != NULL)
		return;
	config_encode(&f, &a);
	if (f.overflow || config_decode(&b, f.buf, f.len) != NULL || memcmp(&a, &b, sizeof(a)) != 0)
		abort();
}

static void decode_query(unsigned type, struct cursor *c)
{
	static struct query_answer answer;
	struct query q;

	if (type == QUERY_ANSWER) {
		query_decode_answer(c, &answer);
		if (answer.len > sizeof(answer.text))
			abort();
	} else if (query_decode_ask(c, &q) == NULL) {
		struct frame *f = malloc(sizeof(*f));

		if (f == NULL)
			abort();
		query_encode_ask(f, &q);
		if (f->overflow)
			abort();
		free(f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct status status;
	struct cursor c;
	unsigned type;

	if (size < 1)
		return 0;
	if (data[0] % 6 == 0) {
		decode_config(data + 1, size - 1);
		return 0;
	}
	if (frame_open(data + 1, size - 1, &type, &c) != NULL)
		return 0;
	if (data[0] == UINT8_MAX)
		decode_dial(type, &c);
	else if (data[0] % 6 == 1)
		decode_object(type, &c);
	else if (data[0] % 6 == 2)
		decode_txn(type, &c);
	else if (data[0] % 6 == 3 && type >= QUERY_ASK)
		decode_query(type, &c);
	else if (data[0] % 6 == 3)
		decode_flows(type, &c);
	else if (data[0] % 6 == 5)
		decode_metrics(type, &c);
	else if (type >= IPVS_SNAPSHOT)
		decode_ipvs(type, &c);
	else if (type >= RELAY_PROXY_PORT_OPEN)
		decode_relay(type, &c);
	else if (type >= NFT_OPS)
		decode_nft(type, &c);
	else if (type >= HEALTH_PUT)
		decode_health(type, &c);
	else
		status_decode(type, &c, &status);
	return 0;
}
