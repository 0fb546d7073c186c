/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include "log.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { CHECK_USEC = 1000000, WORDS_MAX = 32 };

extern char **environ;

struct watch {
	struct watch_options opt;
	sd_event_source *timer, *child;
	int64_t begun_ms, heard_ms, restarted_ms; /* CLOCK_BOOTTIME; 0 = not yet */
	struct watch_state state;
};

static int64_t boot_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- reports ---- */

static bool read_pid(const json_t *v, uint8_t ret[DIBAO_PID_BYTES])
{
	const char *text = json_string_value(v);

	if (!text || json_string_length(v) != 2 * DIBAO_PID_BYTES)
		return false;
	for (unsigned i = 0; i < DIBAO_PID_BYTES; i++) {
		unsigned byte = 0;

		for (unsigned k = 0; k < 2; k++) {
			char c = text[2 * i + k];

			if (c >= '0' && c <= '9')
				byte = byte * 16 + (unsigned)(c - '0');
			else if (c >= 'a' && c <= 'f')
				byte = byte * 16 + (unsigned)(c - 'a' + 10);
			else
				return false;
		}
		ret[i] = (uint8_t)byte;
	}
	return true;
}

static unsigned read_count(const json_t *root, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(root, key));

	return n < 0 || n > 1000000 ? 0 : (unsigned)n;
}

static const char *take_report(struct watch *w, const json_t *root)
{
	const json_t *visible = json_object_get(root, "visible"),
		     *rendered = json_object_get(root, "rendered"), *one;
	uint8_t pid[DIBAO_PID_BYTES];
	size_t i;

	if (!json_is_boolean(visible))
		return "visible: expected true or false\n";
	if (rendered && !json_is_array(rendered))
		return "rendered: expected a list of public ids\n";
	json_array_foreach(rendered, i,
			   one) if (!read_pid(one, pid)) return "rendered: expected public ids of "
								"32 hexadecimal digits\n";
	w->state.is_visible = json_is_true(visible);
	w->state.page = read_count(root, "page");
	w->state.pages = read_count(root, "pages");
	w->heard_ms = boot_ms();
	if (w->state.is_silent)
		log_text(LOG_NOTICE, "a page reports again");
	w->state.is_silent = false;
	json_array_foreach(rendered, i, one) if (w->state.is_visible && read_pid(one, pid))
		w->opt.on_rendered(pid, w->opt.userdata);
	w->opt.on_reported(w->opt.userdata);
	return NULL;
}

void watch_alive(struct watch *w, struct http_request *r)
{
	const char *type = http_header(r, "Content-Type"), *body, *why;
	size_t len;
	json_t *root;

	/* A page of another site could send a form, but not this type unasked. */
	if (!type || strncmp(type, "application/json", 16) != 0) {
		why = "expected Content-Type: application/json\n";
	} else {
		body = http_body(r, &len);
		root = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
		why = json_is_object(root) ? take_report(w, root) : "expected a JSON object\n";
		json_decref(root);
	}
	if (why)
		http_reply(r, 400, "text/plain; charset=utf-8", why, strlen(why));
	else
		http_reply(r, 204, NULL, "", 0);
}

void watch_drawn(struct watch *w)
{
	w->heard_ms = boot_ms();
	w->state.is_visible = true;
	w->state.is_silent = false;
}

/* ---- silence ---- */

static int on_child(sd_event_source *src, const siginfo_t *si, void *userdata)
{
	struct watch *w = userdata;

	(void)src;
	if (si->si_code != CLD_EXITED || si->si_status != 0)
		log_text(LOG_ERR, "restart_command failed (%s %d)",
			 si->si_code == CLD_EXITED ? "exit status" : "signal", si->si_status);
	w->child = sd_event_source_unref(w->child);
	return 0;
}

static void restart(struct watch *w)
{
	char *copy, *words[WORDS_MAX + 1], *save = NULL;
	unsigned n = 0;
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int r;

	w->restarted_ms = boot_ms();
	if (!*w->opt.config->restart_command || w->child)
		return;
	copy = strdup(w->opt.config->restart_command);
	for (char *p = copy ? strtok_r(copy, " ", &save) : NULL; p && n < WORDS_MAX;
	     p = strtok_r(NULL, " ", &save))
		words[n++] = p;
	words[n] = NULL;
	if (n) {
		sigemptyset(&none);
		posix_spawnattr_init(&attr);
		posix_spawnattr_setsigmask(&attr, &none);
		posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
		r = posix_spawnp(&pid, words[0], NULL, &attr, words, environ);
		posix_spawnattr_destroy(&attr);
		if (r != 0) {
			log_text(LOG_ERR, "restart_command cannot be run: %s", strerror(r));
		} else {
			w->state.n_restarts++;
			log_text(LOG_NOTICE, "restart_command was run");
			if (sd_event_add_child(w->opt.event, &w->child, pid, WEXITED, on_child, w) <
			    0)
				w->child = NULL;
		}
	}
	free(copy);
}

static int on_timer(sd_event_source *src, uint64_t usec, void *userdata)
{
	struct watch *w = userdata;
	int64_t limit = w->opt.config->alive_ms, now = boot_ms();
	int64_t since = w->heard_ms ? w->heard_ms : w->begun_ms;

	(void)usec;
	if (limit && now - since > limit) {
		if (!w->state.is_silent)
			log_text(LOG_WARNING,
				 "no page has reported for %lld s: the screen may be dark",
				 (long long)(now - since) / 1000);
		w->state.is_silent = true;
		if (now - w->restarted_ms > limit)
			restart(w);
	}
	sd_event_source_set_time_relative(src, CHECK_USEC);
	sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	return 0;
}

struct watch_state watch_state(const struct watch *w)
{
	struct watch_state s = w->state;

	s.ago_ms = w->heard_ms ? boot_ms() - w->heard_ms : -1;
	return s;
}

int watch_new(struct watch **ret, const struct watch_options *opt)
{
	struct watch *w = calloc(1, sizeof *w);
	int r;

	if (!w)
		return -ENOMEM;
	w->opt = *opt;
	w->begun_ms = boot_ms();
	r = sd_event_add_time_relative(opt->event, &w->timer, CLOCK_MONOTONIC, CHECK_USEC, 100000,
				       on_timer, w);
	if (r < 0) {
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

struct watch *watch_free(struct watch *w)
{
	if (!w)
		return NULL;
	sd_event_source_disable_unref(w->timer);
	sd_event_source_disable_unref(w->child);
	free(w);
	return NULL;
}
