/* SPDX-License-Identifier: Apache-2.0 */
#include "feed.h"
#include "log.h"
#include "zmq_source.h"

#include <errno.h>
#include <stdlib.h>

enum {
	TOPIC_MAX = 10 + FILTER_TYPE_MAX + 1 + DIBAO_ORG_BYTES, /* "withdrawn." */
	SUBSCRIPTION_MAX = 256,
	SUBSCRIPTIONS_PER_TURN = 256,
	HANDSHAKE_MS = 5000,
	AGAIN_USEC = 50000,
};

struct feed {
	struct feed_options opt;
	char *endpoint; /* owned */
	void *socket;
	struct zmq_source *source;
	sd_event_source *again; /* binds once libzmq has let go of the address */
	struct lane lane;	/* its filter alone: all that is public */
	struct feed_counters counters;
};

static int feed_open(struct feed *f);
static void bind_again(struct feed *f);

static void feed_close(struct feed *f)
{
	f->source = zmq_source_free(f->source);
	if (f->socket)
		zmq_close(f->socket);
	f->socket = NULL;
}

/* 1 read, 0 none there, -errno. */
static int receive(struct feed *f)
{
	char subscription[SUBSCRIPTION_MAX];
	int n = zmq_recv(f->socket, subscription, sizeof subscription, ZMQ_DONTWAIT);

	if (n < 0)
		return zmq_errno() == EAGAIN ? 0 : zmq_errno() == EINTR ? 1 : -zmq_errno();
	if (n > 0 && subscription[0] == 1)
		f->counters.n_topics++;
	else if (n > 0 && subscription[0] == 0 && f->counters.n_topics > 0)
		f->counters.n_topics--;
	return 1;
}

static int on_readable(void *socket, void *userdata)
{
	struct feed *f = userdata;
	int r = 1;

	(void)socket;
	for (int i = 0; r == 1 && i < SUBSCRIPTIONS_PER_TURN; i++)
		r = receive(f);
	if (r < 0 || f->counters.n_topics <= FEED_TOPICS_MAX)
		return r < 0 ? r : 0;
	if (log_limited("feed"))
		log_text(LOG_WARNING,
			 "feed: over %d topics are subscribed to: all subscribers are dropped",
			 FEED_TOPICS_MAX);
	f->counters.n_reopened++;
	feed_close(f);
	bind_again(f);
	return 0;
}

static void bind_again(struct feed *f)
{
	sd_event_source_set_time_relative(f->again, AGAIN_USEC);
	sd_event_source_set_enabled(f->again, SD_EVENT_ONESHOT);
}

static int on_again(sd_event_source *src, uint64_t usec, void *userdata)
{
	struct feed *f = userdata;
	int r = feed_open(f);

	(void)src;
	(void)usec;
	if (r < 0) {
		/* The first times it is only libzmq, which closes in a thread of its own. */
		if (r != -EADDRINUSE && log_limited("feed"))
			log_text(LOG_ERR, "feed: cannot bind %s again: %s, trying on", f->endpoint,
				 zmq_strerror(-r));
		bind_again(f);
	}
	return 0;
}

static int feed_open(struct feed *f)
{
	static const struct {
		int option, value;
	} options[] = {
		{ZMQ_SNDHWM, FEED_HWM},
		{ZMQ_RCVHWM, FEED_HWM},
		{ZMQ_LINGER, 0},
		{ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS},
	};
	const int64_t longest = SUBSCRIPTION_MAX;
	int r = 0;

	f->counters.n_topics = 0;
	/* A PUB that tells what is subscribed to. */
	f->socket = zmq_socket(f->opt.context, ZMQ_XPUB);
	if (!f->socket)
		return -zmq_errno();
	for (size_t i = 0; r == 0 && i < sizeof options / sizeof options[0]; i++)
		if (zmq_setsockopt(f->socket, options[i].option, &options[i].value,
				   sizeof options[i].value) < 0)
			r = -zmq_errno();
	if (r == 0 && (zmq_setsockopt(f->socket, ZMQ_MAXMSGSIZE, &longest, sizeof longest) < 0 ||
		       zmq_bind(f->socket, f->endpoint) < 0))
		r = -zmq_errno();
	if (r == 0)
		r = zmq_source_new(&f->source, f->opt.event, f->socket, on_readable, f);
	if (r < 0)
		feed_close(f);
	return r;
}

