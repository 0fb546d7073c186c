/* SPDX-License-Identifier: Apache-2.0 */
/* publish, retract, correct: single events. */
#include "redis.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE_MAX_BYTES = 12 * DIBAO_EVENT_MAX_BYTES };

static void print_outcome(const struct ctl *c, struct dibao_str uid, int outcome)
{
	const char *name = dibao_outcome_name((enum dibao_outcome)outcome);

	if (c->json) {
		json_t *j = json_pack("{s:s%, s:s}", "uid", uid.p, uid.len, "outcome", name);

		ctl_put_json(j);
	} else {
		printf("%s %.*s\n", name, (int)uid.len, uid.p);
	}
	fflush(stdout);
}

static int publish_bytes(const struct ctl *c, struct dibao_publisher *p, const uint8_t *bytes,
			 size_t len, unsigned line)
{
	struct dibao_event ev;
	struct dibao_error err = {0};
	int r = dibao_publish(p, bytes, len, &err);

	if (r < 0) {
		err.line = line;
		return ctl_error(&err);
	}
	if (dibao_event_view(&ev, bytes, len) == 0)
		print_outcome(c, ev.uid, r);
	if (r == DIBAO_CONFLICT)
		return ctl_fail(EX_DATAERR,
				"this uid was published before with other content; to replace it: "
				"dibaoctl correct %.*s",
				(int)ev.uid.len, ev.uid.p);
	return 0;
}

/* JSON lines. Goes on after a bad one; the first fault's code is the result. */
static int publish_lines(const struct ctl *c, struct dibao_publisher *p, FILE *f)
{
	char *line = NULL;
	size_t cap = 0;
	unsigned n = 0;
	int result = 0, r;
	ssize_t len;

	while ((len = getline(&line, &cap, f)) >= 0) {
		struct dibao_error err;
		uint8_t *bytes;
		size_t n_bytes;

		n++;
		if (len > LINE_MAX_BYTES) {
			r = ctl_fail(EX_DATAERR, "line %u: over %d bytes", n, LINE_MAX_BYTES);
		} else if (strspn(line, " \t\r\n") == (size_t)len) {
			continue;
		} else if (dibao_event_from_json(line, (size_t)len, n, &bytes, &n_bytes, &err) <
			   0) {
			r = ctl_error(&err);
		} else {
			r = publish_bytes(c, p, bytes, n_bytes, n);
			free(bytes);
		}
		result = result ? result : r;
		if (r == EX_UNAVAILABLE)
			break;
	}
	free(line);
	return result;
}

/* Short names of fields: the last part of the path where no other field ends so. */
static int set_option(struct dibao_builder *b, const char *name, const char *value,
		      struct dibao_error *err)
{
	static const char *const places[] = {"", "body.", "person."};
	char path[80];
	int r = -ENOENT;

	for (size_t i = 0; i < sizeof places / sizeof places[0] && r == -ENOENT; i++) {
		snprintf(path, sizeof path, "%s%s", places[i], name);
		r = dibao_builder_text(b, path, value, err);
	}
	return r;
}

