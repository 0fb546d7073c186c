/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hiredis 0.14 on sd-event. This file alone knows hiredis' asynchronous API,
 * whose rules are worth stating:
 *  - it has no timers: `deadline` and `retry` here are ours. sd-event timers
 *    are oneshot and must be enabled anew each time;
 *  - it frees the context itself when a connect fails, when reading or writing
 *    fails and at the end of the server; redisAsyncFree() in those moments is a
 *    double free. It runs open callbacks with NULL before it tells us;
 *  - redisAsyncFree() inside a reply callback is put off until after it;
 *  - redisAsyncHandleWrite() inside a reply callback may free the context under
 *    it: redis_link_flush() writes below that layer and leaves an error there
 *    for the next turn of the loop to find.
 *
 * So a connection is given up in one place, detach(): it cuts the context's way
 * back to the link first, then answers what is open from the link's own list,
 * then says on_down. Whatever hiredis still calls for that context afterwards
 * finds no link and only releases the command's memory.
 *
 * Callbacks of the owner may free the link. Each entry from the loop holds it
 * with enter()/leave(); the memory goes with the last leave().
 */
#include "redis_link_parts.h"

#include "log.h"
#include "log_ids.h"
#include "redis_address.h"
#include "redis_arena.h"

#include <assert.h>
#include <errno.h>
#include <hiredis/async.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

enum {
	BACKOFF_MIN_MS = 50,
	BACKOFF_MAX_MS = 5000,
	STABLE_MS = 1000,	 /* up for so long: the next backoff starts small again */
	READ_BYTES = 256 * 1024, /* of one read; hiredis' own reads 16 KiB */
	READS_MAX = 2,		 /* of one wake-up */
	READER_IDLE_BYTES =
		1024 * 1024, /* hiredis' own 16 KiB has it free and regrow at each reply */
};

static uint64_t link_now(const struct redis_link *l)
{
	uint64_t usec = 0;

	(void)sd_event_now(l->event, CLOCK_BOOTTIME, &usec);
	return usec;
}

static void link_destroy(struct redis_link *l)
{
	assert(!l->ac && !l->head);
	sd_event_source_disable_unref(l->deadline);
	sd_event_source_disable_unref(l->retry);
	redis_arena_free(l->arena);
	free(l->name);
	free(l->address);
	free(l->user);
	if (l->password) {
		explicit_bzero(l->password, strlen(l->password));
		free(l->password);
	}
	sd_event_unref(l->event);
	free(l);
}

static void enter(struct redis_link *l)
{
	l->n_entered++;
}

static void leave(struct redis_link *l)
{
	if (--l->n_entered == 0 && l->is_freed) {
		link_destroy(l);
	}
}

/* ---- deadline ---- */

static uint64_t due_usec(const struct redis_link *l)
{
	return l->progress_usec + l->head->timeout_ms * UINT64_C(1000);
}

/* Set lazily: a timer that fires early looks again and moves on, so an answer costs nothing. */
static void arm_deadline(struct redis_link *l)
{
	uint64_t due = due_usec(l);

	if (l->armed_usec != 0 && l->armed_usec <= due) {
		return;
	}
	l->armed_usec = due;
	(void)sd_event_source_set_time(l->deadline, due);
	(void)sd_event_source_set_enabled(l->deadline, SD_EVENT_ONESHOT);
}

/* ---- giving a connection up ---- */

static void pop_command(struct redis_link *l)
{
	l->head = l->head->next;
	if (!l->head) {
		l->tail = NULL;
	}
}

static void ignore_hook(void *privdata)
{
	(void)privdata;
}

static void schedule_retry(struct redis_link *l)
{
	uint32_t random = 0;
	uint64_t delay_ms;

	l->backoff_ms = l->backoff_ms == 0 ? BACKOFF_MIN_MS : l->backoff_ms * 2;
	if (l->backoff_ms > BACKOFF_MAX_MS) {
		l->backoff_ms = BACKOFF_MAX_MS;
	}
	/* Half fixed, half random: daemons that lost the same Redis come back apart. */
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0) {
		random = (uint32_t)link_now(l);
	}
	delay_ms = l->backoff_ms / 2 + random % (l->backoff_ms / 2 + 1);
	(void)sd_event_source_set_time(l->retry, link_now(l) + delay_ms * 1000);
	(void)sd_event_source_set_enabled(l->retry, SD_EVENT_ONESHOT);
}

