/* SPDX-License-Identifier: Apache-2.0 */
/* What gateways send us: Kannel's receipts (as a query), its status.xml and store-status.xml, and
 * the spool's result files. The first byte says which. */
#include "../../clients/sms/kannel.h"
#include "../../clients/sms/spool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct driver_receipt *r)
{
	assert(strlen(r->id) >= 1 && strlen(r->id) <= DRIVER_ID_MAX);
	assert(r->attempt >= 1 && r->attempt <= UINT16_MAX);
	assert(strlen(r->code) < DRIVER_CODE_MAX && strlen(r->token) < DRIVER_TOKEN_BYTES);
	assert(r->news <= DRIVER_NEWS_EXPIRED);
	assert(strlen(r->ref) < DRIVER_REF_BYTES && !strchr(r->ref, ' '));
}

struct seen {
	unsigned n, hash;
};

static void saw(const struct kannel_entry *e, void *userdata)
{
	struct seen *s = userdata;

	assert(strlen(e->receiver) < KANNEL_NUMBER_MAX);
	assert(e->is_receipt == !e->text && e->text_len < KANNEL_ENTRY_MAX);
	s->n++;
	for (size_t i = 0; i < e->text_len; i++)
		s->hash = s->hash * 31 + (unsigned char)e->text[i];
}

/* Cut into pieces it is read as in one. */
static void read_store(const char *text, size_t len)
{
	static struct kannel_store s;
	struct seen whole = {0}, pieces = {0};
	int r;

	kannel_store_begin(&s, saw, &whole);
	(void)kannel_store_feed(&s, text, len);
	r = kannel_store_end(&s);
	kannel_store_begin(&s, saw, &pieces);
	for (size_t i = 0; i < len; i += 7)
		(void)kannel_store_feed(&s, text + i, len - i < 7 ? len - i : 7);
	assert(kannel_store_end(&s) == r && whole.n == pieces.n && whole.hash == pieces.hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct spool_fields fields;
	struct driver_receipt r;
	struct kannel_status status;
	char *text;

	if (len < 1 || len > SPOOL_RESULT_MAX)
		return 0;
	text = malloc(len);
	if (!text)
		return 0;
	memcpy(text, data + 1, len - 1);
	text[len - 1] = '\0';
	if (data[0] == 'x') {
		if (kannel_parse_status(text, &status) == 0)
			assert(status.n_online <= status.n_smsc);
	} else if (data[0] == 's') {
		read_store(text, len - 1);
	} else if (spool_read(&fields, text) == 0) {
		if (spool_parse(spool_get, &fields, &r) == 0)
			check(&r);
		if (kannel_parse(spool_get, &fields, &r) == 0)
			check(&r);
	}
	free(text);
	return 0;
}
