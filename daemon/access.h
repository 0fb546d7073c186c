/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access policy: who may subscribe to what. Read from a file whole or not at all
 * (access_read.c), then asked by pure functions that say yes or no and which line decides.
 *
 * A name has a kind and one or two keys (two while a key is being exchanged). What is not granted
 * is refused: types, organisations, channels, durable name. Every grant remembers the line it came
 * from. The name `local` stands for peers on ipc endpoints, who are let in by the rights of the
 * socket's directory; `insecure` for peers on tcp endpoints without CURVE.
 *
 * A board is structurally narrow: a file that grants it a private type, an unknown one (unknown
 * types are private), `*`, a private channel or the full view does not load.
 *
 * Of a publisher-relay types and organisations say what it publishes; it receives nothing.
 *
 * Nothing here knows a socket, a session or the time of day.
 */
#ifndef DAEMON_ACCESS_H
#define DAEMON_ACCESS_H

#include "filter.h"

#include <dibao/key.h>
#include <stdio.h>

enum {
	ACCESS_KEYS_MAX = 2,
	ACCESS_KEY_TEXT = DIBAO_KEY_TEXT,
	ACCESS_NAME_MAX = WIRE_NAME_MAX,
	ACCESS_ENTRIES_MAX = 20000,
};

enum access_kind {
	ACCESS_BOARD,
	ACCESS_GATEWAY,
	ACCESS_READER,
	ACCESS_PUBLISHER_RELAY,
	ACCESS_ADMIN,
};
const char *access_kind_name(enum access_kind k);

#define ACCESS_LOCAL	"local"
#define ACCESS_INSECURE "insecure"

struct access_entry {
	char name[ACCESS_NAME_MAX + 1];
	enum access_kind kind;
	unsigned n_keys;
	char keys[ACCESS_KEYS_MAX][ACCESS_KEY_TEXT];
	struct filter grant; /* types and orgs; n_types, n_orgs 0 = none unless all_... */
	bool all_types, all_orgs;
	uint8_t channels; /* bit i = enum dibao_channel i */
	bool any_durable;
	char durable[WIRE_NAME_MAX + 1]; /* "" = none */
	int64_t hold_ms;		 /* of the durable name; -1 = the configuration's */
	bool mask_names;		 /* 张* in the public view */
	uint32_t rate;			 /* items a second; 0 = no limit of its own */
	uint32_t window_bytes;		 /* 0 = the configuration's */
	int64_t expires_ms;		 /* Unix ms; INT64_MAX = never */
	/* Lines: of the section and of the options; 0 = not there, the section's silence decides.
	 */
	unsigned line, kind_line, types_line, orgs_line, channels_line, durable_line, window_line,
		expires_line;
	unsigned key_lines[ACCESS_KEYS_MAX];
};

struct access {
	struct access_entry *entries; /* owned, sorted by name */
	size_t n;
	struct access_key {
		char key[ACCESS_KEY_TEXT];
		uint32_t entry;
	} * keys; /* owned, sorted */
	size_t n_keys;
};

/* The policy of a file. path NULL or "": nobody but `local` and `insecure`, who may do all. Faults
 * go to err_out (may be NULL), one a line, "FILE:LINE: ...". 0, -EINVAL, -ENOMEM, -ENOENT ... */
int access_load(struct access **ret, const char *path, FILE *err_out);
/* The same from an open file (NULL: none), called `name` in faults; it stays open. */
int access_parse(struct access **ret, FILE *file, const char *name, FILE *err_out);
struct access *access_free(struct access *a);

/* Borrowed from the policy, or NULL. */
const struct access_entry *access_find(const struct access *a, const char *name);
const struct access_entry *access_by_key(const struct access *a, const char *z85);
/* By what zap.h says of a peer: a key, ACCESS_LOCAL or ACCESS_INSECURE. */
const struct access_entry *access_who(const struct access *a, const char *who);

/* What a decision says. */
struct access_answer {
	bool yes;
	unsigned line; /* that decides; 0 = no line: the name is not there */
	char why[120]; /* "types: penalty is not granted"; no value of an event */
};

/* One event: may e get events of this type and organisation on this channel? type.p, org NULL and
 * channel < 0 are not asked about. now_ms: Unix ms. The ten lines that all else is held to. */
struct access_answer access_allows(const struct access_entry *e, struct dibao_str type,
				   const char *org, size_t org_len, int channel, int64_t now_ms);

/* What a session asks for, and gets. */
struct access_request {
	struct filter filter; /* in: as asked; out: what remains, never empty meaning "all" unless
				 all is granted */
	const char *durable;  /* "" = none */
	uint32_t window_bytes;
	uint8_t channels; /* out */
};

/* Holds a HELLO against the entry. More than it allows is refused whole; what it leaves open (no
 * types, no organisations) becomes what is allowed. */
struct access_answer access_narrow(const struct access_entry *e, struct access_request *rq,
				   int64_t now_ms);

/* After a reload: is what a session holds (the outcome of access_narrow) still allowed? */
struct access_answer access_still(const struct access_entry *e, const struct access_request *held,
				  int64_t now_ms);

#endif
