/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver: the one way a text leaves for a gateway, and the one way news of it comes back.
 *
 * submit() returns at once. Its result comes later by on_result, exactly once a submit that
 * returned 0, also when the driver is freed (then as ambiguous). So a driver may speak HTTP, run a
 * program, or hold a CMPP session; the caller cannot tell. The caller has written down what it is
 * about to do before it calls submit, and writes the result down before it does anything more.
 *
 * News of a text the gateway took (a receipt) comes by on_receipt. The driver answers the gateway
 * when receipt_done() is called for its ticket, that is once the receipt is on disk. Receipts come
 * in any order, twice, or never; the caller sorts that out (notice.h). A driver that can be reached
 * by others checks driver_receipt.token; the caller compares it with the one of the submit.
 *
 * Where a gateway can be asked what it still holds (ask() is there, and does not return -ENOTSUP),
 * a text whose submit was ambiguous is asked about before anything else is done with it.
 *
 * Which of a gateway's codes mean what is not a driver's business: it hands up the code as the
 * gateway wrote it, and codes.h says what to do.
 *
 * classify() and parse_receipt() are pure: bytes in, a result out.
 */
#ifndef SMS_DRIVER_H
#define SMS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

enum {
	DRIVER_ID_MAX = 64,	 /* bytes of a uid */
	DRIVER_CODE_MAX = 33,	 /* bytes of a gateway's code, NUL included: CODES_CODE_MAX and 1 */
	DRIVER_TOKEN_BYTES = 33, /* 128 bits in hex, NUL included */
	DRIVER_REF_BYTES = 41,	 /* NUL included */
	DRIVER_VARIABLES_MAX = 24,
};

struct driver_variable {
	const char *name, *value;
};

/* One text to one number. All is borrowed for the call of submit(). */
struct driver_text {
	const char *id;	   /* the event's uid: 1..64 bytes of UTF-8, any characters */
	unsigned attempt;  /* 1.. */
	const char *token; /* goes with the text and comes back in its receipts */
	const char *phone; /* 11 digits */
	const char *text;  /* UTF-8, valid, NUL-terminated; begins with the signature unless... */
	size_t text_len;
	bool signature_by_gateway; /* ...the gateway puts it in front; parts count it anyhow */
	const char *signature;	   /* without its brackets */
	const char *template_id;   /* the carrier's; "" = none */
	const struct driver_variable *variables;
	size_t n_variables;
	unsigned parts; /* 1.. */
	bool urgent;
};

enum driver_outcome {
	DRIVER_ACCEPTED,  /* the gateway took it over: wait for receipts */
	DRIVER_REFUSED,	  /* certainly not sent: `code` says why */
	DRIVER_AMBIGUOUS, /* may have been sent: never send again by yourself */
};

struct driver_result {
	enum driver_outcome outcome;
	char code[DRIVER_CODE_MAX]; /* "http-503", "not-routable", "timeout"; "" = fine */
	bool degraded;		    /* accepted, but the gateway says that it cannot send now */
};

/* A gateway's answer to a submit, as it came. */
struct driver_reply {
	int transport; /* 0, or negative errno: -ECONNREFUSED and the like */
	bool written;  /* something of the request may have reached the gateway */
	int status;    /* HTTP's; of a program its exit code */
	const char *body;
	size_t len;
};

enum driver_news {
	DRIVER_NEWS_QUEUED,    /* lies at the gateway; changes nothing */
	DRIVER_NEWS_ACCEPTED,  /* the carrier took it */
	DRIVER_NEWS_DELIVERED, /* on the handset */
	DRIVER_NEWS_FAILED,    /* will not arrive; `code` says why */
	DRIVER_NEWS_EXPIRED,   /* was not reachable in time */
};

struct driver_receipt {
	char id[DRIVER_ID_MAX + 1];
	unsigned attempt;
	char token[DRIVER_TOKEN_BYTES]; /* "" : the way it came vouches for it (a directory) */
	enum driver_news news;
	char code[DRIVER_CODE_MAX];
	/* Of accepted and delivered: which time that the carrier got the text, if it got it more
	 * than once; the same in a receipt that is brought twice. "": not known. No blanks. */
	char ref[DRIVER_REF_BYTES];
};