static void log_link(int level, const char *id, const struct redis_link *l, const char *what,
		     const char *why)
{
	char text[320], field[64];

	(void)snprintf(text, sizeof text, "redis %s: %s%s", l->address, what, why);
	(void)snprintf(field, sizeof field, "DIBAO_LINK=%s", l->name);
	log_event(level, id, text, field);
}

/* The link lets go of its context and leaves that to hiredis; `why` may point into it. */
static void detach(struct redis_link *l, const char *why)
{
	redisAsyncContext *ac = l->ac;
	bool was_up = l->is_up;
	char text[160];

	(void)snprintf(text, sizeof text, "%s", why && why[0] ? why : "connection closed");
	ac->data = NULL;
	ac->ev.addRead = ac->ev.delRead = ac->ev.addWrite = ac->ev.delWrite = ignore_hook;
	ac->ev.cleanup = ignore_hook;
	l->ac = NULL;
	l->io = sd_event_source_disable_unref(l->io);
	l->is_up = false;
	l->armed_usec = 0;
	(void)sd_event_source_set_enabled(l->deadline, SD_EVENT_OFF);
	while (l->head) {
		struct command *cmd = l->head;

		pop_command(l);
		cmd->fn(l, NULL, cmd->userdata);
	}
	if (l->is_freed) {
		return;
	}
	if (was_up && link_now(l) - l->up_usec >= STABLE_MS * UINT64_C(1000)) {
		l->backoff_ms = 0;
	}
	schedule_retry(l);
	if (was_up) {
		log_link(LOG_WARNING, LOG_ID_REDIS_DOWN, l,
			 "connection lost, connecting again: ", text);
	} else if (log_limited("redis-connect")) {
		log_link(LOG_WARNING, LOG_ID_REDIS_DOWN, l, "cannot connect, trying again: ", text);
	}
	if (was_up && l->on_down) {
		l->on_down(l, text, l->userdata);
	}
}

static void drop(struct redis_link *l, const char *why)
{
	redisAsyncContext *ac = l->ac;

	if (ac) {
		detach(l, why);
		redisAsyncFree(ac);
	}
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct redis_link *l = userdata;
	char why[96];

	(void)source, (void)usec;
	enter(l);
	l->armed_usec = 0;
	if (l->ac && l->head) {
		if (link_now(l) >= due_usec(l)) {
			(void)snprintf(why, sizeof why, "no answer within %u ms",
				       l->head->timeout_ms);
			drop(l, why);
		} else {
			arm_deadline(l);
		}
	}
	leave(l);
	return 0;
}

/* ---- what hiredis asks of an event loop ---- */

static void set_io_events(struct redis_link *l, uint32_t events)
{
	if (events != l->io_events) {
		l->io_events = events;
		(void)sd_event_source_set_io_events(l->io, events);
	}
}

static void hook_add_read(void *privdata)
{
	struct redis_link *l = privdata;

	set_io_events(l, l->io_events | EPOLLIN);
}

static void hook_del_read(void *privdata)
{
	struct redis_link *l = privdata;

	set_io_events(l, l->io_events & ~(uint32_t)EPOLLIN);
}

/* What is written in one turn of the loop goes out in one write() before the loop sleeps. EPOLLOUT
 * is asked for only while connecting and when the kernel takes no more. */
static void hook_add_write(void *privdata)
{
	struct redis_link *l = privdata;

	if (l->in_prepare || !(l->ac->c.flags & REDIS_CONNECTED)) {
		set_io_events(l, l->io_events | EPOLLOUT);
	} else {
		l->wants_write = true;
	}
}

static void hook_del_write(void *privdata)
{
	struct redis_link *l = privdata;

	l->wants_write = false;
	set_io_events(l, l->io_events & ~(uint32_t)EPOLLOUT);
}

/* hiredis is about to free the context; what was open it has answered with NULL. */
static void hook_cleanup(void *privdata)
{
	struct redis_link *l = privdata;

	detach(l, l->ac->errstr);
}

static int on_prepare(sd_event_source *source, void *userdata)
{
	struct redis_link *l = userdata;

	(void)source;
	if (!l->wants_write) {
		return 0;
	}
	enter(l);
	l->wants_write = false;
	l->in_prepare = true;
	redisAsyncHandleWrite(l->ac);
	l->in_prepare = false;
	leave(l);
	return 0;
}

