/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of dibao-sms that share its state, and the way of a notice through them:
 *
 *   intake.c    a delivery becomes a row, and is acknowledged when that is on disk
 *   takeover.c  what the outbox has open becomes the backlog, once the lease is ours
 *   sender.c    what is due is looked at again, made into a text, and handed to a gateway
 *   news.c      what gateways tell of it
 *   doubt.c     what becomes of one that may have been sent, when no gateway tells
 *   twice.c     what arrived twice, or may have
 *   incoming.c  what its reader answers
 *   steps.c     every change of a row, and where an item waits after it
 *   report.c    every change is told to the daemon
 *   reload.c    configuration, templates and codes are read again
 *
 * Nothing here acts before it is written: an intent before a text is handed on, a result before the
 * next step. All is given up as a whole when the lease is lost (core_reset()); what was at a
 * gateway then is in the rows as an intent, and whoever is next treats it as ambiguous.
 */
#ifndef SMS_CORE_H
#define SMS_CORE_H

#include "backlog.h"
#include "batches.h"
#include "codes.h"
#include "gateway.h"
#include "outbox.h"
#include "person.h"
#include "quiet.h"
#include "sms_config.h"
#include "template.h"

#include <dibao/subscriber.h>

enum {
	FLIGHTS_MAX = 1024, /* texts between due and handed on, or at a driver */
	NEWS_MAX = 10000,   /* receipts not yet written down; more are refused */
	KEY_BYTES = 32,
};

struct core;
struct incoming;
struct intake;
struct reporter;

struct core {
	/* ---- for the program's life ---- */
	sd_event *event;
	const struct sms_config *config; /* borrowed */
	struct templates *templates;	 /* owned */
	struct codes *codes;		 /* owned */
	struct person_rules rules;
	struct quiet_hours quiet;
	struct caps_limits caps_limits;
	enum notice_policy policy[SMS_TYPES];
	struct outbox *outbox; /* owned */
	struct gateways gateways;
	struct dibao_subscriber *subscriber; /* borrowed */
	struct intake *intake;		     /* owned */
	struct incoming *incoming;	     /* owned */
	struct reporter *reporter;	     /* owned */
	sd_event_source *tick;
	void *userdata;
	void (*on_lost)(struct core *c); /* the lease is another's: start anew when it is ours */
	void (*on_active)(struct core *c);

	/* ---- of one activity ---- */
	bool active;	  /* the backlog is loaded */
	bool is_loading;  /* takeover.c is at work */
	bool is_stopping; /* no new texts */
	struct backlog *backlog;
	struct batches batches;
	struct caps *caps;
	uint8_t receipt_key[KEY_BYTES], text_key[KEY_BYTES]; /* text_hash.h */
	unsigned n_flights;
	struct flight *flights;
	unsigned n_news;
	int64_t released_ms; /* heard of releases up to then */
	bool is_asking_releases;
	int64_t next_poll_ms;

	struct {
		uint64_t n_taken, n_repeats, n_submitted, n_delivered, n_failed, n_unserved,
			n_dropped, n_parked, n_forged, n_unknown, n_codes_unknown;
	} counters;
};

int64_t core_now_ms(void); /* Unix */

/* config borrowed. Loads templates and codes: faults are logged. -EINVAL, -ENOMEM. */
int core_new(struct core **ret, sd_event *event, const struct sms_config *config);
struct core *core_free(struct core *c);
/* Only the templates and codes, for --check-config. */
int core_check(const struct sms_config *config);
/* What is worked out of the configuration. */
void core_set_rules(struct core *c);
/* Gives up what is under way, closes the gateways, forgets the backlog. */
void core_reset(struct core *c);
/* Looks for what is due, soon. */
void core_wake(struct core *c);
/* Nothing is under way at a gateway or on its way to Redis. */
bool core_is_idle(const struct core *c);

/* ---- takeover.c ---- */

/* The lease is ours; the token is set. Then on_active(). */
void takeover_begin(struct core *c);
/* Those that are not open; one that can't be is tried again a second later. */
void takeover_open_gateways(struct core *c);
/* The batch's numbers are asked for. */
void takeover_ask_batch(struct core *c, struct batch *b);
/* Asks what was released since. */
void takeover_poll_releases(struct core *c);

/* ---- intake.c ---- */

int intake_new(struct intake **ret, struct core *c);
struct intake *intake_free(struct intake *i);
/* A copy is kept until it is acknowledged. -ENOMEM. */
int intake_add(struct intake *i, const struct dibao_delivery *d);
/* Hands on what waits, if the core is active. */
void intake_pump(struct intake *i);
/* What is under way waits again. */
void intake_reset(struct intake *i);
/* The subscription they came by is gone: they come again. */
void intake_forget(struct intake *i);
size_t intake_waiting(const struct intake *i);

