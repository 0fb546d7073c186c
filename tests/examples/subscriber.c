/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the events of one durable name as they come: subscriber ENDPOINT BUREAU NAME [COUNT]
 *     cc subscriber.c $(pkg-config --cflags --libs dibao) */
#include <dibao/subscriber.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long left;

static int on_delivery(struct dibao_subscriber *s, const struct dibao_delivery *d, void *userdata)
{
	struct dibao_event ev;

	(void)userdata;
	if (d->kind == DIBAO_ITEM_EVENT && dibao_event_view(&ev, d->bytes, d->len) == 0)
		printf("%s %.*s %.*s\n", dibao_channel_name(d->channel), (int)ev.type_name.len,
		       ev.type_name.p, (int)ev.uid.len, ev.uid.p);
	/* It counts as taken over from here on: a real subscriber has stored it by now. */
	if (fflush(stdout) == 0)
		dibao_subscriber_ack(s, d->ack);
	return left && --left == 0;
}

static void on_status(struct dibao_subscriber *s, const struct dibao_status *st, void *userdata)
{
	(void)s;
	(void)userdata;
	if (st->state == DIBAO_STATE_REFUSED)
		fprintf(stderr, "refused: %s\n", st->text);
}

int main(int argc, char **argv)
{
	const char *endpoints[] = {argc > 1 ? argv[1] : NULL, NULL};
	struct dibao_subscriber_options o = {
		.endpoints = endpoints,
		.bureau = argc > 2 ? argv[2] : NULL,
		.durable = argc > 3 ? argv[3] : NULL,
		.start = DIBAO_START_RESUME,
		.on_delivery = on_delivery,
		.on_status = on_status,
	};
	struct dibao_subscriber *s = NULL;
	struct dibao_context *ctx = NULL;
	struct dibao_error err = {0};
	int r;

	left = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	r = dibao_context_new(&ctx, 1);
	if (r == 0)
		r = dibao_subscriber_new(&s, ctx, &o, &err);
	if (r == 0)
		r = dibao_subscriber_run(s);
	if (r < 0)
		fprintf(stderr, "subscriber: %s %s\n", dibao_strerror(r), err.reason);
	dibao_subscriber_free(s);
	dibao_context_free(ctx);
	return r < 0;
}
