#include "watcher/api_problem.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "watcher/stats.h"

#define OK_STATUS	  200
#define HTTP_UNAUTHORIZED 401

static const struct {
	long status;
	const char *hint;
} hints[] = {
    {HTTP_UNAUTHORIZED,
	"the apiserver does not accept the token or client certificate: renew it in the "
	"kubeconfig"},
    {403, "bind the user to the ClusterRole system:node-proxier, or one that may do this"},
    {404, "the server does not serve it: is the path in the server's URL right?"},
};

static void report_down(struct api_server *s, const char *name, const struct api_result *res)
{
	if (s->down_since == 0)
		log_warn("apiserver %s does not answer: %s; what is programmed stays, trying again",
		    s->url, res->error);
	else
		log_debug(2, "%s: apiserver still down: %s", name, res->error);
	if (s->down_since == 0)
		s->down_since = api_now_ms();
	stats_apiserver_answers(false);
}

void api_problem_report(struct api_problem *p, struct api_server *s, const char *verb,
    const char *name, const struct api_result *res)
{
	const char *hint = NULL;

	if (res->status == 0) {
		report_down(s, name, res);
		return;
	}
	if (p->text[0] != '\0' && p->verb == verb && p->status == res->status &&
	    (res->status != OK_STATUS || strcmp(p->text, res->error) == 0))
		return;
	snprintf(p->text, sizeof(p->text), "%s", res->error);
	p->verb = verb;
	p->status = res->status;
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (hints[i].status == res->status)
			hint = hints[i].hint;
	log_error("cannot %s %s: %s%s%s; trying again", verb, name, res->error,
	    hint != NULL ? "; " : "", hint != NULL ? hint : "");
}

void api_problem_over(struct api_problem *p, const char *verb, const char *name)
{
	if (p->text[0] == '\0' || p->verb != verb)
		return;
	log_info("%s: %s works again", name, verb);
	p->text[0] = '\0';
}

bool api_problem_refused(const struct api_problem *p, const struct api_server *s)
{
	return s->down_since != 0 || (p->text[0] != '\0' && p->status == HTTP_UNAUTHORIZED);
}

void api_server_answers(struct api_server *s)
{
	stats_apiserver_answers(true);
	if (s->down_since == 0)
		return;
	log_info("apiserver %s answers again after %.1f s", s->url,
	    (double)(api_now_ms() - s->down_since) / 1000);
	s->down_since = 0;
}
