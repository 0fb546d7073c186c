/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subscriber as its application sees it: options, the descriptor, dispatch, acks, receipts,
 * state. What is on the wire is link.c's (one connection, from connect to its end), what was
 * delivered and acknowledged inflight.c's.
 *
 * The descriptor is an epoll one over the socket's, a timer and an event counter. ZMQ_FD is
 * edge-triggered and any call on the socket may eat the edge; so at the end of each dispatch, and
 * after each call outside of one that sends, the socket is asked whether something is left, unless
 * a read has just found it empty; and if so the counter is raised: the descriptor stays readable
 * until all is done. Each such question is two system calls, so none is asked in vain: an event
 * that arrives alone costs a subscriber five.
 */
#include "error.h"
#include "subscriber_parts.h"

#include <dibao/key.h>
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
	DISPATCH_DEFAULT = 1000,
	ACK_USEC = 20000,
	ENDPOINT_BYTES_MAX = 256,
	WATCHDOG_USEC = 10000000,
	/* After a reconnect, how long live frames may still bring what we had: the daemon that we
	 * found may be behind the one we left. */
	SETTLE_MS = 5000,
};

/* ---- options ---- */

static int copy_text(char **ret, const char *text)
{
	if (!text)
		return 0;
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

static int copy_list(char ***ret, unsigned *ret_n, const char *const *list, unsigned most,
		     size_t longest)
{
	unsigned n = 0;

	while (list && list[n])
		if (strlen(list[n]) > longest || !*list[n] || ++n > most)
			return -EINVAL;
	*ret = calloc(n + 1, sizeof **ret);
	if (!*ret)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		if (copy_text(&(*ret)[i], list[i]) < 0)
			return -ENOMEM;
	*ret_n = n;
	return 0;
}

static int copy_keys(struct dibao_subscriber *s, const struct dibao_subscriber_options *o,
		     struct dibao_error *err)
{
	char public[DIBAO_KEY_TEXT], secret[DIBAO_KEY_TEXT];
	const char *p = o->curve_public_key, *k = o->curve_secret_key;
	bool ok;

	if (o->curve_key_file && (p || k))
		return error_set(err, -EINVAL, "curve keys: expected a file or two keys, not both");
	if (o->curve_key_file) {
		int r = dibao_key_read(o->curve_key_file, public, secret, err);

		if (r < 0)
			return r;
		p = public;
		k = secret;
	}
	if (!!o->curve_server_key != !!p || !!o->curve_server_key != !!k)
		return error_set(
			err, -EINVAL,
			"curve keys: expected the daemon's public key and a pair, or none");
	if (p &&
	    (!dibao_key_check(o->curve_server_key) || !dibao_key_check(p) || !dibao_key_check(k)))
		return error_set(err, -EINVAL, "curve keys: expected 40 characters of Z85");
	ok = copy_text(&s->server_key, o->curve_server_key) == 0 &&
	     copy_text(&s->public_key, p) == 0 && copy_text(&s->secret_key, k) == 0;
	sodium_memzero(secret, sizeof secret);
	return ok ? 0 : error_set(err, -ENOMEM, "no memory");
}

static int copy_options(struct dibao_subscriber *s, const struct dibao_subscriber_options *o,
			struct dibao_error *err)
{
	int r;

	s->opt = *o;
	if (!o->on_delivery)
		return error_set(err, -EINVAL, "on_delivery: missing");
	if (!o->endpoints || !o->endpoints[0])
		return error_set(err, -EINVAL, "endpoints: expected at least one");
	if (!o->bureau || !*o->bureau || strlen(o->bureau) > 16)
		return error_set(err, -EINVAL, "bureau: expected 1 to 16 bytes");
	if (o->durable && (!*o->durable || strlen(o->durable) > WIRE_NAME_MAX))
		return error_set(err, -EINVAL, "durable: expected 1 to 64 bytes");
	if (o->window_bytes &&
	    (o->window_bytes < WIRE_WINDOW_MIN || o->window_bytes > WIRE_WINDOW_MAX))
		return error_set(err, -EINVAL, "window_bytes: expected 131072 to 16777216");
	r = copy_keys(s, o, err);
	if (r < 0)
		return r;
	r = copy_list(&s->endpoints, &s->n_endpoints, o->endpoints, ENDPOINTS_MAX,
		      ENDPOINT_BYTES_MAX);
	if (r < 0)
		return error_set(err, r, "endpoints: expected at most 16 of at most 256 bytes");
	r = copy_list(&s->types, &s->n_types, o->types, WIRE_TYPES_MAX, 32);
	if (r < 0)
		return error_set(err, r, "types: expected at most 32 of 1 to 32 bytes");
	r = copy_list(&s->orgs, &s->n_orgs, o->orgs, WIRE_ORGS_MAX, DIBAO_ORG_BYTES);
	if (r < 0)
		return error_set(err, r,
				 "orgs: expected at most 64 codes or prefixes of 1 to 12 digits");
	for (unsigned i = 0; i < s->n_orgs; i++)
		if (strspn(s->orgs[i], "0123456789") != strlen(s->orgs[i]))
			return error_set(err, -EINVAL, "orgs: expected digits");
	if (copy_text(&s->bureau, o->bureau) < 0 || copy_text(&s->durable, o->durable) < 0)
		return error_set(err, -ENOMEM, "no memory");
	s->window = o->window_bytes ? o->window_bytes : WIRE_WINDOW_DEFAULT;
	return 0;
}

static void free_list(char **list)
{
	for (unsigned i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

/* ---- life ---- */

static int watch(struct dibao_subscriber *s, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int dibao_subscriber_new(struct dibao_subscriber **ret, struct dibao_context *ctx,
			 const struct dibao_subscriber_options *opt, struct dibao_error *err)
{
	struct dibao_subscriber *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return error_set(err, -ENOMEM, "no memory");
	s->epoll_fd = s->timer_fd = s->event_fd = -1;
	inflight_init(&s->inflight, !opt->durable);
	randombytes_buf(s->instance, sizeof s->instance);
	s->context = ctx;
	s->status.state = DIBAO_STATE_CONNECTING;
	r = copy_options(s, opt, err);
	if (r == 0) {
		s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
		s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
		s->event_fd = eventfd(
			1, EFD_NONBLOCK | EFD_CLOEXEC); /* there is something to do: connect */
		if (s->epoll_fd < 0 || s->timer_fd < 0 || s->event_fd < 0 ||
		    watch(s, s->timer_fd) < 0 || watch(s, s->event_fd) < 0)
			r = error_set(err, -errno ? -errno : -EMFILE, "no descriptors left");
	}
	if (r < 0) {
		dibao_subscriber_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct dibao_subscriber *dibao_subscriber_free(struct dibao_subscriber *s)
{
	if (!s)
		return NULL;
	link_close(s, true);
	inflight_done(&s->inflight);
	dibao_subscriber_forget_receipts(s);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	if (s->timer_fd >= 0)
		close(s->timer_fd);
	if (s->event_fd >= 0)
		close(s->event_fd);
	free_list(s->endpoints);
	free_list(s->types);
	free_list(s->orgs);
	free(s->bureau);
	free(s->durable);
	free(s->server_key);
	free(s->public_key);
	if (s->secret_key)
		sodium_memzero(s->secret_key, strlen(s->secret_key));
	free(s->secret_key);
	free(s);
	return NULL;
}

/* ---- state ---- */

void subscriber_set_state(struct dibao_subscriber *s, enum dibao_state state,
			  enum dibao_reason reason, const char *text, size_t len)
{
	bool connecting = state == DIBAO_STATE_CONNECTING;

	if (s->status.state == state &&
	    (connecting ? s->told[s->endpoint] == reason : s->status.reason == reason))
		return;
	if (connecting)
		s->told[s->endpoint] = (uint16_t)reason;
	else
		memset(s->told, 0, sizeof s->told);
	s->status.state = state;
	s->status.reason = reason;
	snprintf(s->status.text, sizeof s->status.text, "%.*s", (int)len, text);
	s->status.endpoint = s->n_endpoints ? s->endpoints[s->endpoint] : "";
	if (s->opt.on_status)
		s->opt.on_status(s, &s->status, s->opt.userdata);
}

/* ---- deliveries ---- */

/* The rest of the frame in hand. Returns the callback's value. An invalid event ends the
 * connection. */
static int deliver(struct dibao_subscriber *s, unsigned max, unsigned *n)
{
	struct delivering *d = &s->now;

	while (d->left && *n < max) {
		struct dibao_event ev;
		struct wire_item it;
		struct dibao_delivery out;
		int r;

		d->p = wire_item_next(d->p, &it);
		d->left--;
		out = (struct dibao_delivery){
			.kind = it.kind,
			.channel = d->header.channel,
			.bytes = it.bytes,
			.len = it.len,
			.withdrawn = it.flags & WIRE_ITEM_IS_WITHDRAWN,
			.again = it.flags & WIRE_ITEM_IS_AGAIN,
			.replay = d->header.flags & WIRE_DATA_REPLAY,
			.may_repeat = d->may_repeat,
			.sent_ms = (int64_t)d->header.clock_ms,
			.ack = inflight_handle(&s->inflight, d->header.channel, d->header.number,
					       d->item),
		};
		d->frame->n_delivered = ++d->item;
		if (s->inflight.n_old && inflight_is_repeat(&s->inflight, d->header.channel,
							    d->frame, d->item - 1, &it)) {
			s->status.n_repeats++;
			if (!d->left)
				subscriber_end_frame(s);
			continue;
		}
		if (s->opt.validate && it.kind == DIBAO_ITEM_EVENT &&
		    dibao_event_parse(&ev, it.bytes, it.len, NULL) < 0) {
			link_fail(s, DIBAO_REASON_PROTOCOL, "invalid event");
			return 0;
		}
		++*n;
		s->status.n_delivered++;
		r = s->opt.on_delivery(s, &out, s->opt.userdata);
		if (!d->left)
			subscriber_end_frame(s);
		if (r)
			return r;
	}
	return 0;
}

void subscriber_end_frame(struct dibao_subscriber *s)
{
	if (s->now.frame)
		zmq_msg_close(&s->now.held);
	s->now = (struct delivering){0};
}

/* What was before the first frame that is no replay has been delivered: frames are worked off in
 * the order of the wire. */
static void is_live(struct dibao_subscriber *s, uint8_t channel)
{
	s->live |= (uint8_t)(1u << channel);
	if (s->status.caught_up || (s->live & s->channels) != s->channels)
		return;
	s->status.caught_up = true;
	if (s->opt.on_caught_up)
		s->opt.on_caught_up(s, s->opt.userdata);
}

int subscriber_begin_frame(struct dibao_subscriber *s, const struct wire_data *h,
			   zmq_msg_t *payload)
{
	struct in_frame *frame;
	bool settled;
	int r;

	s->status.heartbeat_ms = (int64_t)h->clock_ms;
	if (h->count &&
	    wire_payload_check(zmq_msg_data(payload), zmq_msg_size(payload), h->count) < 0)
		return -EPROTO;
	r = inflight_push(&s->inflight, h, payload, &frame);
	if (r < 0)
		return r;
	if (!(h->flags & WIRE_DATA_REPLAY)) {
		s->live_ms[h->channel] = (int64_t)h->clock_ms;
		is_live(s, h->channel);
	}
	if (!h->count)
		return 0;
	settled = !(h->flags & (WIRE_DATA_MAY_REPEAT | WIRE_DATA_REPLAY)) &&
		  (int64_t)h->clock_ms >= s->welcome_ms + SETTLE_MS;
	if (settled)
		inflight_forget_old(&s->inflight, h->channel);
	s->now = (struct delivering){
		.header = *h,
		.frame = frame,
		.left = h->count,
		.may_repeat =
			h->flags & WIRE_DATA_MAY_REPEAT || (s->status.n_reconnects && !settled),
	};
	zmq_msg_init(&s->now.held);
	zmq_msg_copy(&s->now.held, &frame->payload);
	s->now.p = zmq_msg_data(&s->now.held);
	return 0;
}

/* ---- dispatch ---- */

static void drain_fd(int fd)
{
	uint64_t n;

	/* Both kinds are read whole or not at all; EAGAIN is fine. */
	if (read(fd, &n, sizeof n) < 0)
		return;
}

/* Which of our descriptors woke us. */
static void note_ready(struct dibao_subscriber *s)
{
	struct epoll_event e[4];
	int n = epoll_wait(s->epoll_fd, e, 4, 0);

	for (int i = 0; i < n; i++) {
		if (e[i].data.fd == s->event_fd) {
			drain_fd(s->event_fd);
		} else if (e[i].data.fd == s->timer_fd) {
			drain_fd(s->timer_fd);
			s->timer_set = 0;
		} else if (e[i].data.fd == s->monitor_fd) {
			s->monitor_due = true;
		}
	}
}

static void raise_event(struct dibao_subscriber *s)
{
	uint64_t one = 1;

	if (write(s->event_fd, &one, sizeof one) < 0)
		return; /* full: it is raised as it is */
}

void subscriber_look_again(struct dibao_subscriber *s)
{
	if (!s->n_dispatching && link_has_more(s))
		raise_event(s);
}

/* Acks that are due go; sets when to look again. */
static void flush_acks(struct dibao_subscriber *s, uint64_t now)
{
	if (s->status.state != DIBAO_STATE_ACTIVE || !inflight_ack_is_due(&s->inflight)) {
		s->ack_due = 0;
		return;
	}
	if (!s->ack_due)
		s->ack_due = now + ACK_USEC;
	if (now >= s->ack_due || s->inflight.floor_bytes >= s->granted / 2) {
		if (link_send_ack(s, now))
			s->ack_due = 0;
		else
			s->ack_due = now + ACK_USEC;
	}
}

static void set_timer(struct dibao_subscriber *s, uint64_t now)
{
	uint64_t due = link_next_due(s), in;
	struct itimerspec t = {0};

	if (s->ack_due && s->ack_due < due)
		due = s->ack_due;
	/* One that fires too early does no harm: it is set anew then. */
	if (s->timer_set > now && s->timer_set <= due)
		return;
	in = due > now ? due - now : 1;
	if (in > WATCHDOG_USEC)
		in = WATCHDOG_USEC;
	t.it_value.tv_sec = (time_t)(in / 1000000);
	t.it_value.tv_nsec = (long)(in % 1000000) * 1000;
	timerfd_settime(s->timer_fd, 0, &t, NULL);
	s->timer_set = now + in;
}

int dibao_subscriber_dispatch(struct dibao_subscriber *s, unsigned max)
{
	uint64_t now = link_now();
	unsigned n = 0;
	int r = 0;

	note_ready(s);
	if (!max)
		max = DISPATCH_DEFAULT;
	s->n_dispatching++;
	link_timers(s, now);
	for (;;) {
		if (s->now.left) {
			r = deliver(s, max, &n);
			flush_acks(s, now);
			if (r || n >= max)
				break;
		}
		r = link_receive(s, now);
		if (r <= 0)
			break;
	}
	s->n_dispatching--;
	now = link_now();
	flush_acks(s, now);
	set_timer(s, now);
	if (s->now.left || link_has_more(s))
		raise_event(s);
	if (r < 0)
		return r;
	s->callback_value = r;
	return (int)n;
}

int dibao_subscriber_fd(struct dibao_subscriber *s)
{
	return s->epoll_fd;
}

const struct dibao_status *dibao_subscriber_status(const struct dibao_subscriber *s)
{
	return &s->status;
}

int dibao_subscriber_run(struct dibao_subscriber *s)
{
	while (!s->stopped) {
		struct pollfd p = {.fd = s->epoll_fd, .events = POLLIN};
		int r;

		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return -errno;
		if (s->stopped)
			break;
		r = dibao_subscriber_dispatch(s, 0);
		if (r < 0)
			return r;
		if (s->callback_value)
			return s->callback_value;
		if (s->status.state == DIBAO_STATE_REFUSED)
			return -EACCES;
	}
	s->stopped = false;
	return 0;
}

void dibao_subscriber_stop(struct dibao_subscriber *s)
{
	s->stopped = true;
	raise_event(s);
}

/* ---- acks ---- */

static void flush_outside(struct dibao_subscriber *s)
{
	uint64_t now = link_now();

	flush_acks(s, now);
	set_timer(s, now);
	subscriber_look_again(s);
}

int dibao_subscriber_ack(struct dibao_subscriber *s, uint64_t ack)
{
	int r = inflight_ack(&s->inflight, ack);

	/* Outside of dispatch nobody else looks after the due ack. */
	if (r == 0 && !s->n_dispatching &&
	    (!s->ack_due || s->inflight.floor_bytes >= s->granted / 2))
		flush_outside(s);
	return r;
}

int dibao_subscriber_ack_all(struct dibao_subscriber *s)
{
	inflight_ack_delivered(&s->inflight);
	if (!s->n_dispatching)
		flush_outside(s);
	return 0;
}
