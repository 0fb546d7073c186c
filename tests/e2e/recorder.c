/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder: a subscriber whose effect is a line in a file, as the tests need one.
 *
 *   recorder -f FILE -e ENDPOINT [-e ...] [-b BUREAU] [-d DURABLE] [-t TYPE ...] [-o ORG ...]
 *            [-s resume|new|time:MS|last:N] [-p] [-w BYTES] [-v] [--die-before-ack N] [--no-ack]
 *            [--hang-after N] [--receipts]
 *
 * FILE gets "CHANNEL UID" for an event, with " w" added if it came marked as withdrawn, and
 * "CHANNEL UID withdrawn" for a notice of withdrawal; a public id in hex stands for a uid that is
 * not told. Lines are written and synced, then acknowledged: what was acknowledged is in the file.
 * At start the file is read and an event that stands in it is not written again (as an application
 * makes an effect once by uid), only told of.
 *
 * stdout gets a line for all else: "active ENDPOINT EPOCH:COUNTER", "standby", "connecting REASON",
 * "refused REASON TEXT", "lost CHANNEL FROM TO REASON", "again UID", "confirmed ID ERR"; and "twice
 * UID" for an event that stands in the file and came without the mark that it may. TERM ends it.
 *
 * --die-before-ack N kills it without a further word when N events are in the file and the last of
 * them are not acknowledged; --no-ack takes nothing over; --hang-after N stops calling the library
 * after N events while its threads live on; --receipts reports each event as queued, each
 * view as shown.
 * Exit: 0 ended by TERM, 1 a fault of its own, 3 refused.
 */
#include <dibao/subscriber.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <msgpack.h>
#include <poll.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { LIST_MAX = 64, ACKS_MAX = 1000, KEY_MAX = 96, LINE_MAX_ = 160 };

struct recorder {
	int fd;
	void *seen; /* tree of owned strings: keys of events in the file */
	char out[ACKS_MAX * LINE_MAX_];
	size_t n_out;
	uint64_t acks[ACKS_MAX];
	unsigned n_acks;
	unsigned long n_events, die_at, hang_at;
	bool durable, no_ack, receipts, refused;
};

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* False if it was there. */
static bool remember(struct recorder *r, const char *key)
{
	char *copy = strdup(key);

	if (!copy)
		abort();
	if (*(char **)tsearch(copy, &r->seen, compare) == copy)
		return true;
	free(copy);
	return false;
}

/* Reads what an earlier run wrote; a line cut off by its death is taken away. */
static int take_up(struct recorder *r, const char *path)
{
	char *line = NULL, uid[KEY_MAX], third[16];
	size_t cap = 0;
	off_t good = 0;
	ssize_t n;
	FILE *f;

	r->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	f = r->fd < 0 ? NULL : fdopen(dup(r->fd), "r");
	if (!f)
		return -errno;
	while ((n = getline(&line, &cap, f)) > 0 && line[n - 1] == '\n') {
		int words = sscanf(line, "%*s %95s %15s", uid, third);

		if (words == 1 || (words == 2 && strcmp(third, "withdrawn"))) {
			remember(r, uid);
			r->n_events++;
		}
		good += n;
	}
	free(line);
	fclose(f);
	if (ftruncate(r->fd, good) < 0 || lseek(r->fd, good, SEEK_SET) < 0)
		return -errno;
	return 0;
}

static void hex(char *ret, const char *p, size_t len)
{
	for (size_t i = 0; i < len && i < DIBAO_EVENT_MAX_BYTES && 2 * i + 3 < KEY_MAX; i++)
		sprintf(ret + 2 * i, "%02x", (unsigned char)p[i]);
}

