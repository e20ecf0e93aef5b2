/* The proxy mode where nobody named one. */
#ifndef WATCHER_MODE_CHOOSE_H
#define WATCHER_MODE_CHOOSE_H

#define MODE_WHY_MAX 256

/*
 * The name of the mode, as --proxy-mode takes it, for a kernel of RELEASE ("6.1.0-18-amd64") whose
 * /proc/net is PROC_NET; WHY: what decided. Needs no privilege: whether nf_tables lacks something
 * is what the applier finds out, with the rules themselves.
 */
const char *mode_choose(const char *proc_net, const char *release, char why[MODE_WHY_MAX]);

#endif