int feed_new(struct feed **ret, const struct feed_options *opt)
{
	struct feed *f = calloc(1, sizeof *f);
	int r;

	if (!f)
		return -ENOMEM;
	f->opt = *opt;
	f->endpoint = strdup(opt->endpoint);
	f->lane.filter = (struct filter){.public_view = true, .mask_names = opt->mask_names};
	r = f->endpoint ? feed_open(f) : -ENOMEM;
	if (r == 0)
		r = sd_event_add_time_relative(opt->event, &f->again, CLOCK_MONOTONIC, AGAIN_USEC,
					       0, on_again, f);
	if (r >= 0)
		r = sd_event_source_set_enabled(f->again, SD_EVENT_OFF);
	if (r < 0) {
		feed_free(f);
		return r;
	}
	*ret = f;
	return 0;
}

struct feed *feed_free(struct feed *f)
{
	if (!f)
		return NULL;
	feed_close(f);
	sd_event_source_disable_unref(f->again);
	free(f->endpoint);
	free(f);
	return NULL;
}

static void publish(struct feed *f, const char *prefix, struct dibao_str type, const char *org,
		    const void *payload, size_t len)
{
	char topic[TOPIC_MAX + 1];
	int n = snprintf(topic, sizeof topic, "%s%.*s.%.*s", prefix, (int)type.len, type.p,
			 (int)DIBAO_ORG_BYTES, org);

	if (n < 0 || (size_t)n >= sizeof topic)
		return; /* no type that is public has such a name */
	/* A full or broken peer is libzmq's to drop for. */
	if (zmq_send(f->socket, topic, (size_t)n, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0 &&
	    zmq_send(f->socket, payload, len, ZMQ_DONTWAIT) >= 0)
		f->counters.n_sent++;
}

static void publish_withdrawn(struct feed *f, const struct segment *s, const struct record *r)
{
	struct dibao_str uid = record_w_uid(s, r);
	uint8_t pid[DIBAO_PID_BYTES], buf[64];
	int n;

	dibao_pid(f->opt.encode->view_key, uid.p, uid.len, pid);
	n = wire_withdrawn_pack(buf, sizeof buf, pid, NULL, 0);
	if (n > 0)
		publish(f, "withdrawn.", record_w_type(s, r), r->w_org, buf, (size_t)n);
}

static void publish_view(struct feed *f, const struct segment *s, const struct record *r)
{
	uint8_t buf[DIBAO_EVENT_MAX_BYTES];
	int n = frame_view(f->opt.encode, &f->lane, s, r, buf, sizeof buf);
	size_t n_types;
	const char *type;

	if (n <= 0)
		return;
	type = dibao_types(&n_types)[r->type].name; /* what has a public view is of the table */
	publish(f, "", (struct dibao_str){type, strlen(type)}, r->org, buf, (size_t)n);
}

void feed_live(struct feed *f, enum dibao_channel c, const struct segment *s, uint32_t first,
	       uint32_t n)
{
	if (!f->socket || !(filter_channels(&f->lane.filter) >> c & 1))
		return;
	for (uint32_t i = first; i < first + n; i++) {
		unsigned wants = lane_wants(&f->lane, s, &s->records[i]);

		if (wants & LANE_WITHDRAWN)
			publish_withdrawn(f, s, &s->records[i]);
		if (wants & LANE_EVENT)
			publish_view(f, s, &s->records[i]);
	}
}

const struct feed_counters *feed_counters(const struct feed *f)
{
	return &f->counters;
}