static int set_defaults(struct dibao_builder *b, bool has_at, bool has_uid)
{
	struct timespec t;
	char uid[48];

	clock_gettime(CLOCK_REALTIME, &t);
	if (!has_at)
		dibao_builder_int(b, "at", (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000);
	if (!has_uid) {
		snprintf(uid, sizeof uid, "ctl-%lld-%09ld", (long long)t.tv_sec, t.tv_nsec);
		dibao_builder_str(b, "uid", uid, strlen(uid));
	}
	return 0;
}

/* --FIELD VALUE pairs. */
static int build(struct dibao_builder *b, int argc, char **argv, int from)
{
	bool has_at = false, has_uid = false;
	struct dibao_error err;

	for (int i = from; i < argc; i += 2) {
		if (strncmp(argv[i], "--", 2) != 0 || i + 1 == argc)
			return ctl_fail(EX_USAGE, "%s: expected --FIELD VALUE", argv[i]);
		if (!strcmp(argv[i], "--type"))
			continue;
		if (set_option(b, argv[i] + 2, argv[i + 1], &err) < 0)
			return ctl_error(&err);
		has_at |= !strcmp(argv[i], "--at");
		has_uid |= !strcmp(argv[i], "--uid");
	}
	return set_defaults(b, has_at, has_uid);
}

static int publish_options(const struct ctl *c, struct dibao_publisher *p, int argc, char **argv)
{
	const char *type = NULL, *name;
	struct dibao_builder *b;
	struct dibao_error err;
	uint8_t *bytes;
	size_t len;
	int r;

	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "--type"))
			type = argv[i + 1];
	if (!type)
		return ctl_fail(EX_USAGE, "publish: --type is missing (see dibaoctl types)");
	name = ctl_type_named(type);
	if (!name || dibao_builder_new(&b, name) < 0)
		return ctl_fail(EX_USAGE, "publish: no such type: %s (see dibaoctl types)", type);
	r = build(b, argc, argv, 1);
	if (r == 0)
		r = dibao_builder_encode(b, &bytes, &len, &err) < 0 ? ctl_error(&err) : 0;
	dibao_builder_free(b);
	if (r)
		return r;
	r = publish_bytes(c, p, bytes, len, 0);
	free(bytes);
	return r;
}

static int open_publisher(const struct ctl *c, struct dibao_publisher **ret)
{
	struct dibao_redis_options o = ctl_redis_options(c);
	struct dibao_relay_options relay = {.endpoint = c->endpoints[0],
					    .bureau = c->bureau,
					    .curve_server_key = c->server_key,
					    .curve_key_file = c->key_file};
	struct dibao_error err;

	if (c->by_endpoint)
		return dibao_publisher_new_relay(ret, &relay, &err) < 0 ? ctl_error(&err) : 0;
	return dibao_publisher_new(ret, &o, &err) < 0 ? ctl_error(&err) : 0;
}

int ctl_publish(struct ctl *c, int argc, char **argv)
{
	struct dibao_publisher *p;
	int r = ctl_options_take(c, &argc, argv);

	if (r == 0)
		r = open_publisher(c, &p);
	if (r)
		return r;
	r = argc > 1 ? publish_options(c, p, argc, argv) : publish_lines(c, p, stdin);
	dibao_publisher_free(p);
	return r;
}

/* ---- retract, correct: what was published is looked up ---- */

int ctl_fetch_event(const struct ctl *c, const char *uid, json_t **ret)
{
	redisReply *record = NULL, *entry = NULL;
	const redisReply *v = NULL;
	const char *bytes = NULL;
	size_t len = 0;
	char key[160], *text;
	struct ctl_redis r;
	int e = ctl_redis_open(&r, c, true);

	if (e)
		return e;
	snprintf(key, sizeof key, "uid:%.64s", uid);
	e = ctl_redis_command(&r, &record, "HMGET %s c i e", ctl_redis_key(&r, key));
	if (e == 0 && record->elements == 3 && record->element[2]->str) {
		bytes = record->element[2]->str;
		len = record->element[2]->len;
	} else if (e == 0 && record->elements == 3 && record->element[0]->str &&
		   record->element[1]->len) {
		e = ctl_redis_command(&r, &entry, "XRANGE %s %s %s",
				      ctl_redis_key(&r, record->element[0]->str),
				      record->element[1]->str, record->element[1]->str);
		v = e == 0 && entry->elements == 1 ? ctl_redis_value(entry->element[0], "e") : NULL;

		bytes = v ? v->str : NULL;
		len = v ? v->len : 0;
	}
	if (e == 0 && (!bytes || dibao_event_to_json(bytes, len, &text) < 0))
		e = ctl_fail(EX_DATAERR, "%s: no such event is kept", uid);
	if (e == 0) {
		*ret = json_loads(text, 0, NULL);
		free(text);
	}
	if (record)
		freeReplyObject(record);
	if (entry)
		freeReplyObject(entry);
	ctl_redis_close(&r);
	return e;
}

