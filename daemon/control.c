/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"
#include "audit.h"
#include "canary.h"
#include "clock.h"
#include "feed.h"
#include "housekeeping.h"
#include "limits.h"
#include "log.h"
#include "server_parts.h"
#include "zap.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PEERS_MAX = 16, REQUEST_MAX = 4096, PEER_USEC = 5000000 };

struct peer {
	struct peer *next;
	struct control *control;
	int fd;
	char who[24]; /* "uid=1000", by the kernel's word */
	sd_event_source *io, *timer;
	char request[REQUEST_MAX];
	size_t n_request;
	char *answer; /* owned; NULL: still reading */
	size_t answer_len, written;
};

struct control {
	struct server *server; /* borrowed */
	int fd;
	sd_event_source *io;
	struct peer *peers;
	unsigned n_peers;
	char path[sizeof((struct sockaddr_un *)0)->sun_path];
};

static void peer_free(struct peer *p)
{
	struct peer **at = &p->control->peers;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->control->n_peers--;
	sd_event_source_disable_unref(p->io);
	sd_event_source_disable_unref(p->timer);
	close(p->fd);
	free(p->answer);
	free(p);
}

/* ---- answers ---- */

/* Events between a session's place and the tail, as far as the ring knows: a floor when it is
 * farther behind. */
static json_int_t lag_events(const struct server *s, const struct session *k)
{
	json_int_t n = 0;

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		if (!k->at[c].attached)
			continue;
		for (const struct segment *g = history_ring(s->history, c); g; g = g->next) {
			if (entry_id_cmp(g->to, k->at[c].acked) <= 0)
				continue;
			for (uint32_t i = 0; i < g->n; i++)
				n += entry_id_cmp(g->records[i].id, k->at[c].acked) > 0 &&
				     lane_wants(k->lane, g, &g->records[i]);
		}
	}
	return n;
}

static double lag_seconds(const struct server *s, const struct session *k)
{
	uint64_t most = 0;

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		uint64_t tail = history_tail(s->history, c).ms, at = k->at[c].acked.ms;

		if (k->at[c].attached && k->at[c].n && tail > at && tail - at > most)
			most = tail - at;
	}
	return (double)most / 1000;
}

static json_t *names(const struct session *k, bool types)
{
	json_t *a = json_array();

	if (!k->lane)
		return a;
	for (unsigned i = 0; types && i < k->lane->filter.n_types; i++)
		json_array_append_new(a, json_stringn(k->lane->filter.types[i].name,
						      k->lane->filter.types[i].len));
	for (unsigned i = 0; !types && i < k->lane->filter.n_orgs; i++)
		json_array_append_new(
			a, json_stringn(k->lane->filter.orgs[i].code, k->lane->filter.orgs[i].len));
	return a;
}

static json_t *client(const struct server *s, const struct session *k)
{
	static const char *const states[] = {"starting", "standby", "active", "ended"};
	char instance[2 * WIRE_INSTANCE_BYTES + 1];
	uint32_t inflight = k->inflight_bytes[0] + k->inflight_bytes[1];
	bool active = k->state == SESSION_ACTIVE;

	lease_instance_hex(instance, k);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:f, s:I, s:I, s:I, s:I, s:I}",
			 "name", k->durable, "policy", k->access ? k->access->name : "", "instance",
			 instance, "state", states[k->state], "peer_view",
			 k->lane && k->lane->filter.public_view ? "public" : "full", "types",
			 names(k, true), "orgs", names(k, false), "lag_events",
			 active ? lag_events(s, k) : (json_int_t)0, "lag_seconds",
			 active ? lag_seconds(s, k) : 0.0, "credit_bytes",
			 (json_int_t)(k->window_bytes > inflight ? k->window_bytes - inflight : 0),
			 "inflight_bytes", (json_int_t)inflight, "connected_ms",
			 (json_int_t)k->connected_ms, "sent", (json_int_t)k->n_sent,
			 "in_flight_frames", (json_int_t)session_in_flight(k));
}

static json_t *do_clients(struct server *s, const char *who)
{
	json_t *list = json_array();

	(void)who;
	for (const struct session *k = s->sessions->first; k; k = k->next)
		json_array_append_new(list, client(s, k));
	return json_pack("{s:b, s:o}", "ok", 1, "clients", list);
}

