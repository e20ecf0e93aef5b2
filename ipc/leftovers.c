#include "ipc/leftovers.h"

#include <stdio.h>
#include <string.h>

const char *const leftovers_wheres[LEFTOVERS_WHERES + 1] = {
    [LEFTOVERS_NF_TABLES] = "iptables-nft",
    [LEFTOVERS_X_TABLES] = "iptables-legacy",
    [LEFTOVERS_IPVS] = "ipvs",
    [LEFTOVERS_NFTABLES] = "nftables",
};
const char *const leftovers_tables[LEFTOVERS_TABLES] = {"nat", "filter", "mangle"};
const char *const leftovers_hooks[LEFTOVERS_HOOKS] = {"INPUT", "FORWARD"};
const char *const leftovers_families[LEFTOVERS_FAMILIES] = {"ip", "ip6", "inet"};
const char *const leftovers_whys[LEFTOVERS_WHYS] = {
    [LEFTOVERS_WAITING] = "removed once this proxy has programmed its rules",
    [LEFTOVERS_POLICY] = ("kept, because policy is DROP: without these chains it would drop "
			  "Services' traffic"),
    [LEFTOVERS_IN_USE] = "kept: rules of another program jump to it",
    [LEFTOVERS_CONNECTIONS] = "kept until its connections have ended",
    [LEFTOVERS_EXCLUDED] = "kept: --ipvs-exclude-cidrs",
    [LEFTOVERS_BUSY] = "not removed yet: other programs change the same tables; retrying",
    [LEFTOVERS_REFUSED] = "not removed: the kernel refused",
    [LEFTOVERS_FAMILY] = ("kept: this proxy does not program this address family; --cleanup "
			  "removes it"),
};

bool leftovers_name_valid(const char *name)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				  "-_.:/[]";

	return name[0] != '\0' && strspn(name, set) == strlen(name);
}

uint8_t leftovers_encode_programmed(const bool families[FAMILY_COUNT])
{
	unsigned byte = LEFTOVERS_PROGRAMMED;

	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		byte |= (unsigned)families[f] << f;
	return (uint8_t)byte;
}

bool leftovers_decode_programmed(uint8_t byte, bool families[FAMILY_COUNT])
{
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		families[f] = (byte & 1u << f) != 0;
	return byte != LEFTOVERS_PROGRAMMED && byte == leftovers_encode_programmed(families);
}

void leftovers_encode_row(struct frame *f, const struct leftovers_row *r)
{
	frame_begin(f, LEFTOVERS_ROW, 8);
	frame_uint(f, r->where);
	frame_uint(f, r->family);
	frame_uint(f, r->table);
	frame_uint(f, r->why);
	frame_uint(f, (uint64_t)r->error);
	frame_uint(f, r->chains);
	frame_uint(f, r->rules);
	frame_array(f, r->name_count);
	for (uint32_t i = 0; i < r->name_count; i++)
		frame_str(f, r->names[i]);
}

void leftovers_encode_firewall(struct frame *f, const struct leftovers_firewall *w)
{
	frame_begin(f, LEFTOVERS_FIREWALL, 6);
	frame_uint(f, w->family);
	frame_uint(f, w->hook);
	frame_str(f, w->table);
	frame_str(f, w->chain);
	frame_bool(f, w->legacy);
	frame_bool(f, w->kept);
}

void leftovers_encode_done(struct frame *f)
{
	frame_begin(f, LEFTOVERS_DONE, 0);
}

static void decode_name(struct cursor *c, char name[LEFTOVERS_NAME_MAX])
{
	cursor_str(c, name, LEFTOVERS_NAME_MAX);
	if (!leftovers_name_valid(name))
		cursor_fail(c, "a name of characters that no name has");
}

const char *leftovers_decode_row(struct cursor *c, struct leftovers_row *r)
{
	struct cursor names;

	memset(r, 0, sizeof(*r));
	r->where = (uint8_t)cursor_uint(c, LEFTOVERS_WHERES - 1);
	r->family = (uint8_t)cursor_uint(c, FAMILY_COUNT - 1);
	r->table = (uint8_t)cursor_uint(c, LEFTOVERS_TABLES - 1);
	r->why = (uint8_t)cursor_uint(c, LEFTOVERS_WHYS - 1);
	r->error = (int32_t)cursor_uint(c, 4095 + 1024); /* errno; ipset's own begin at 4096 */
	r->chains = cursor_uint(c, UINT32_MAX);
	r->rules = cursor_uint(c, UINT32_MAX);
	names = cursor_array(c, LEFTOVERS_NAMES);
	for (uint32_t n = names.left; names.error == NULL && r->name_count < n; r->name_count++)
		decode_name(&names, r->names[r->name_count]);
	cursor_leave(c, &names);
	return cursor_end(c);
}