static int print_answer(const struct ctl *c, struct dibao_str uid, const redisReply *reply)
{
	static const enum dibao_outcome outcomes[] = {DIBAO_NEW, DIBAO_REPEAT, DIBAO_SCHEDULED,
						      DIBAO_CONFLICT};
	const char *word = reply->elements ? reply->element[0]->str : NULL;

	for (size_t i = 0; word && i < sizeof outcomes / sizeof outcomes[0]; i++)
		if (!strcmp(word, dibao_outcome_name(outcomes[i]))) {
			print_outcome(c, uid, outcomes[i]);
			return outcomes[i] == DIBAO_CONFLICT
				       ? ctl_fail(
						 EX_DATAERR,
						 "this uid was published before with other content")
				       : 0;
		}
	return ctl_fail(EX_SOFTWARE, "Redis: an answer of another version");
}

/* Not by the library's publisher: an act by hand is written down with who did it. */
static int publish_by_hand(const struct ctl *c, const uint8_t *bytes, size_t len)
{
	struct dibao_event ev;
	struct ctl_redis r;
	redisReply *reply;
	int e = ctl_redis_open(&r, c, true);

	if (e)
		return e;
	e = ctl_redis_command(&r, &reply, "FCALL dibao_publish 1 %s %b %s", r.base, bytes, len,
			      r.who);
	ctl_redis_close(&r);
	if (e)
		return e;
	if (dibao_event_view(&ev, bytes, len) == 0)
		e = print_answer(c, ev.uid, reply);
	freeReplyObject(reply);
	return e;
}

static int publish_json(const struct ctl *c, json_t *event)
{
	struct dibao_error err;
	char *text = json_dumps(event, JSON_COMPACT);
	uint8_t *bytes;
	size_t len;
	int r;

	if (!text)
		return ctl_fail(EX_OSERR, "no memory");
	r = dibao_event_from_json(text, strlen(text), 0, &bytes, &len, &err) < 0 ? ctl_error(&err)
										 : 0;
	free(text);
	if (r)
		return r;
	r = publish_by_hand(c, bytes, len);
	free(bytes);
	return r;
}

static void renew(json_t *event, const char *uid, const char *verb, const char *new_uid)
{
	struct timespec t;
	char made[DIBAO_UID_MAX_BYTES + 1];

	clock_gettime(CLOCK_REALTIME, &t);
	if (!new_uid) {
		snprintf(made, sizeof made, "%s-%lld-%09ld", verb, (long long)t.tv_sec, t.tv_nsec);
		new_uid = made;
	}
	json_object_set_new(event, "uid", json_string(new_uid));
	json_object_set_new(event, "at",
			    json_integer((json_int_t)t.tv_sec * 1000 + t.tv_nsec / 1000000));
	json_object_set_new(event, verb, json_string(uid));
	json_object_del(event, "not_before");
	json_object_del(event, "trace");
	json_object_del(event, !strcmp(verb, "retracts") ? "corrects" : "retracts");
}

static const char *option(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], name))
			return argv[i + 1];
	return NULL;
}

int ctl_retract(struct ctl *c, int argc, char **argv)
{
	const char *original = ctl_operand(&argc, argv), *reason = option(argc, argv, "--reason"),
		   *uid = option(argc, argv, "--uid");
	json_t *event;
	int r;

	if (!original || !reason)
		return ctl_fail(EX_USAGE, "retract: expected UID --reason TEXT [--uid NEW]; a UID "
					  "that begins with - last, behind --");
	for (int i = 1; i < argc; i += 2)
		if (strcmp(argv[i], "--reason") != 0 && strcmp(argv[i], "--uid") != 0)
			return ctl_fail(EX_USAGE, "retract: no such option: %s", argv[i]);
	r = ctl_fetch_event(c, original, &event);
	if (r)
		return r;
	renew(event, original, "retracts", uid);
	json_object_set_new(event, "body", json_pack("{s:s}", "reason", reason));
	r = publish_json(c, event);
	json_decref(event);
	return r;
}