/* What a person must see to. */
static json_t *alarms(const struct server *s)
{
	const struct housekeeping_counters *h = housekeeping_counters(s->housekeeping);
	json_t *list = json_array();

	if (h->n_lost)
		json_array_append_new(
			list, json_sprintf("%lld losses that nobody has seen to: dibaoctl lost "
					   "list tells them",
					   (long long)h->n_lost));
	if (h->clock.faults)
		json_array_append_new(list, json_sprintf("clocks disagree, Redis is %lld ms from "
							 "this machine: nothing is trimmed",
							 (long long)h->clock.skew_ms));
	return list;
}

static json_t *do_status(struct server *s, const char *who)
{
	const struct reader_counters *r = reader_counters(s->reader);
	const struct history_counters *h = history_counters(s->history);
	const struct fanout_counters *f = fanout_counters(s->fanout);
	json_t *redis = json_pack("{s:b, s:s, s:s, s:I}", "up", redis_link_is_up(s->main), "role",
				  redis_link_role(s->main), "run_id", redis_link_run_id(s->main),
				  "epoch", (json_int_t)s->epoch);
	json_t *a = json_pack(
		"{s:b, s:s, s:s, s:i, s:I, s:s, s:o, s:b, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I}",
		"ok", 1, "audience", s->config->audience, "version", DIBAO_VERSION, "pid",
		(int)getpid(), "uptime_ms",
		(json_int_t)((boottime_usec() - s->started_usec) / 1000), "bureau",
		s->config->bureau, "redis", redis, "serving", s->serving, "sessions",
		(int)s->sessions->n, "active", (int)s->sessions->n_active, "standby",
		(int)s->sessions->n_standby, "lanes", (int)lanes_count(s->lanes), "ring_bytes",
		(json_int_t)h->ring_bytes, "slice_bytes", (json_int_t)h->slice_bytes,
		"ring_entries", (json_int_t)h->n_records, "payload_bytes",
		(json_int_t)frame_live_bytes());
	const struct {
		const char *name;
		uint64_t n;
	} counters[] = {
		{"entries", r->n_entries},
		{"entry_bytes", r->n_bytes},
		{"adopted", r->n_adopted},
		{"repeats", r->n_repeats},
		{"quarantined", r->n_quarantined},
		{"unknown_keys", r->n_unknown_keys},
		{"frames", f->n_frames},
		{"items", f->n_items},
		{"bytes", f->n_bytes},
		{"acks", s->sessions->n_acks},
		{"slice_reads", h->n_loads},
		{"refused", s->sessions->n_refused},
		{"revoked", s->sessions->n_revoked},
		{"keys_refused", zap_refused(s->zap)},
		{"too_many", zap_refused_too_much(s->zap)},
		{"muted", s->sessions->n_muted},
		{"connections", limits_connections(s->limits)},
		{"protocol_errors", s->sessions->n_protocol_errors},
		{"superseded", s->sessions->n_superseded},
		{"no_session", s->sessions->n_no_session},
		{"relayed", s->sessions->n_relayed},
		{"relay_refused", s->sessions->n_relay_refused},
		{"receipts", s->sessions->n_receipts},
		{"canaries", canary_counters(s->canary)->n_flights},
		{"canary_ms", (uint64_t)canary_counters(s->canary)->last_ms},
		{"feed", s->feed ? feed_counters(s->feed)->n_sent : 0},
	};
	json_t *n = json_object();

	for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
		json_object_set_new(n, counters[i].name, json_integer((json_int_t)counters[i].n));
	(void)who;
	json_object_set_new(a, "counters", n);
	json_object_set_new(a, "alarms", alarms(s));
	return a;
}

static json_t *failure(const char *text)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", text);
}

static json_t *do_reload(struct server *s, const char *who)
{
	char text[512];
	int r = server_reload(s, text, sizeof text);

	audit_act(s, who, "reload", r == 0);
	if (r < 0)
		return failure(text);
	return json_pack("{s:b, s:s}", "ok", 1, "text", text);
}

char *control_answer(struct server *s, const char *who, const char *verb, size_t len)
{
	static const struct {
		const char *verb;
		json_t *(*fn)(struct server *s, const char *who);
	} verbs[] = {
		{"status", do_status},
		{"clients", do_clients},
		{"reload", do_reload},
	};
	json_t *a = NULL;
	char *text;

	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (strlen(verbs[i].verb) == len && !memcmp(verb, verbs[i].verb, len))
			a = verbs[i].fn(s, who);
	if (!a)
		a = failure(len ? "no such request" : "expected one JSON object with \"do\"");
	text = json_dumps(a, JSON_COMPACT);
	json_decref(a);
	return text;
}