/* uid or, when there is none, pid of a view or of a withdrawal. */
static void key_of(char ret[KEY_MAX], const struct dibao_delivery *d)
{
	msgpack_unpacked u;
	struct dibao_event ev;

	snprintf(ret, KEY_MAX, "?");
	if (d->kind == DIBAO_ITEM_EVENT) {
		if (dibao_event_view(&ev, d->bytes, d->len) == 0)
			snprintf(ret, KEY_MAX, "%.*s", (int)ev.uid.len, ev.uid.p);
		return;
	}
	msgpack_unpacked_init(&u);
	if (msgpack_unpack_next(&u, (const char *)d->bytes, d->len, NULL) ==
		    MSGPACK_UNPACK_SUCCESS &&
	    u.data.type == MSGPACK_OBJECT_MAP)
		for (uint32_t i = 0; i < u.data.via.map.size; i++) {
			const msgpack_object_kv *kv = &u.data.via.map.ptr[i];

			if (kv->key.type != MSGPACK_OBJECT_STR || kv->key.via.str.size != 3)
				continue;
			if (!memcmp(kv->key.via.str.ptr, "pid", 3) &&
			    kv->val.type == MSGPACK_OBJECT_BIN && *ret == '?')
				hex(ret, kv->val.via.bin.ptr, kv->val.via.bin.size);
			if (!memcmp(kv->key.via.str.ptr, "uid", 3) &&
			    kv->val.type == MSGPACK_OBJECT_STR)
				snprintf(ret, KEY_MAX, "%.*s", (int)kv->val.via.str.size,
					 kv->val.via.str.ptr);
		}
	msgpack_unpacked_destroy(&u);
}

/* An event as queued by its uid, a view as shown by its public id. */
static int report(struct dibao_subscriber *s, const struct dibao_delivery *d, const char *key,
		  uint64_t *ret_id)
{
	uint8_t pid[16];

	if (d->kind == DIBAO_ITEM_EVENT)
		return dibao_subscriber_receipt(s, key, strlen(key), DIBAO_RECEIPT_QUEUED,
						d->sent_ms, NULL, ret_id);
	if (d->kind != DIBAO_ITEM_VIEW)
		return -ENOENT;
	for (unsigned i = 0; i < sizeof pid; i++)
		if (sscanf(key + 2 * i, "%2hhx", &pid[i]) != 1)
			return -EINVAL;
	return dibao_subscriber_receipt(s, pid, sizeof pid, DIBAO_RECEIPT_SHOWN, d->sent_ms, NULL,
					ret_id);
}

static int on_delivery(struct dibao_subscriber *s, const struct dibao_delivery *d, void *userdata)
{
	struct recorder *r = userdata;
	char key[KEY_MAX];
	uint64_t id;

	key_of(key, d);
	if (d->kind != DIBAO_ITEM_WITHDRAWN && !remember(r, key)) {
		/* Without a name a new process asks for the old ones itself. */
		printf("%s %s\n", d->may_repeat || (d->replay && !r->durable) ? "again" : "twice",
		       key);
	} else {
		r->n_out += (size_t)snprintf(r->out + r->n_out, LINE_MAX_, "%s %s%s\n",
					     dibao_channel_name(d->channel), key,
					     d->kind == DIBAO_ITEM_WITHDRAWN ? " withdrawn"
					     : d->withdrawn		     ? " w"
									     : "");
		if (d->kind != DIBAO_ITEM_WITHDRAWN)
			r->n_events++;
	}
	r->acks[r->n_acks++] = d->ack;
	if (r->receipts && report(s, d, key, &id) == 0)
		printf("receipt %llu %s\n", (unsigned long long)id, key);
	/* Non-zero ends this round, so that what must be in the file comes to be there now. */
	return (r->die_at && r->n_events == r->die_at) || (r->hang_at && r->n_events == r->hang_at);
}

static void on_status(struct dibao_subscriber *s, const struct dibao_status *st, void *userdata)
{
	struct recorder *r = userdata;

	(void)s;
	switch (st->state) {
	case DIBAO_STATE_ACTIVE:
		printf("active %s %llu:%llu\n", st->endpoint, (unsigned long long)st->token_epoch,
		       (unsigned long long)st->token_counter);
		break;
	case DIBAO_STATE_STANDBY:
		printf("standby\n");
		break;
	case DIBAO_STATE_REFUSED:
		printf("refused %s %s\n", dibao_reason_name(st->reason), st->text);
		r->refused = true;
		break;
	default:
		printf("connecting %s %s\n", dibao_reason_name(st->reason), st->text);
	}
}

static void on_lost(struct dibao_subscriber *s, const struct dibao_lost *l, void *userdata)
{
	(void)s;
	(void)userdata;
	printf("lost %s %lld %lld %s\n", dibao_channel_name(l->channel), (long long)l->from_ms,
	       (long long)l->to_ms, l->reason);
}

static void on_confirmed(struct dibao_subscriber *s, uint64_t id, int err, void *userdata)
{
	(void)s;
	(void)userdata;
	printf("confirmed %llu %d\n", (unsigned long long)id, err);
}