/* Much at once: a slice of history is 300 KiB, and each turn of the loop costs as much as reading
 * 16 of them. What goes wrong here goes wrong again in hiredis' own read, which tells. */
static void read_much(const struct redis_link *l)
{
	static char buf[READ_BYTES];
	ssize_t n = READ_BYTES;

	for (int i = 0; i < READS_MAX && n == READ_BYTES; i++) {
		n = recv(l->ac->c.fd, buf, sizeof buf, MSG_DONTWAIT);
		if (n > 0)
			redisReaderFeed(l->ac->c.reader, buf, (size_t)n);
	}
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct redis_link *l = userdata;
	redisAsyncContext *ac = l->ac;

	(void)source, (void)fd;
	enter(l);
	/* HUP or ERR alone too: reading is what finds the error. */
	if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		l->progress_usec = link_now(l);
		if (l->is_up)
			read_much(l);
		redisAsyncHandleRead(ac);
	}
	if (l->ac == ac && (revents & EPOLLOUT)) {
		redisAsyncHandleWrite(ac);
	}
	leave(l);
	return 0;
}

/* ---- commands ---- */

static const struct {
	const char *code;
	const char *why;
} role_errors[] = {
	{"READONLY", "Redis became a replica"},
	{"MASTERDOWN", "Redis is a replica without its master"},
	{"LOADING", "Redis is loading its data"},
};

bool redis_reply_is_error(const redisReply *reply, const char *code)
{
	size_t n = code ? strlen(code) : 0;

	return reply && reply->type == REDIS_REPLY_ERROR && reply->len >= n &&
	       memcmp(reply->str, code ? code : "", n) == 0;
}

static void on_reply(redisAsyncContext *ac, void *object, void *privdata)
{
	static char oversize_text[] = REDIS_LINK_OVERSIZE " reply is too large, ask for less";
	redisReply oversize = {
		.type = REDIS_REPLY_ERROR, .str = oversize_text, .len = sizeof oversize_text - 1};
	struct redis_link *l = ac->data;
	struct command *cmd = privdata;
	const redisReply *reply = object;

	if (l && !reply) {
		detach(l, ac->errstr); /* answers cmd too, it is on the list */
		l = NULL;
	}
	if (!l) {
		free(cmd);
		return;
	}
	assert(cmd == l->head);
	pop_command(l);
	if (l->head) {
		arm_deadline(l);
	}
	if (l->arena && redis_arena_overflowed(l->arena)) {
		reply = &oversize;
	}
	cmd->fn(l, reply, cmd->userdata);
	free(cmd);
	for (size_t i = 0; i < sizeof role_errors / sizeof role_errors[0]; i++) {
		if (l->ac == ac && redis_reply_is_error(reply, role_errors[i].code)) {
			drop(l, role_errors[i].why);
		}
	}
}

int redis_link_send(struct redis_link *l, redis_reply_fn fn, void *userdata, int argc,
		    const char *const *argv, const size_t *lens, unsigned timeout_ms)
{
	struct command *cmd = malloc(sizeof *cmd);

	if (!cmd) {
		return -ENOMEM;
	}
	*cmd = (struct command){.fn = fn, .userdata = userdata, .timeout_ms = timeout_ms};
	/* hiredis copies the arguments and does not write to them. */
	if (redisAsyncCommandArgv(l->ac, on_reply, cmd, argc, (const char **)(uintptr_t)argv,
				  lens) != REDIS_OK) {
		free(cmd);
		return -ENOTCONN;
	}
	if (l->tail) {
		l->tail->next = cmd;
	} else {
		l->head = cmd;
		l->progress_usec = link_now(l);
		arm_deadline(l);
	}
	l->tail = cmd;
	return 0;
}

int redis_link_command(struct redis_link *l, redis_reply_fn fn, void *userdata, int argc,
		       const char *const *argv, const size_t *lens, unsigned timeout_ms)
{
	if (!l->is_up) {
		return -ENOTCONN;
	}
	return redis_link_send(l, fn, userdata, argc, argv, lens,
			       timeout_ms > 0 ? timeout_ms : l->command_timeout_ms);
}

void redis_link_flush(struct redis_link *l)
{
	int is_done = 0;

	if (l->is_up && l->wants_write && redisBufferWrite(&l->ac->c, &is_done) == REDIS_OK &&
	    is_done) {
		l->wants_write = false;
	}
}

/* ---- connecting ---- */

