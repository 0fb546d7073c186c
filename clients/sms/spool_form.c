/* SPDX-License-Identifier: Apache-2.0 */
#include "spool.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void spool_name(char ret[SPOOL_NAME_MAX], const char *id, unsigned attempt)
{
	unsigned char hash[crypto_generichash_BYTES_MIN];
	char hex[2 * sizeof hash + 1];

	crypto_generichash(hash, sizeof hash, (const unsigned char *)id, strlen(id), NULL, 0);
	sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
	snprintf(ret, SPOOL_NAME_MAX, "%s-%u", hex, attempt);
}

/* A uid may hold any character but controls: those were refused with the event. */
char *spool_format(const struct driver_text *t, size_t *ret_len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_len);

	if (!f)
		return NULL;
	fprintf(f, "id: %s\nattempt: %u\nto: %s\nparts: %u\n", t->id, t->attempt, t->phone,
		t->parts);
	if (t->template_id[0])
		fprintf(f, "template: %s\n", t->template_id);
	if (t->urgent)
		fputs("urgent: yes\n", f);
	for (size_t i = 0; i < t->n_variables; i++)
		fprintf(f, "var-%s: %s\n", t->variables[i].name, t->variables[i].value);
	fprintf(f, "\n%s\n", t->text);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

int spool_read(struct spool_fields *ret, char *text)
{
	char *save = NULL;

	ret->n = 0;
	for (char *line = strtok_r(text, "\r\n", &save); line;
	     line = strtok_r(NULL, "\r\n", &save)) {
		char *colon = strchr(line, ':');

		if (!colon || ret->n == SPOOL_FIELDS_MAX)
			return -EBADMSG;
		*colon++ = '\0';
		ret->name[ret->n] = line;
		ret->value[ret->n++] = colon + strspn(colon, " \t");
	}
	return ret->n ? 0 : -EBADMSG;
}

const char *spool_get(const void *fields, const char *name)
{
	const struct spool_fields *f = fields;

	for (unsigned i = 0; i < f->n; i++)
		if (!strcmp(f->name[i], name))
			return f->value[i];
	return NULL;
}

int spool_parse(const char *(*get)(const void *source, const char *name), const void *source,
		struct driver_receipt *ret)
{
	static const char *const words[] = {
		[DRIVER_NEWS_QUEUED] = "queued",       [DRIVER_NEWS_ACCEPTED] = "accepted",
		[DRIVER_NEWS_DELIVERED] = "delivered", [DRIVER_NEWS_FAILED] = "failed",
		[DRIVER_NEWS_EXPIRED] = "expired",
	};
	const char *id = get(source, "id"), *attempt = get(source, "attempt"),
		   *result = get(source, "result"), *code = get(source, "code");
	char *end;
	unsigned long n;

	if (!id || !attempt || !result || strlen(id) < 1 || strlen(id) > DRIVER_ID_MAX ||
	    attempt[0] < '0' || attempt[0] > '9')
		return -EBADMSG;
	n = strtoul(attempt, &end, 10);
	if (*end || n < 1 || n > UINT16_MAX)
		return -EBADMSG;
	for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
		if (!strcmp(words[i], result)) {
			*ret = (struct driver_receipt){.attempt = (unsigned)n, .news = i};
			snprintf(ret->id, sizeof ret->id, "%s", id);
			snprintf(ret->code, sizeof ret->code, "%.*s", DRIVER_CODE_MAX - 1,
				 code ? code : "");
			return 0;
		}
	return -EBADMSG;
}
