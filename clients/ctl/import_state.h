/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an import is, kept in a small file beside the imported one so that a cut run goes on there.
 * Written only when nothing is in flight, whole or not at all (rename). It holds counts and places,
 * nothing of an event. A file or rules that changed make it void.
 */
#ifndef CTL_IMPORT_STATE_H
#define CTL_IMPORT_STATE_H

#include <stdint.h>

struct import_state {
	uint8_t key[16]; /* of the file's bytes and of the rules */
	int64_t offset;
	int64_t refused_bytes; /* length of the file of refused lines */
	unsigned line;
	uint64_t rows, n_new, repeated, scheduled, conflicting, refused;
};

/* 1 read, 0 there is none for this key, negative errno. *ret is untouched unless 1. */
int import_state_load(struct import_state *ret, const char *path, const uint8_t key[16]);
int import_state_save(const struct import_state *s, const char *path);
void import_state_forget(const char *path);

#endif
