/* SPDX-License-Identifier: Apache-2.0 */
#include "canary.h"
#include "clock.h"
#include "entry_read.h"
#include "frame.h"
#include "log.h"

#include <dibao/view.h>
#include <errno.h>
#include <stdlib.h>

/* In every field that a board must not see; SEEN in one that it must. */
#define MARK	   "canary-mark"
#define MARK_BADGE "CANARYMARK"
#define SEEN	   "canary-seen"
#define ORG	   "000000000000"

#define HEAD(type)                                                                                 \
	"{\"v\":1,\"uid\":\"" MARK "\",\"type\":\"" type "\",\"at\":1,\"org\":\"" ORG              \
	"\",\"issuer\":\"" MARK "\",\"person\":{\"badge\":\"" MARK_BADGE "\",\"name\":\"" SEEN     \
	"\",\"post\":\"" MARK "\"},"
#define CODED "{\"code\":\"X\",\"name\":\"" SEEN "\"}"
#define AWARD                                                                                      \
	"\"body\":{\"kind\":" CODED ",\"state\":\"final\",\"reason\":\"" MARK                      \
	"\",\"amount\":1,\"public_reason\":\"" SEEN "\"}}"
#define PROMOTION                                                                                  \
	"\"body\":{\"from\":" CODED ",\"to\":" CODED                                               \
	",\"effective\":\"2026-01-01\",\"state\":\"final\"}}"

static const struct flight_plan {
	const char *type, *what, *json;
	bool in_public; /* may stand in a public channel, though no board is shown it */
	bool shown;
} plans[] = {
	{"penalty", "a penalty",
	 HEAD("penalty") "\"body\":{\"kind\":" CODED ",\"reason\":\"" MARK
			 "\",\"decided_on\":\"2026-01-01\",\"sign_where\":\"" MARK
			 "\",\"sign_by\":\"2026-01-01\",\"appeal_until\":\"2026-01-01\","
			 "\"telephone\":\"0\"}}",
	 false, false},
	{"welfare_visit", "a welfare visit",
	 HEAD("welfare_visit") "\"body\":{\"kind\":" CODED ",\"by\":\"" MARK
			       "\",\"when\":1,\"where\":\"" MARK "\"}}",
	 false, false},
	{"mailbox_reply", "a mailbox reply",
	 HEAD("mailbox_reply") "\"body\":{\"mailbox\":\"chief\",\"ticket\":\"" MARK
			       "\",\"question\":\"" MARK "\",\"reply\":\"" MARK
			       "\",\"answered_by\":\"" MARK "\",\"answered_at\":1}}",
	 false, false},
	{"canary", "an event of an unknown type", HEAD("canary") AWARD, false, false},
	{"award", "a private award", HEAD("award") "\"private\":true," AWARD, false, false},
	{"promotion", "a private promotion", HEAD("promotion") "\"private\":true," PROMOTION, false,
	 false},
	{"award", "a retraction",
	 HEAD("award") "\"retracts\":\"" MARK "-2\",\"body\":{\"reason\":\"" MARK "\"}}", true,
	 false},
	{"award", "a public award", HEAD("award") AWARD, true, true},
};
enum { N_PLANS = sizeof plans / sizeof plans[0] };

struct canary {
	struct canary_options opt;
	sd_event_source *timer;
	struct canary_counters counters;
};

/* What a flight needs of a daemon. */
struct cage {
	struct withdrawn withdrawn;
	struct hidden hidden;
	struct queue_clock clock;
	struct history *history;
	struct lanes *lanes;
	struct lane *lane; /* of a board for which all types and organisations are granted */
	struct frame_context ctx;
	uint8_t *bytes; /* owned: the event */
	size_t len;
	char *why;
	size_t why_cap;
};

static const uint8_t view_key[DIBAO_VIEW_KEY_BYTES] = {0};

static int leak(struct cage *k, const struct flight_plan *p, const char *where)
{
	snprintf(k->why, k->why_cap, "canary: %s gets by %s", p->what, where);
	return -EACCES;
}

/* As it would come from Redis, and as it must not. */
static int fly_check(struct cage *k, const struct flight_plan *p, struct entry *ret)
{
	struct raw_entry raw = {
		.id = {1, 1}, .by_function = true, .e = {(const char *)k->bytes, k->len}};
	char reason[ENTRY_REASON_MAX];
	bool in_public = entry_check(ret, &raw, DIBAO_CHANNEL_PUBLIC, reason) == 0;
	bool in_private = entry_check(ret, &raw, DIBAO_CHANNEL_PRIVATE, reason) == 0;

	if (in_public != p->in_public || in_private == p->in_public)
		return leak(k, p, "the check of its channel");
	if (in_public && entry_check(ret, &raw, DIBAO_CHANNEL_PUBLIC, reason) < 0)
		return leak(k, p, "the check of its channel");
	return 0;
}

static int fly_encoder(struct cage *k, const struct flight_plan *p, const struct entry *e)
{
	uint8_t buf[DIBAO_EVENT_MAX_BYTES];
	int n = dibao_view_encode(&e->ev, view_key, false, buf, sizeof buf);

	return (n >= 0) == p->shown ? 0 : leak(k, p, "the public encoder");
}