/* ---- sender.c ---- */

void sender_run(struct core *c, int64_t now_ms);
/* When there will be something to do; INT64_MAX. */
int64_t sender_next_ms(const struct core *c, int64_t now_ms);
/* Of a gateway; see driver.h. */
void sender_on_result(struct driver *d, const char *id, unsigned attempt,
		      const struct driver_result *result, void *userdata);
/* Forgets what is under way. */
void sender_reset(struct core *c);
/* May a text about the event go to that row of the roster (""; none) now? */
struct person_answer sender_check(struct core *c, const struct dibao_event *ev, const char *row,
				  size_t row_len, const char *const marks[3],
				  const size_t mark_lens[3], bool released, int64_t now_ms,
				  struct roster_person *ret_person);

/* ---- news.c ---- */

void news_on_receipt(struct driver *d, const struct driver_receipt *receipt, void *ticket,
		     void *userdata);
/* The token that goes with a text. */
void news_token(const struct core *c, const char *id, unsigned attempt,
		char ret[DRIVER_TOKEN_BYTES]);
/* Receipts that came while the item was busy. */
void news_flush(struct core *c, struct item *i);
/* The item goes: its receipts are asked of the row. */
void news_orphan(struct core *c, struct item *i);
void news_drop_all(struct core *c);

/* ---- doubt.c ---- */

/* The wait of an ambiguous item is over: it waits on, or its row is being written. */
void doubt_over(struct core *c, struct item *i);
/* Of a gateway; see driver.h. */
void doubt_on_holds(struct driver *d, const char *id, unsigned attempt, enum driver_holds holds,
		    const char *why, void *userdata);

/* ---- twice.c ---- */

/* Of a gateway; see driver.h. */
void twice_on_running(struct driver *d, uint64_t uptime_ms, uint64_t took_ms, void *userdata);
/* Writes down which hand-over to the carrier a receipt tells of; then fn. */
void twice_note(struct core *c, const struct driver_receipt *r, outbox_fn fn, void *userdata);

/* ---- steps.c ---- */

enum { STEP_FIELDS_MAX = 8 };

struct step {
	enum notice_state to;
	unsigned attempt; /* 0: as it is */
	int64_t due_ms;	  /* 0: the state's own */
	enum notice_reason reason;
	const char *why;   /* in place of reason's word: person_reason_key() */
	const char *code;  /* the gateway's, behind the reason; "" or NULL: none */
	const char *words; /* what the table of codes says of it; NULL: nothing */
	bool unserved;
	const char *sent; /* its place in sms:sent: put there with the intent, taken away when it
			     was certainly not sent; NULL: as it is */
	const char *fields[2 * STEP_FIELDS_MAX + 1]; /* name, value, ..., NULL */
};

/* Called once, ok = written. Not ok: the row has another state, which the item now has; or all was
 * given up, and i is NULL. The item may be removed when it returns. */
typedef void (*step_fn)(struct core *c, struct item *i, bool ok, void *userdata);

/* Writes the step; the item is busy until then, and then waits where its state says. */
void step_write(struct core *c, struct item *i, const struct step *s, step_fn fn, void *userdata);
/* Where an item waits that is not busy. A final one is removed: i is gone if this is false. */
bool step_place(struct core *c, struct item *i);
/* It waits for the release of its batch, until it would come too late; who is to release it is
 * told, once a batch. */
void step_hold(struct core *c, struct item *i);
void step_tell_batch(struct batch *b);
/* What an ended one is called: reason word and code. */
void step_reason(char *buf, size_t cap, const struct step *s);
/* A step for what the code of a failed text says; attempt is that of the text. It certainly did not
 * arrive, so another gateway may have it. */
void step_of_code(struct core *c, struct item *i, const struct gateway *g, const char *code,
		  bool by_carrier, struct step *ret, int64_t now_ms);
/* Logs what a row has become: all, to who looks for it, and aloud what a person must see. reason: a
 * word of ours, without the gateway's code. */
void step_told(const char *uid, enum notice_state state, const char *reason, bool unserved);
/* Marks the number of a badge: "bad" or "disputed". */
void step_mark(struct core *c, const struct item *i, const char *what);

/* ---- reload.c ---- */

/* The file at path, and the templates and codes that it names, become those of c and of running,
 * which is c's configuration; or, with a fault in any of them, all stays as it was. Logged. What is
 * under way goes out as it was made. 0, or the errors of loading them. */
int core_reload(struct core *c, struct sms_config *running, const char *path);

/* ---- report.c ---- */

int reporter_new(struct reporter **ret, struct core *c);
struct reporter *reporter_free(struct reporter *r);
void reporter_wake(struct reporter *r);
void reporter_reset(struct reporter *r);
void reporter_on_confirmed(struct reporter *r, uint64_t id, int err);

#endif
