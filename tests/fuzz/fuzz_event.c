/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes are an event or refused. Of an event the two ways to look at it agree, it can be shown
 * as JSON, and what a board gets of it is sound. */
#include <dibao/event.h>
#include <dibao/view.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void same(const struct dibao_str *a, const struct dibao_str *b)
{
	must(a->p == b->p && a->len == b->len);
}

static void views_agree(const struct dibao_event *ev)
{
	struct dibao_event view;

	must(dibao_event_view(&view, ev->bytes, ev->len) == 0);
	same(&ev->uid, &view.uid);
	same(&ev->type_name, &view.type_name);
	same(&ev->org, &view.org);
	same(&ev->badge, &view.badge);
	same(&ev->retracts, &view.retracts);
	same(&ev->corrects, &view.corrects);
	same(&ev->follows, &view.follows);
	must(ev->type == view.type && ev->at == view.at && ev->expires == view.expires &&
	     ev->not_before == view.not_before && ev->urgent == view.urgent &&
	     ev->record == view.record && ev->is_private == view.is_private);
}

static void json_is_taken_back(const struct dibao_event *ev)
{
	struct dibao_event again;
	struct dibao_error err;
	uint8_t *bytes;
	char *text;
	size_t len;

	must(dibao_event_to_json(ev->bytes, ev->len, &text) == 0);
	/* An unknown value may hold what JSON cannot, or grow over the limit as hexadecimal. */
	if (dibao_event_from_json(text, strlen(text), 1, &bytes, &len, &err) == 0) {
		must(dibao_event_parse(&again, bytes, len, &err) == 0);
		must(again.type == ev->type && again.uid.len == ev->uid.len &&
		     again.n_unknown == ev->n_unknown);
		free(bytes);
	} else {
		must(ev->n_unknown > 0 || ev->type == DIBAO_TYPE_UNKNOWN ||
		     ev->len > DIBAO_EVENT_MAX_BYTES / 2 || strstr(text, "\"ext\":"));
	}
	free(text);
}

static void board_gets_a_map(const struct dibao_event *ev)
{
	static const uint8_t key[DIBAO_VIEW_KEY_BYTES];
	static uint8_t view[DIBAO_EVENT_MAX_BYTES + 256];

	for (int mask = 0; mask < 2; mask++) {
		int n = dibao_view_encode(ev, key, mask, view, sizeof view);
		char *text;

		if (ev->is_private || ev->retracts.p)
			must(n < 0);
		if (n < 0)
			continue;
		must(dibao_event_to_json(view, (size_t)n, &text) == 0);
		must(!strstr(text, "\"badge\"") && !strstr(text, "\"uid\""));
		free(text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dibao_event ev;
	struct dibao_error err;
	char *text;

	if (dibao_event_parse(&ev, data, size, &err) == 0) {
		views_agree(&ev);
		json_is_taken_back(&ev);
		board_gets_a_map(&ev);
		return 0;
	}
	must(err.code < 0 && err.reason[0]);
	/* Neither may be lost on bytes that nobody checked. */
	(void)dibao_event_view(&ev, data, size);
	if (dibao_event_to_json(data, size, &text) == 0)
		free(text);
	return 0;
}
