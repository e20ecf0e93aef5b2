/* What single settings' text may be: each returns NULL, or what is expected instead. */
#ifndef WATCHER_SETTING_CHECK_H
#define WATCHER_SETTING_CHECK_H

const char *check_node_name(const char *text); /* "" is good: the host name */
const char *check_master(const char *text);    /* "" is good: none */
const char *check_content_type(const char *text);
/* true, false, raw, and what else a switch may be. */
const char *check_version(const char *text);
const char *check_audit_log(const char *text);
const char *check_ports(const char *text);     /* "22,2379-2380"; "" is good: none */
const char *check_interface(const char *text); /* "" is good: none */
const char *check_release(const char *text);   /* "1.35"; "" is good */
const char *check_scheduler(const char *text); /* "" is good: rr */
const char *check_gates(const char *text);     /* "Name=bool,..." */
const char *check_vmodule(const char *text);   /* "pattern=level,..." */

/* What query_parse_url() takes, but for what needs a running proxy; "" is good: nothing. */
const char *check_inspect(const char *text);

#endif
