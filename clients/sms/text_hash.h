/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of a text in its row: a hash, with a key made of sms:key, so that who reads rows,
 * but not the key, can't try texts that they guess. It tells whether a text that a gateway still
 * holds is ours.
 */
#ifndef SMS_TEXT_HASH_H
#define SMS_TEXT_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TEXT_KEY_BYTES = 32, TEXT_HASH_MAX = 33 /* NUL included */ };

/* A key for one use, of one that has others. */
void text_hash_key(uint8_t ret[TEXT_KEY_BYTES], const char *use, const uint8_t of[TEXT_KEY_BYTES]);
/* 22 characters of URL's base64. */
void text_hash(char ret[TEXT_HASH_MAX], const uint8_t key[TEXT_KEY_BYTES], const char *text,
	       size_t len);
/* Is it of that text? True also of the hash without a key, in hex, that versions before this one
 * kept: their rows last for `keep`. */
bool text_hash_is(const char *hash, const uint8_t key[TEXT_KEY_BYTES], const char *text,
		  size_t len);

#endif