/* ---- connections ---- */

static int on_peer(sd_event_source *src, int fd, uint32_t revents, void *userdata);

static void peer_answer(struct peer *p)
{
	json_t *q = json_loadb(p->request, p->n_request, JSON_REJECT_DUPLICATES, NULL);
	const char *verb = json_string_value(json_object_get(q, "do"));

	p->answer = control_answer(p->control->server, p->who, verb ? verb : "",
				   verb ? strlen(verb) : 0);
	json_decref(q);
	if (!p->answer) {
		peer_free(p);
		return;
	}
	p->answer_len = strlen(p->answer);
	p->answer[p->answer_len++] = '\n'; /* in the place of the NUL */
	sd_event_source_set_io_events(p->io, EPOLLOUT);
}

static void peer_read(struct peer *p)
{
	ssize_t n = read(p->fd, p->request + p->n_request, sizeof p->request - p->n_request);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		peer_free(p);
		return;
	}
	p->n_request += (size_t)n;
	if (memchr(p->request, '\n', p->n_request) || p->n_request == sizeof p->request)
		peer_answer(p);
}

static void peer_write(struct peer *p)
{
	ssize_t n = send(p->fd, p->answer + p->written, p->answer_len - p->written, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		p->written += (size_t)n;
	if (n <= 0 || p->written == p->answer_len)
		peer_free(p);
}

static int on_peer(sd_event_source *src, int fd, uint32_t revents, void *userdata)
{
	struct peer *p = userdata;

	(void)src;
	(void)fd;
	if (revents & EPOLLERR)
		peer_free(p);
	else if (p->answer)
		peer_write(p);
	else
		peer_read(p);
	return 0;
}

static int on_peer_timer(sd_event_source *src, uint64_t usec, void *userdata)
{
	(void)src;
	(void)usec;
	peer_free(userdata);
	return 0;
}

static int describe(struct peer *p)
{
	struct ucred cred;
	socklen_t len = sizeof cred;

	if (getsockopt(p->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	snprintf(p->who, sizeof p->who, "uid=%u", (unsigned)cred.uid);
	return 0;
}

static int on_connect(sd_event_source *src, int fd, uint32_t revents, void *userdata)
{
	struct control *c = userdata;
	sd_event *event = c->server->event;
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct peer *p;

	(void)src;
	(void)revents;
	if (conn < 0)
		return 0;
	p = c->n_peers < PEERS_MAX ? calloc(1, sizeof *p) : NULL;
	if (!p) {
		close(conn);
		return 0;
	}
	p->control = c;
	p->fd = conn;
	p->next = c->peers;
	c->peers = p;
	c->n_peers++;
	if (describe(p) < 0 || sd_event_add_io(event, &p->io, conn, EPOLLIN, on_peer, p) < 0 ||
	    sd_event_add_time_relative(event, &p->timer, CLOCK_MONOTONIC, PEER_USEC, 0,
				       on_peer_timer, p) < 0)
		peer_free(p);
	return 0;
}

/* A socket that a daemon of ours left behind by dying is removed; one that answers is not. */
static int remove_stale(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	strcpy(a.sun_path, path);
	r = connect(fd, (struct sockaddr *)&a, sizeof a) == 0 ? -EADDRINUSE : 0;
	close(fd);
	if (r == 0 && unlink(path) < 0)
		r = -errno;
	return r;
}

int control_new(struct control **ret, struct server *s, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct control *c;
	mode_t mask;
	int r;

	if (strlen(path) >= sizeof a.sun_path)
		return -ENAMETOOLONG;
	r = remove_stale(path);
	if (r < 0)
		return r;
	c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->server = s;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	strcpy(a.sun_path, path);
	mask = umask(0117);
	r = c->fd < 0 || bind(c->fd, (struct sockaddr *)&a, sizeof a) < 0 ? -errno : 0;
	umask(mask);
	if (r == 0) {
		strcpy(c->path, path);
		r = listen(c->fd, PEERS_MAX) < 0 ? -errno : 0;
	}
	if (r == 0)
		r = sd_event_add_io(s->event, &c->io, c->fd, EPOLLIN, on_connect, c);
	if (r < 0) {
		control_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct control *control_free(struct control *c)
{
	if (!c)
		return NULL;
	while (c->peers)
		peer_free(c->peers);
	sd_event_source_disable_unref(c->io);
	if (c->path[0])
		unlink(c->path);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
	return NULL;
}
