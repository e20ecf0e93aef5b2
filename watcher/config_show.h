/* The settings as /flagz and /configz show them. No secret is among them: credentials are paths. */
#ifndef WATCHER_CONFIG_SHOW_H
#define WATCHER_CONFIG_SHOW_H

#include "watcher/setting.h"

/*
 * Fills S->cfg's flags_text, a line "flag=value" for each flag that means something, sorted, and
 * config_json: the KubeProxyConfiguration (v1alpha1) that says the same, under its API group's
 * name. What does not fit is left out after a warning.
 */
void config_show(struct settings *s);

#endif