/* The effect, then the ack. */
static int take_over(struct recorder *r, struct dibao_subscriber *s)
{
	for (size_t at = 0; at < r->n_out;) {
		ssize_t n = write(r->fd, r->out + at, r->n_out - at);

		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	if (r->n_out && fdatasync(r->fd) < 0)
		return -errno;
	r->n_out = 0;
	if (r->die_at && r->n_events >= r->die_at)
		raise(SIGKILL);
	for (unsigned i = 0; i < r->n_acks && !r->no_ack; i++)
		dibao_subscriber_ack(s, r->acks[i]);
	r->n_acks = 0;
	return 0;
}

static int run(struct recorder *r, struct dibao_subscriber *s, int signals)
{
	struct pollfd p[2] = {{.fd = dibao_subscriber_fd(s), .events = POLLIN},
			      {.fd = signals, .events = POLLIN}};

	for (;;) {
		int e;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (p[1].revents)
			return 0;
		e = dibao_subscriber_dispatch(s, ACKS_MAX);
		if (e < 0)
			return e;
		fflush(stdout); /* what led to a line in the file is told before it */
		e = take_over(r, s);
		if (e < 0)
			return e;
		if (r->refused)
			return -EACCES;
		if (r->hang_at && r->n_events >= r->hang_at)
			poll(&p[1], 1, -1);
	}
}

static int start_of(struct dibao_subscriber_options *o, const char *text)
{
	static const char *const words[] = {"resume", "new", "time:", "last:"};

	for (int i = 0; i < 4; i++)
		if (!strncmp(text, words[i], strlen(words[i]))) {
			o->start = (enum dibao_start)i;
			o->start_arg = atoll(text + strlen(words[i]));
			return 0;
		}
	return -EINVAL;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"die-before-ack", required_argument, NULL, 'D'},
		{"hang-after", required_argument, NULL, 'H'},
		{"no-ack", no_argument, NULL, 'N'},
		{"receipts", no_argument, NULL, 'R'},
		{0},
	};
	static struct recorder r;
	static const char *endpoints[LIST_MAX + 1], *types[LIST_MAX + 1], *orgs[LIST_MAX + 1];
	struct dibao_subscriber_options o = {
		.endpoints = endpoints,
		.bureau = "3205",
		.userdata = &r,
		.on_delivery = on_delivery,
		.on_status = on_status,
		.on_lost = on_lost,
		.on_confirmed = on_confirmed,
	};
	unsigned n_endpoints = 0, n_types = 0, n_orgs = 0;
	struct dibao_subscriber *s = NULL;
	struct dibao_context *ctx = NULL;
	const char *file = NULL;
	struct dibao_error err;
	sigset_t set;
	int c, e, signals;

	while ((c = getopt_long(argc, argv, "f:e:b:d:t:o:s:w:pv", options, NULL)) != -1) {
		if (c == 'f')
			file = optarg;
		else if (c == 'e' && n_endpoints < LIST_MAX)
			endpoints[n_endpoints++] = optarg;
		else if (c == 't' && n_types < LIST_MAX)
			types[n_types++] = optarg;
		else if (c == 'o' && n_orgs < LIST_MAX)
			orgs[n_orgs++] = optarg;
		else if (c == 'b')
			o.bureau = optarg;
		else if (c == 'd')
			o.durable = optarg;
		else if (c == 'w')
			o.window_bytes = (uint32_t)atol(optarg);
		else if (c == 'p')
			o.public_view = true;
		else if (c == 'v')
			o.validate = true;
		else if (c == 'D')
			r.die_at = strtoul(optarg, NULL, 10);
		else if (c == 'H')
			r.hang_at = strtoul(optarg, NULL, 10);
		else if (c == 'N')
			r.no_ack = true;
		else if (c == 'R')
			r.receipts = true;
		else if (c != 's' || start_of(&o, optarg) < 0)
			return 1;
	}
	r.durable = o.durable;
	o.types = n_types ? types : NULL;
	o.orgs = n_orgs ? orgs : NULL;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	e = file ? take_up(&r, file) : -EINVAL;
	if (e == 0)
		e = dibao_context_new(&ctx, 1);
	if (e == 0)
		e = dibao_subscriber_new(&s, ctx, &o, &err);
	if (e == 0)
		e = run(&r, s, signals);
	if (e < 0)
		fprintf(stderr, "recorder: %s\n", strerror(-e));
	dibao_subscriber_free(s);
	dibao_context_free(ctx);
	tdestroy(r.seen, free);
	close(r.fd);
	close(signals);
	return e == 0 ? 0 : e == -EACCES ? 3 : 1;
}
