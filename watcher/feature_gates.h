/* Kubernetes' feature gates: known here by what they would change in a service proxy. */
#ifndef WATCHER_FEATURE_GATES_H
#define WATCHER_FEATURE_GATES_H

#include <stdbool.h>

/* Do GATES ("Name=true,...", good) turn the gate NAME off? */
bool feature_gates_is_off(const char *gates, const char *name);
/*
 * Logs which of GATES ("Name=true,...", good) ask for what this program does not do, or not to do
 * what it does, and which nobody here knows. What feature_gates_is_off() is asked for apart, none
 * of them changes anything. NAME: the setting's, as the user knows it.
 */
void feature_gates_warn(const char *gates, const char *name);

#endif
