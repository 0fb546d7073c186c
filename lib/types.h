/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of types laid flat: for each type the envelope, then the body, depth first, so that a
 * field is a small number (a slot) and a view is an array of places. Made once from the table.
 */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <dibao/event.h>

/* What the walk looks at of a field, kept dense. Words are little-endian, as loaded by le64toh. */
struct flat_key {
	uint64_t head;	   /* the name's first 8 bytes, zeros after its end */
	uint64_t mask;	   /* which of 8 bytes are the name's */
	uint64_t tail;	   /* its last 8 bytes, if it is longer than 8 */
	uint16_t min, max; /* lengths of strings; of a choice its first word and how many */
	uint16_t into;	   /* offset in struct dibao_event of the member that shows it; 0 = none */
	uint8_t len;	   /* of the name, at most 31 */
	uint8_t tag;	   /* 0xa0 | len: the msgpack head of the name */
	uint8_t next;	   /* slot of the next sibling, 0 at the end */
	uint8_t ring;	   /* the same, but at the end the first of them */
	uint8_t child;	   /* first slot inside a map, 0 if none */
	uint8_t kind;	   /* enum dibao_kind */
};

enum { FLAT_WORDS_MAX = 64 };

/* One word of a choice; borrowed from the table. */
struct flat_word {
	const char *p;
	size_t len;
};

struct flat {
	struct flat_key keys[DIBAO_FIELDS_MAX];
	const struct dibao_field_spec *specs[DIBAO_FIELDS_MAX];
	uint64_t required[DIBAO_FIELDS_MAX]; /* of a map: slots that must stand in it */
	uint64_t required_top;		     /* of the envelope */
	struct flat_word words[FLAT_WORDS_MAX];
	uint8_t n, n_words;
	uint8_t body;			      /* slot of the body */
	uint8_t state, notice_until, contact; /* of a body that may be a proposal; 0 = none */
	bool is_private;		      /* the type's audience */
	bool person_optional;
	char paths[DIBAO_FIELDS_MAX][48];
};

enum { FLAT_RETRACTION = -2 };

/* type: an index, DIBAO_TYPE_UNKNOWN (envelope alone) or FLAT_RETRACTION. Borrowed, for good. */
const struct flat *types_flat(int type);
/* Slot by dotted path, or -ENOENT. */
int flat_find(const struct flat *f, const char *path);

/* RFC 3339 to Unix ms: "2026-11-23T09:30:00+08:00", "...Z", with or without seconds and their
 * fraction; a zone is required. 0, -EINVAL. */
int time_from_text(const char *text, int64_t *ret_ms);

/* Slots of the envelope, the same in every type: the order of the table. A test holds them to it.
 */
enum {
	SLOT_V,
	SLOT_UID,
	SLOT_TYPE,
	SLOT_AT,
	SLOT_ORG,
	SLOT_PERSON,
	SLOT_BADGE,
	SLOT_NAME,
	SLOT_RANK,
	SLOT_RANK_CODE,
	SLOT_RANK_NAME,
	SLOT_UNIT,
	SLOT_POST,
	SLOT_ISSUER,
	SLOT_REF,
	SLOT_PRIVATE,
	SLOT_URGENT,
	SLOT_RECORD,
	SLOT_NOT_BEFORE,
	SLOT_EXPIRES,
	SLOT_RETRACTS,
	SLOT_CORRECTS,
	SLOT_FOLLOWS,
	SLOT_TRACE,
	SLOT_EXT,
	SLOT_BODY,
};

#endif