void redis_link_shaken(struct redis_link *l)
{
	if (l->failure[0] != '\0') {
		drop(l, l->failure);
		return;
	}
	l->is_up = true;
	l->up_usec = link_now(l);
	log_link(LOG_INFO, LOG_ID_REDIS_UP, l, "connected, role ", l->role);
	if (l->on_up) {
		l->on_up(l, l->userdata);
	}
}

static void link_connect(struct redis_link *l)
{
	struct redis_address a;
	redisAsyncContext *ac;
	int r;

	r = redis_address_parse(&a, l->address);
	assert(r == 0); /* checked in redis_link_new() */
	ac = a.path ? redisAsyncConnectUnix(a.path) : redisAsyncConnect(a.ip, a.port);
	if (!ac) {
		schedule_retry(l);
		return;
	}
	l->ac = ac;
	l->failure[0] = '\0';
	l->io_events = 0;
	l->wants_write = false;
	ac->data = l;
	if (ac->err) {
		drop(l, ac->errstr);
		return;
	}
	ac->ev.data = l;
	ac->ev.addRead = hook_add_read;
	ac->ev.delRead = hook_del_read;
	ac->ev.addWrite = hook_add_write;
	ac->ev.delWrite = hook_del_write;
	ac->ev.cleanup = hook_cleanup;
	ac->c.reader->maxbuf = READER_IDLE_BYTES;
	if (l->arena) {
		ac->c.reader->fn = &redis_arena_functions;
		ac->c.reader->privdata = l->arena;
	}
	r = sd_event_add_io(l->event, &l->io, ac->c.fd, 0, on_io, l);
	if (r >= 0) {
		r = sd_event_source_set_prepare(l->io, on_prepare);
	}
	if (r >= 0) {
		r = redis_handshake_send(l);
	}
	if (r < 0) {
		drop(l, strerror(-r));
	}
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct redis_link *l = userdata;

	(void)source, (void)usec;
	enter(l);
	link_connect(l);
	leave(l);
	return 0;
}

static char *copy_or_null(const char *s)
{
	return s && s[0] ? strdup(s) : NULL;
}

static int add_timer(struct redis_link *l, sd_event_source **ret, sd_event_time_handler_t fn)
{
	int r = sd_event_add_time(l->event, ret, CLOCK_BOOTTIME, UINT64_MAX, 1000, fn, l);

	if (r < 0) {
		return r;
	}
	/* After the io sources: bytes that waited while we were stopped are read first. */
	r = sd_event_source_set_priority(*ret, SD_EVENT_PRIORITY_NORMAL + 1);
	return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

int redis_link_new(struct redis_link **ret, const struct redis_link_options *opt)
{
	struct redis_address a;
	struct redis_link *l;
	int r;

	r = redis_address_parse(&a, opt->address);
	if (r < 0) {
		return r;
	}
	l = calloc(1, sizeof *l);
	if (!l) {
		return -ENOMEM;
	}
	l->event = sd_event_ref(opt->event);
	l->name = strdup(opt->name);
	l->address = strdup(opt->address);
	l->user = copy_or_null(opt->user);
	l->password = copy_or_null(opt->password);
	l->connect_timeout_ms = opt->connect_timeout_ms;
	l->command_timeout_ms = opt->command_timeout_ms;
	l->userdata = opt->userdata;
	l->on_up = opt->on_up;
	l->on_down = opt->on_down;
	r = l->name && l->address ? 0 : -ENOMEM;
	if (r == 0 && opt->arena) {
		r = redis_arena_new(&l->arena);
	}
	if (r >= 0) {
		r = add_timer(l, &l->deadline, on_deadline);
	}
	if (r >= 0) {
		r = add_timer(l, &l->retry, on_retry);
	}
	if (r < 0) {
		link_destroy(l);
		return r;
	}
	enter(l);
	link_connect(l);
	leave(l);
	*ret = l;
	return 0;
}

struct redis_link *redis_link_free(struct redis_link *l)
{
	if (!l || l->is_freed) {
		return NULL;
	}
	enter(l);
	l->is_freed = true;
	(void)sd_event_source_set_enabled(l->retry, SD_EVENT_OFF);
	drop(l, "freed");
	leave(l);
	return NULL;
}

bool redis_link_is_up(const struct redis_link *l)
{
	return l->is_up;
}

const char *redis_link_run_id(const struct redis_link *l)
{
	return l->run_id;
}

const char *redis_link_role(const struct redis_link *l)
{
	return l->role;
}
