/* SPDX-License-Identifier: Apache-2.0 */
#include "text_hash.h"

#include <sodium.h>
#include <string.h>

enum { BYTES = 16 };

void text_hash_key(uint8_t ret[TEXT_KEY_BYTES], const char *use, const uint8_t of[TEXT_KEY_BYTES])
{
	crypto_generichash(ret, TEXT_KEY_BYTES, (const unsigned char *)use, strlen(use), of,
			   TEXT_KEY_BYTES);
}

void text_hash(char ret[TEXT_HASH_MAX], const uint8_t key[TEXT_KEY_BYTES], const char *text,
	       size_t len)
{
	unsigned char hash[BYTES];

	crypto_generichash(hash, sizeof hash, (const unsigned char *)text, len, key,
			   TEXT_KEY_BYTES);
	sodium_bin2base64(ret, TEXT_HASH_MAX, hash, sizeof hash,
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool text_hash_is(const char *hash, const uint8_t key[TEXT_KEY_BYTES], const char *text, size_t len)
{
	unsigned char without[BYTES];
	char of[TEXT_HASH_MAX];

	if (strlen(hash) == 2 * BYTES) {
		crypto_generichash(without, sizeof without, (const unsigned char *)text, len, NULL,
				   0);
		sodium_bin2hex(of, sizeof of, without, sizeof without);
	} else {
		text_hash(of, key, text, len);
	}
	return !strcmp(hash, of);
}
