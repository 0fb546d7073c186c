/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event: what a personnel system says happened to one auxiliary.
 *
 * An event is one msgpack map of at most 16 KiB. It is validated once, then
 * forwarded and hashed as the very bytes that were received; nothing ever
 * re-encodes it (the boards' public view is the one exception, view.h).
 *
 * The types are rows of one table of field specifications (dibao_types()).
 * The table drives validation, JSON, CSV, --help and dibao-event(7); a new
 * type is a new row there and nothing else.
 *
 * A struct dibao_event is a view: it borrows the bytes it was parsed from and
 * owns nothing, so it needs no destructor and is void once they go away.
 * All functions are pure and may be called from any thread.
 *
 * Errors are negative errno values. Those a caller branches on:
 *   -EBADMSG          not msgpack, truncated, trailing bytes, hostile lengths,
 *                     nested too deep, duplicate key, invalid UTF-8
 *   -EINVAL           a field is missing, has the wrong type, length or range
 *   -EMSGSIZE         over DIBAO_EVENT_MAX_BYTES
 *   -EPROTONOSUPPORT  `v` is not 1
 * and struct dibao_error then names the field and what was expected. No
 * message ever holds a value of a field: these are people's names and texts.
 */
#ifndef DIBAO_EVENT_H
#define DIBAO_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DIBAO_EVENT_MAX_BYTES 16384u /* a whole event, encoded */
#define DIBAO_UID_MAX_BYTES   64u    /* producer's idempotency key, 1..64 */
#define DIBAO_ORG_BYTES	      12u    /* organisation code, decimal digits */
#define DIBAO_TRACE_BYTES     16u
#define DIBAO_FIELDS_MAX      64u /* leaf fields and maps of one type, envelope included */

/* What went wrong and where. Both strings are NUL-terminated and never hold
 * a value of the event. */
struct dibao_error {
	int code;	  /* negative errno */
	unsigned line;	  /* JSON, CSV: 1-based; 0 when there is none */
	char field[64];	  /* dotted path, "body.to.code"; "" when of the whole */
	char reason[160]; /* "expected 12 decimal digits, got 11 bytes" */
};

/* ---- the table of types ---- */

enum dibao_kind {
	DIBAO_KIND_STR,	 /* UTF-8; min..max in bytes; no control characters but \n */
	DIBAO_KIND_INT,	 /* msgpack integer; min..max */
	DIBAO_KIND_MS,	 /* Unix milliseconds, 0..253402300799999 */
	DIBAO_KIND_DATE, /* str "YYYY-MM-DD", a day that exists, 1900..2199 */
	DIBAO_KIND_BOOL,
	DIBAO_KIND_BIN,	   /* min..max in bytes */
	DIBAO_KIND_CHOICE, /* str out of choices, "proposed|final" */
	DIBAO_KIND_DIGITS, /* str of decimal digits; min..max in bytes */
	DIBAO_KIND_MAP,	   /* fields below */
	DIBAO_KIND_ANY,	   /* reserved: any sound msgpack value */
};

enum {
	DIBAO_FIELD_REQUIRED = 1u << 0,
	DIBAO_FIELD_PUBLIC = 1u << 1, /* the public view may show it */
};

struct dibao_field_spec {
	const char *name; /* key in its map */
	enum dibao_kind kind;
	unsigned flags;
	int64_t min, max;
	const char *choices;
	const struct dibao_field_spec *fields; /* MAP: ends with name == NULL */
	const char *zh;			       /* Chinese heading for CSV and people */
	const char *doc;		       /* one English line, unit included */
};

enum dibao_audience { DIBAO_AUDIENCE_PRIVATE = 0, DIBAO_AUDIENCE_PUBLIC = 1 };

struct dibao_type_spec {
	const char *name; /* "promotion" */
	const char *zh;	  /* 晋升 */
	const char *doc;
	enum dibao_audience audience; /* of the type; `private` narrows it per event */
	bool person_optional;	      /* mailbox_reply: an anonymous letter has no person */
	const struct dibao_field_spec *body;
};

/* All types, *ret_n of them, in a fixed order; index = dibao_event.type. */
const struct dibao_type_spec *dibao_types(size_t *ret_n);
/* The envelope's fields, ending with name == NULL. `body` is not among them. */
const struct dibao_field_spec *dibao_envelope(void);
/* Body of an event with `retracts`: {reason}. It stands for the type's body. */
const struct dibao_field_spec *dibao_retraction_body(void);
/* Index of a type by name, or -ENOENT. */
int dibao_type_find(const char *name, size_t len);

/* ---- the view ---- */

#define DIBAO_TYPE_UNKNOWN (-1)

/* A string inside the event's bytes; not NUL-terminated. p == NULL: absent. */
struct dibao_str {
	const char *p;
	size_t len;
};

/* A parsed event. The named members are for readers; `at_`... members are the
 * library's own. `n_unknown` counts keys that the table does not know. */
struct dibao_event {
	const uint8_t *bytes; /* borrowed */
	size_t len;
	int type; /* index into dibao_types(), or DIBAO_TYPE_UNKNOWN */
	struct dibao_str type_name, uid, org, badge, retracts, corrects, follows;
	int64_t at, not_before, expires; /* Unix ms; 0 = absent (not_before, expires) */
	bool is_private; /* effective audience is private: by type or by `private` */
	bool urgent, record;
	uint32_t n_unknown;
	struct {
		uint16_t off, len; /* of the encoded value; len 0 = absent */
	} slot_[DIBAO_FIELDS_MAX];
};

/*
 * Check the bytes and make a view of them. One walk, nothing allocated,
 * ≤ 250 ns for 200 bytes. An unknown type with a sound envelope is valid
 * (type = DIBAO_TYPE_UNKNOWN, private, body not checked beyond msgpack and
 * UTF-8). On failure *ret is untouched and *err (may be NULL) says why.
 */
int dibao_event_parse(struct dibao_event *ret, const void *bytes, size_t len,
		      struct dibao_error *err);

/*
 * Envelope only: sound msgpack is assumed, not checked (the daemon validated
 * it). For subscribers; about a third of the cost of a parse. Same errors,
 * found or not: never reads outside bytes.
 */
int dibao_event_view(struct dibao_event *ret, const void *bytes, size_t len);

/*
 * A field by dotted path: "issuer", "person.name", "body.to.code".
 * 0, or -ENOENT absent, -EINVAL not of that kind. *ret untouched on failure.
 * Unknown keys and types are found too.
 */
int dibao_event_str(const struct dibao_event *ev, const char *path, struct dibao_str *ret);
int dibao_event_int(const struct dibao_event *ev, const char *path, int64_t *ret);
int dibao_event_bool(const struct dibao_event *ev, const char *path, bool *ret);

/* True if the event belongs to an organisation code or prefix ("" = all). */
bool dibao_org_within(const char *org, size_t org_len, const char *prefix, size_t prefix_len);

/* 16-byte BLAKE2b of the bytes: the hash by which doubles and conflicts are
 * told and a stream is compared after a rollback. */
void dibao_event_hash(const void *bytes, size_t len, uint8_t ret_hash[16]);

/* ---- building ---- */

/*
 * Builder: set fields by dotted path in any order, then encode in the
 * table's order. Values are copied.
 *   -ENOENT  no such field for that type   -EINVAL  kind, range   -ENOMEM
 */
struct dibao_builder;
int dibao_builder_new(struct dibao_builder **ret, const char *type);
struct dibao_builder *dibao_builder_free(struct dibao_builder *b); /* returns NULL */
int dibao_builder_str(struct dibao_builder *b, const char *path, const char *value, size_t len);
int dibao_builder_int(struct dibao_builder *b, const char *path, int64_t value);
int dibao_builder_bool(struct dibao_builder *b, const char *path, bool value);
int dibao_builder_bin(struct dibao_builder *b, const char *path, const void *value, size_t len);
/* Set from text by the field's kind (CSV, command line): numbers, true/false,
 * RFC 3339 or Unix ms for times, hex for binary. */
int dibao_builder_text(struct dibao_builder *b, const char *path, const char *text,
		       struct dibao_error *err);
/* Encode and validate. *ret is malloc()ed and the caller's. */
int dibao_builder_encode(struct dibao_builder *b, uint8_t **ret, size_t *ret_len,
			 struct dibao_error *err);

/* ---- JSON ---- */

/*
 * One JSON object of the same shape as the event (binary as hex, times as
 * Unix ms or RFC 3339 text) to bytes. *ret is malloc()ed and the caller's.
 * `line` is the number of the text's first line, for errors.
 */
int dibao_event_from_json(const char *text, size_t len, unsigned line, uint8_t **ret,
			  size_t *ret_len, struct dibao_error *err);
/* The event as one line of JSON, keys in the order of the bytes; NUL-terminated,
 * malloc()ed and the caller's. Takes any sound msgpack map. */
int dibao_event_to_json(const void *bytes, size_t len, char **ret);

/* A short name for an error code of this library, for people. */
const char *dibao_strerror(int code);

#ifdef __cplusplus
}
#endif
#endif
