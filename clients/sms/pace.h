/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast, and how much for one number. Pure: the time is passed in, in ms; one that goes back
 * gives nothing and takes nothing.
 *
 * A bucket paces a gateway in parts a second. It holds at most a tenth of a second's parts, one at
 * the least, so that what was saved while nothing was to be sent does not go out as one burst. A
 * text may overdraw it: a text of 8 parts goes when one is there, and the next waits.
 *
 * Caps count what was sent to one number in the last minute, hour and day, and how often the very
 * same text. Numbers and texts are kept as keyed hashes only; under one secret the same ones make
 * the same mark, so that marks can be kept elsewhere (sms:sent) and counted again.
 * Bounded: CAPS_MAX keys; when it is full, what was quiet longest is forgotten.
 */
#ifndef SMS_PACE_H
#define SMS_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bucket {
	double rate;  /* parts a second; 0 = no limit */
	double parts; /* there now; negative: overdrawn */
	int64_t at_ms;
};

void bucket_init(struct bucket *b, double rate, int64_t now_ms);
bool bucket_has(struct bucket *b, int64_t now_ms);
void bucket_take(struct bucket *b, unsigned parts, int64_t now_ms);
void bucket_give(struct bucket *b, unsigned parts);
/* When bucket_has() will be true. */
int64_t bucket_when(const struct bucket *b, int64_t now_ms);

struct caps_limits {
	unsigned minute, hour, day; /* texts to one number; 0 = no limit; at most CAPS_DAY_MAX */
	unsigned same_minute, same_hour; /* of the very same text */
};

enum {
	CAPS_MAX = 200000,
	CAPS_DAY_MAX = 50,
	CAPS_SECRET_BYTES = 32,
	CAPS_HASH_BYTES = 16,
	CAPS_MARK_MAX = 46, /* bytes of a mark as text, NUL included */
};

/* What a text is known by. */
struct caps_mark {
	bool has_text;
	uint8_t number[CAPS_HASH_BYTES], text[CAPS_HASH_BYTES]; /* text: of both */
};

struct caps;
struct caps *caps_new(const uint8_t secret[CAPS_SECRET_BYTES]); /* NULL: no memory */
struct caps *caps_free(struct caps *c);
/* 0: it may go now; else the time from which it may. text_len 0: only the number is looked at. */
int64_t caps_when(struct caps *c, const struct caps_limits *l, const char *number, const char *text,
		  size_t text_len, int64_t now_ms);
struct caps_mark caps_mark(const struct caps *c, const char *number, const char *text,
			   size_t text_len);
/* One was sent at that time. */
void caps_count(struct caps *c, const struct caps_mark *m, int64_t at_ms);
/* It was not sent after all. */
void caps_uncount(struct caps *c, const struct caps_mark *m, int64_t at_ms);
/* A mark with a text as two words; and back, whatever stands behind them. -EBADMSG. */
void caps_mark_write(const struct caps_mark *m, char ret[CAPS_MARK_MAX]);
int caps_mark_read(struct caps_mark *ret, const char *text);
size_t caps_keys(const struct caps *c);

#endif