const char *leftovers_decode_firewall(struct cursor *c, struct leftovers_firewall *w)
{
	memset(w, 0, sizeof(*w));
	w->family = (uint8_t)cursor_uint(c, LEFTOVERS_FAMILIES - 1);
	w->hook = (uint8_t)cursor_uint(c, LEFTOVERS_HOOKS - 1);
	decode_name(c, w->table);
	decode_name(c, w->chain);
	w->legacy = cursor_bool(c);
	w->kept = cursor_bool(c);
	return cursor_end(c);
}

/* --- words --- */

const char *leftovers_place(char buf[LEFTOVERS_TEXT_MAX], const struct leftovers_row *r)
{
	const char *where = leftovers_wheres[r->where], *family = leftovers_families[r->family];

	if (r->where == LEFTOVERS_IPVS)
		snprintf(
		    buf, LEFTOVERS_TEXT_MAX, "%s, IPv%d", where, r->family == FAMILY_6 ? 6 : 4);
	else
		snprintf(buf, LEFTOVERS_TEXT_MAX, "%s, table %s %s", where, family,
		    r->where == LEFTOVERS_NFTABLES ? "kube-proxy" : leftovers_tables[r->table]);
	return buf;
}

const char *leftovers_content(char buf[LEFTOVERS_TEXT_MAX], const struct leftovers_row *r)
{
	const bool ipvs = r->where == LEFTOVERS_IPVS;
	int n = snprintf(buf, LEFTOVERS_TEXT_MAX, "%llu %s, %llu %s", (unsigned long long)r->chains,
	    ipvs ? "interfaces and ipsets" : "chains", (unsigned long long)r->rules,
	    ipvs ? "virtual servers and addresses" : "rules");

	for (uint32_t i = 0; i < r->name_count; i++)
		n += snprintf(buf + n, LEFTOVERS_TEXT_MAX - (size_t)n, "%s%s",
		    i == 0 ? ", for example " : " ", r->names[i]);
	return buf;
}

const char *leftovers_advice(char buf[LEFTOVERS_TEXT_MAX], const struct leftovers_firewall *w)
{
	const char *six = w->family == LEFTOVERS_IP6 ? "6" : "";
	const char *chain = leftovers_hooks[w->hook];
	const bool iptables = strcmp(w->table, "filter") == 0 && strcmp(w->chain, chain) == 0 &&
			      w->family != LEFTOVERS_INET;
	char rule[128];

	if (iptables && w->hook == LEFTOVERS_FORWARD)
		snprintf(rule, sizeof(rule),
		    "ip%stables-%s -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT", six,
		    w->legacy ? "legacy" : "nft");
	else if (iptables)
		snprintf(rule, sizeof(rule),
		    "ip%stables-%s -I INPUT -p tcp --dport PORT -j ACCEPT (the health check port)",
		    six, w->legacy ? "legacy" : "nft");
	else if (w->hook == LEFTOVERS_FORWARD)
		snprintf(rule, sizeof(rule), "nft insert rule %s %.24s %.24s ct status dnat accept",
		    leftovers_families[w->family], w->table, w->chain);
	else
		snprintf(rule, sizeof(rule),
		    "nft insert rule %s %.24s %.24s tcp dport PORT accept (the health check port)",
		    leftovers_families[w->family], w->table, w->chain);
	snprintf(buf, LEFTOVERS_TEXT_MAX,
	    "policy DROP of %s, table %s %s, chain %s: %s%s; to let it pass: %s",
	    w->legacy ? "iptables-legacy" : "nf_tables", leftovers_families[w->family], w->table,
	    w->chain,
	    w->hook == LEFTOVERS_FORWARD ? "it drops what Services forward unless a rule there "
					   "accepts it"
					 : "it drops health checks of load balancers unless a rule "
					   "there accepts them",
	    w->kept ? "; the old kube-proxy's rules there accept it, and are kept for that" : "",
	    rule);
	return buf;
}