/* A text of which nobody knows whether the gateway took it. */
struct driver_question {
	const char *id;
	unsigned attempt;
	const char *phone; /* as it was then; "": not known any more */
	const char *hash;  /* of the text: text_hash.h */
};

enum driver_holds {
	DRIVER_HOLDS_TEXT, /* it lies there, and goes out by itself: a receipt will tell */
	DRIVER_HOLDS_NONE, /* it is not there: never was, or went out, and its receipt is lost */
	DRIVER_HOLDS_UNKNOWN,
};

enum driver_health {
	DRIVER_UP,
	DRIVER_DEGRADED, /* takes texts, cannot send them on at the moment */
	DRIVER_DOWN,
};

struct driver;

struct driver_options {
	sd_event *event;
	const char *name;	 /* of the gateway, for the log and the rows: "sms-1" */
	const void *settings;	 /* of its kind; these two are borrowed while the driver lives */
	const void *common;	 /* the whole configuration: where receipts go */
	const uint8_t *text_key; /* of driver_question.hash: text_hash.h; likewise */
	void *userdata;
	void (*on_result)(struct driver *d, const char *id, unsigned attempt,
			  const struct driver_result *result, void *userdata);
	/* Answer with receipt_done(ticket), now or later. */
	void (*on_receipt)(struct driver *d, const struct driver_receipt *receipt, void *ticket,
			   void *userdata);
	/* A handset answers: from whom, as the gateway writes it, and UTF-8. Answered as a receipt
	 * is. */
	void (*on_answer)(struct driver *d, const char *from, const char *text, size_t len,
			  void *ticket, void *userdata);
	/* What the gateway holds of a text that was asked about; `why` in words, without personal
	 * data, if that is unknown. */
	void (*on_holds)(struct driver *d, const char *id, unsigned attempt,
			 enum driver_holds holds, const char *why, void *userdata);
	/* It runs since so many whole seconds, as it said within the last took_ms: what it had
	 * before then and the carrier had not, it may send again by itself. Told now and then, with
	 * the same start or a new one. */
	void (*on_running)(struct driver *d, uint64_t uptime_ms, uint64_t took_ms, void *userdata);
	/* Health changed; `why` in words, without personal data. */
	void (*on_health)(struct driver *d, enum driver_health health, const char *why,
			  void *userdata);
};

struct driver_ops {
	const char *name; /* "kannel", "spool", "none" */
	int (*create)(struct driver **ret, const struct driver_options *opt);
	/* What is in flight is answered as ambiguous. Returns NULL. */
	struct driver *(*destroy)(struct driver *d);
	/* 0: a result will come. -EAGAIN: full, nothing was sent, ask again after a result or a
	 * receipt. Others: nothing was sent. */
	int (*submit)(struct driver *d, const struct driver_text *text);
	/* Parts that it would take now without -EAGAIN; UINT_MAX = no bound of its own. */
	unsigned (*room)(struct driver *d);
	/* taken: it is on disk. NULL: its receipts need no answer. */
	void (*receipt_done)(struct driver *d, void *ticket, bool taken);
	/* NULL: it cannot be asked. 0: on_holds follows, not from within, once for each id and
	 * attempt however often that was asked by then; none follows when the driver is freed.
	 * -ENOTSUP: not as it is configured; -EAGAIN: too many questions: again later. */
	int (*ask)(struct driver *d, const struct driver_question *q);
	enum driver_health (*health)(struct driver *d);
	void (*classify)(const struct driver_reply *reply, struct driver_result *ret);
	/* get(): a field of what the gateway sent, of a query or a file; NULL = it has none. 0,
	 * -EBADMSG. */
	int (*parse_receipt)(const char *(*get)(const void *source, const char *name),
			     const void *source, struct driver_receipt *ret);
};

/* Each driver's first member. */
struct driver {
	const struct driver_ops *ops;
	struct driver_options opt;
};

extern const struct driver_ops driver_none, driver_null, driver_spool, driver_kannel;
/* By name; NULL = no such. */
const struct driver_ops *driver_find(const char *name);

#endif
