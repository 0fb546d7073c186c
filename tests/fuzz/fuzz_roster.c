/* SPDX-License-Identifier: Apache-2.0 */
/* A roster's row of any bytes is taken or refused; what is taken and can be written reads back the
 * same. A number of any bytes is eleven digits or refused in words. */
#include "../../clients/sms/person.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_row(const char *row, size_t len)
{
	char first[ROSTER_ROW_MAX], again[ROSTER_ROW_MAX];
	struct roster_person p, q;
	int n;

	if (roster_decode(&p, row, len) < 0)
		return;
	(void)roster_is_opted_out(&p, p.name);
	(void)roster_mark_at(&p, row, len);
	(void)person_name_equals(p.name, p.unit);
	n = roster_encode(&p, first, sizeof first);
	if (n < 0)
		return;
	if (roster_decode(&q, first, (size_t)n) < 0 ||
	    roster_encode(&q, again, sizeof again) != n || memcmp(first, again, (size_t)n) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char phone[ROSTER_PHONE_DIGITS + 1], *text = malloc(size + 1);
	const char *why = NULL;
	int r;

	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	check_row(text, size);
	r = roster_phone(text, phone, &why);
	if (r == 0 && (strlen(phone) != ROSTER_PHONE_DIGITS || phone[0] != '1' ||
		       strspn(phone, "0123456789") != ROSTER_PHONE_DIGITS))
		abort();
	if (r == -EINVAL && !why)
		abort();
	free(text);
	return 0;
}