/* The row of the table at a dotted path, or NULL. */
static const struct dibao_field_spec *field_spec(const char *type, const char *path)
{
	const struct dibao_field_spec *f = dibao_envelope();
	int t = dibao_type_find(type, strlen(type));
	size_t n, len;

	if (!strncmp(path, "body.", 5) && t >= 0) {
		f = dibao_types(&n)[t].body;
		path += 5;
	}
	while (f) {
		len = strcspn(path, ".");
		while (f->name && (strlen(f->name) != len || memcmp(f->name, path, len) != 0))
			f++;
		if (!f->name || !path[len])
			return f->name ? f : NULL;
		f = f->fields;
		path += len + 1;
	}
	return NULL;
}

/* Puts a value at a dotted path of the event, making the maps on its way; takes `value`. */
static int put_at(json_t *event, char *path, json_t *value)
{
	char *save = NULL, *part = strtok_r(path, ".", &save), *further;
	json_t *at = event, *next;

	while ((further = strtok_r(NULL, ".", &save)) != NULL) {
		next = json_object_get(at, part);
		if (!next) {
			next = json_object();
			json_object_set_new(at, part, next);
		}
		at = next;
		part = further;
	}
	if (json_object_set_new(at, part, value) < 0)
		return ctl_fail(EX_DATAERR, "%s: there is no place for it in that event", part);
	return 0;
}

/* Puts text at the field of that name, as the field's kind wants it. */
static int change(json_t *event, const char *name, const char *value)
{
	static const char *const places[] = {"", "body.", "person."};
	const char *type = json_string_value(json_object_get(event, "type"));
	const struct dibao_field_spec *f;
	struct dibao_builder *b;
	struct dibao_error err;
	char path[96];
	int r = -ENOENT;

	if (!type || dibao_builder_new(&b, type) < 0)
		return ctl_fail(EX_DATAERR, "an event of an unknown type cannot be corrected here");
	for (size_t i = 0; i < sizeof places / sizeof places[0] && r == -ENOENT; i++) {
		snprintf(path, sizeof path, "%s%s", places[i], name);
		r = dibao_builder_text(b, path, value, &err);
	}
	dibao_builder_free(b);
	if (r < 0)
		return ctl_error(&err);
	f = field_spec(type, path);
	/* Times and binary go as text, which JSON of an event allows. */
	if (f && f->kind == DIBAO_KIND_BOOL)
		return put_at(event, path, json_boolean(!strcmp(value, "true")));
	if (f && f->kind == DIBAO_KIND_INT)
		return put_at(event, path, json_integer(strtoll(value, NULL, 10)));
	if (f && f->kind == DIBAO_KIND_MS && strspn(value, "0123456789") == strlen(value))
		return put_at(event, path, json_integer(strtoll(value, NULL, 10)));
	return put_at(event, path, json_string(value));
}

int ctl_correct(struct ctl *c, int argc, char **argv)
{
	const char *original = ctl_operand(&argc, argv), *uid = option(argc, argv, "--uid");
	json_t *event;
	int r;

	if (!original || argc < 3)
		return ctl_fail(EX_USAGE, "correct: expected UID --FIELD VALUE ...; a UID that "
					  "begins with - last, behind --");
	r = ctl_fetch_event(c, original, &event);
	if (r)
		return r;
	renew(event, original, "corrects", uid);
	for (int i = 1; i + 1 < argc && r == 0; i += 2) {
		if (strncmp(argv[i], "--", 2) != 0)
			r = ctl_fail(EX_USAGE, "%s: expected --FIELD VALUE", argv[i]);
		else if (strcmp(argv[i], "--uid") != 0)
			r = change(event, argv[i] + 2, argv[i + 1]);
	}
	if (r == 0)
		r = publish_json(c, event);
	json_decref(event);
	return r;
}