static int look_at(struct cage *k, const struct flight_plan *p, struct frame *f)
{
	const void *bytes = f->count ? zmq_msg_data(&f->msg) : NULL;
	size_t len = f->count ? zmq_msg_size(&f->msg) : 0;

	if ((f->count > 0) != p->shown)
		return leak(k, p, "the lane of a board");
	if (!p->shown)
		return 0;
	if (!memmem(bytes, len, SEEN, strlen(SEEN)))
		return leak(k, p, "unseen: the canary is blind");
	if (memmem(bytes, len, MARK, strlen(MARK)) ||
	    memmem(bytes, len, MARK_BADGE, strlen(MARK_BADGE)))
		return leak(k, p, "with what is internal");
	return 0;
}

/* Through history, lane and frame, as if it did stand in the public channel. */
static int fly_lane(struct cage *k, const struct flight_plan *p, const struct entry *e)
{
	static const struct entry_id start[DIBAO_CHANNEL_COUNT];
	struct segment *seg;
	struct frame frame;
	struct lane *wanting;
	uint32_t first, next;
	int r;

	history_reset(k->history, start);
	r = history_append(k->history, DIBAO_CHANNEL_PUBLIC, e, 1, e->id, &seg, &first);
	if (r < 0)
		return r;
	wanting = lanes_route(k->lanes, seg, first, 1);
	k->lane->n_wanted = 0;
	if (!wanting != !p->in_public)
		return leak(k, p, "the choice of lanes");
	r = frame_encode(&frame, &k->ctx, k->lane, seg, first, 1, start[0], &next);
	if (r < 0)
		return r;
	r = look_at(k, p, &frame);
	frame_done(&frame);
	return r;
}

static int fly_one(struct cage *k, const struct flight_plan *p)
{
	struct dibao_error err;
	struct entry e;
	int r = dibao_event_from_json(p->json, strlen(p->json), 0, &k->bytes, &k->len, &err);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return leak(k, p, "unseen: it is no event");
	r = fly_check(k, p, &e);
	if (r == 0)
		r = fly_encoder(k, p, &e);
	if (r == 0)
		r = fly_lane(k, p, &e);
	free(k->bytes);
	return r;
}

static int cage_init(struct cage *k)
{
	struct history_options h = {
		.withdrawn = &k->withdrawn, .ring_bytes = 65536, .slice_bytes = 65536};
	struct filter board = {.public_view = true};
	int r = withdrawn_init(&k->withdrawn);

	k->ctx = (struct frame_context){.withdrawn = &k->withdrawn,
					.hidden = &k->hidden,
					.view_key = view_key,
					.max_bytes = WIRE_PAYLOAD_MAX,
					.clock = &k->clock};
	if (r == 0)
		r = history_new(&k->history, &h);
	if (r == 0)
		r = lanes_new(&k->lanes);
	if (r == 0)
		r = lanes_join(k->lanes, &board, &k->lane);
	return r;
}

static void cage_done(struct cage *k)
{
	lanes_free(k->lanes);
	history_free(k->history);
	hidden_done(&k->hidden);
	withdrawn_done(&k->withdrawn);
}

int canary_fly(char *ret_why, size_t cap)
{
	struct cage k = {.why = ret_why, .why_cap = cap};
	int r = cage_init(&k);

	for (size_t i = 0; r == 0 && i < N_PLANS; i++)
		r = fly_one(&k, &plans[i]);
	cage_done(&k);
	return r;
}

const char *canary_type(size_t i)
{
	return i < N_PLANS ? plans[i].type : NULL;
}

/* ---- again and again ---- */

static int fly(struct canary *c)
{
	char why[120] = "";
	int r = canary_fly(why, sizeof why);

	if (r == 0) {
		c->counters.n_flights++;
		c->counters.last_ms = unix_ms();
	} else if (r == -EACCES) {
		c->opt.on_leak(why, c->opt.userdata);
	} else if (log_limited("canary")) {
		log_text(LOG_ERR, "canary: %s, trying again", strerror(-r));
	}
	return r;
}

static int on_timer(sd_event_source *src, uint64_t usec, void *userdata)
{
	struct canary *c = userdata;

	(void)usec;
	(void)fly(c);
	sd_event_source_set_time_relative(src, c->opt.config->canary_ms * UINT64_C(1000));
	sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	return 0;
}

int canary_new(struct canary **ret, const struct canary_options *opt)
{
	struct canary *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return -ENOMEM;
	c->opt = *opt;
	r = sd_event_add_time_relative(opt->event, &c->timer, CLOCK_BOOTTIME,
				       opt->config->canary_ms * UINT64_C(1000), 1000, on_timer, c);
	if (r >= 0)
		r = sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
	if (r < 0) {
		canary_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct canary *canary_free(struct canary *c)
{
	if (!c)
		return NULL;
	sd_event_source_disable_unref(c->timer);
	free(c);
	return NULL;
}

int canary_start(struct canary *c)
{
	int r = fly(c);

	if (r < 0)
		return r;
	r = sd_event_source_set_time_relative(c->timer, c->opt.config->canary_ms * UINT64_C(1000));
	return r < 0 ? r : sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

const struct canary_counters *canary_counters(const struct canary *c)
{
	return &c->counters;
}
