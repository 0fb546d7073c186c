/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access.conf: one section a name, its options, each with the line it stands on. As with
 * dibaod.conf, inih splits the lines and every fault is reported here, all of a file at once.
 *
 * What is granted is written down: types, orgs and kind have no default. A grant that would make a
 * client miss withdrawals (an ordinary channel without its -now channel) is a fault.
 */
#include "access.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

enum {
	LINE_BYTES = 2048,
	PUBLIC = 1u << DIBAO_CHANNEL_PUBLIC | 1u << DIBAO_CHANNEL_PUBLIC_NOW,
	PRIVATE = 1u << DIBAO_CHANNEL_PRIVATE | 1u << DIBAO_CHANNEL_PRIVATE_NOW,
};

#define DAY_MS	    INT64_C(86400000)
#define HOLD_MAX_MS (36500 * DAY_MS)

struct reading {
	struct access *policy;
	size_t cap;
	FILE *file, *err_out;
	const char *path;
	unsigned line;
	int error;
	struct access_entry *at; /* the section being read; NULL before the first */
	bool seen_kind, seen_hold, seen_mask, seen_rate;
};

__attribute__((format(printf, 3, 4))) static void fault(struct reading *p, unsigned line,
							const char *fmt, ...)
{
	va_list ap;

	if (p->error != -ENOMEM)
		p->error = -EINVAL;
	if (!p->err_out)
		return;
	if (line)
		fprintf(p->err_out, "%s:%u: ", p->path, line);
	else
		fprintf(p->err_out, "%s: ", p->path);
	va_start(ap, fmt);
	vfprintf(p->err_out, fmt, ap);
	va_end(ap);
	fputc('\n', p->err_out);
}

/* ---- values ---- */

/* The next word of a list parted by blanks or commas; its length, 0 at the end. */
static size_t next_word(const char **at)
{
	*at += strspn(*at, " \t,");
	return strcspn(*at, " \t,");
}

static bool is_word(const char *at, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(at, word, len);
}

/* A whole number and a unit out of `units`: "K=1024 M=1048576", parted by blanks. */
static int64_t number(const char *s, const char *units)
{
	char *end, word[24];
	long long v, factor = 1;
	const char *u;

	if (*s < '0' || *s > '9')
		return -1;
	errno = 0;
	v = strtoll(s, &end, 10);
	if (errno)
		return -1;
	if (*end) {
		if (snprintf(word, sizeof word, "%s=", end) >= (int)sizeof word)
			return -1;
		u = strstr(units, word);
		if (!u || (u > units && u[-1] != ' '))
			return -1;
		factor = strtoll(u + strlen(word), NULL, 10);
	}
	return __builtin_mul_overflow(v, factor, &v) ? -1 : v;
}

static const char time_units[] = "ms=1 s=1000 min=60000 h=3600000 d=86400000";
static const char byte_units[] = "K=1024 KiB=1024 M=1048576 MiB=1048576";

static void set_kind(struct reading *p, const char *value)
{
	if (p->seen_kind) {
		fault(p, p->line, "kind is set twice");
		return;
	}
	p->seen_kind = true;
	p->at->kind_line = p->line;
	for (enum access_kind k = ACCESS_BOARD; k <= ACCESS_ADMIN; k++)
		if (!strcmp(value, access_kind_name(k))) {
			p->at->kind = k;
			return;
		}
	fault(p, p->line, "kind: expected board, gateway, reader, publisher-relay or admin");
}

static void add_keys(struct reading *p, const char *value)
{
	struct access_entry *e = p->at;

	/* A comma is no character of a key, nor is a blank. */
	for (size_t len; (len = next_word(&value)) > 0; value += len) {
		char key[ACCESS_KEY_TEXT] = "";

		if (len == sizeof key - 1)
			memcpy(key, value, len);
		if (!dibao_key_check(key)) {
			fault(p, p->line, "public_key: expected 40 characters of Z85");
			return;
		}
		if (e->n_keys == ACCESS_KEYS_MAX) {
			fault(p, p->line, "public_key: expected at most %d of one name",
			      ACCESS_KEYS_MAX);
			return;
		}
		memcpy(e->keys[e->n_keys], key, sizeof key);
		e->key_lines[e->n_keys++] = p->line;
	}
}

static void set_types(struct reading *p, const char *value)
{
	struct access_entry *e = p->at;

	if (e->types_line) {
		fault(p, p->line, "types is set twice");
		return;
	}
	e->types_line = p->line;
	for (size_t len; (len = next_word(&value)) > 0; value += len) {
		if (is_word(value, len, "*"))
			e->all_types = true;
		else if (len > FILTER_TYPE_MAX)
			fault(p, p->line, "types: expected names of 1 to %d bytes",
			      FILTER_TYPE_MAX);
		else if (e->grant.n_types == WIRE_TYPES_MAX)
			fault(p, p->line, "types: expected at most %d", WIRE_TYPES_MAX);
		else
			filter_add_type(&e->grant, (struct dibao_str){value, len});
	}
}

static void set_orgs(struct reading *p, const char *value)
{
	struct access_entry *e = p->at;

	if (e->orgs_line) {
		fault(p, p->line, "orgs is set twice");
		return;
	}
	e->orgs_line = p->line;
	for (size_t len; (len = next_word(&value)) > 0; value += len) {
		if (is_word(value, len, "*"))
			e->all_orgs = true;
		else if (e->grant.n_orgs == WIRE_ORGS_MAX)
			fault(p, p->line, "orgs: expected at most %d", WIRE_ORGS_MAX);
		else if (filter_add_org(&e->grant, (struct dibao_str){value, len}) < 0)
			fault(p, p->line,
			      "orgs: expected codes or prefixes of 1 to 12 digits, or *");
	}
}

static void set_channels(struct reading *p, const char *value)
{
	struct access_entry *e = p->at;

	if (e->channels_line) {
		fault(p, p->line, "channels is set twice");
		return;
	}
	e->channels_line = p->line;
	for (size_t len; (len = next_word(&value)) > 0; value += len) {
		int c = 0;

		while (c < DIBAO_CHANNEL_COUNT && !is_word(value, len, dibao_channel_name(c)))
			c++;
		if (c == DIBAO_CHANNEL_COUNT)
			fault(p, p->line,
			      "channels: expected public, public-now, private, private-now");
		else
			e->channels |= (uint8_t)(1u << c);
	}
}

static bool is_name(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return n > 0 && n <= ACCESS_NAME_MAX && !s[n];
}

static void set_durable(struct reading *p, const char *value)
{
	struct access_entry *e = p->at;

	if (e->durable_line) {
		fault(p, p->line, "durable is set twice");
		return;
	}
	e->durable_line = p->line;
	if (!strcmp(value, "*"))
		e->any_durable = true;
	else if (is_name(value))
		snprintf(e->durable, sizeof e->durable, "%s", value);
	else
		fault(p, p->line, "durable: expected 1 to %d of A-Z a-z 0-9 . _ -, or *",
		      ACCESS_NAME_MAX);
}

static void set_number(struct reading *p, bool *seen, const char *name, const char *value,
		       const char *units, int64_t min, int64_t max, int64_t *ret)
{
	int64_t v = number(value, units);

	if (*seen)
		fault(p, p->line, "%s is set twice", name);
	else if (v < min || v > max)
		fault(p, p->line, "%s: expected %lld to %lld%s", name, (long long)min,
		      (long long)max,
		      units == time_units   ? " ms, or with ms, s, min, h, d"
		      : units == byte_units ? " bytes, or with K, M"
					    : "");
	else
		*ret = v;
	*seen = true;
}

/* "YYYY-MM-DD": valid to the end of that day, by the daemon's zone. */
static void set_expires(struct reading *p, const char *value)
{
	struct access_entry *e = p->at;
	struct tm tm = {.tm_isdst = -1}, same;
	int n = 0;
	time_t t;

	if (e->expires_line) {
		fault(p, p->line, "expires is set twice");
		return;
	}
	e->expires_line = p->line;
	if (strlen(value) == 10 &&
	    sscanf(value, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &n) == 3 &&
	    n == 10 && tm.tm_year >= 1970 && tm.tm_year < 2200) {
		tm.tm_year -= 1900;
		tm.tm_mon -= 1;
		same = tm;
		same.tm_hour = 12;
		t = mktime(&same);
		/* A day that does not exist comes back as another one. */
		if (t != -1 && same.tm_mday == tm.tm_mday && same.tm_mon == tm.tm_mon) {
			tm.tm_mday++;
			t = mktime(&tm);
			e->expires_ms = (int64_t)t * 1000;
			return;
		}
	}
	fault(p, p->line, "expires: expected a day, YYYY-MM-DD");
}

static void set_option(struct reading *p, const char *name, const char *value)
{
	struct access_entry *e = p->at;
	bool seen_window = e->window_line > 0;
	int64_t v = -1;

	if (!strcmp(name, "kind")) {
		set_kind(p, value);
	} else if (!strcmp(name, "public_key")) {
		add_keys(p, value);
	} else if (!strcmp(name, "types")) {
		set_types(p, value);
	} else if (!strcmp(name, "orgs")) {
		set_orgs(p, value);
	} else if (!strcmp(name, "channels")) {
		set_channels(p, value);
	} else if (!strcmp(name, "durable")) {
		set_durable(p, value);
	} else if (!strcmp(name, "hold")) {
		set_number(p, &p->seen_hold, name, value, time_units, 0, HOLD_MAX_MS, &e->hold_ms);
	} else if (!strcmp(name, "mask_names")) {
		e->mask_names = !strcmp(value, "yes");
		if (p->seen_mask)
			fault(p, p->line, "mask_names is set twice");
		else if (!e->mask_names && strcmp(value, "no") != 0)
			fault(p, p->line, "mask_names: expected yes or no");
		p->seen_mask = true;
	} else if (!strcmp(name, "rate")) {
		set_number(p, &p->seen_rate, name, value, "", 0, 1000000, &v);
		e->rate = v > 0 ? (uint32_t)v : 0;
	} else if (!strcmp(name, "window")) {
		set_number(p, &seen_window, name, value, byte_units, WIRE_WINDOW_MIN,
			   WIRE_WINDOW_MAX, &v);
		e->window_bytes = v > 0 ? (uint32_t)v : 0;
		e->window_line = p->line;
	} else if (!strcmp(name, "expires")) {
		set_expires(p, value);
	} else {
		fault(p, p->line, "unknown option: %.64s", name);
	}
}

/* ---- a section ---- */

static bool is_keyless(const struct access_entry *e)
{
	return !strcmp(e->name, ACCESS_LOCAL) || !strcmp(e->name, ACCESS_INSECURE);
}

static void check_board(struct reading *p, const struct access_entry *e)
{
	size_t n;
	const struct dibao_type_spec *types = dibao_types(&n);

	if (e->all_types)
		fault(p, e->types_line, "types: a board cannot get *, which has private ones");
	for (unsigned i = 0; i < e->grant.n_types; i++) {
		int t = dibao_type_find(e->grant.types[i].name, e->grant.types[i].len);

		if (t < 0 || types[t].audience != DIBAO_AUDIENCE_PUBLIC)
			fault(p, e->types_line,
			      "types: a board cannot get %.*s, which is private%s",
			      (int)e->grant.types[i].len, e->grant.types[i].name,
			      t < 0 ? " for it is unknown" : "");
	}
	if (e->channels & PRIVATE)
		fault(p, e->channels_line, "channels: a board cannot get private ones");
}

/* What involves two options. */
static void end_section(struct reading *p)
{
	struct access_entry *e = p->at;

	if (!e)
		return;
	if (!p->seen_kind)
		fault(p, e->line, "[%s] kind: missing", e->name);
	if (is_keyless(e) ? e->n_keys > 0 : !e->n_keys)
		fault(p, e->line, "[%s] public_key: %s", e->name,
		      e->n_keys ? "this name stands for peers without a key" : "missing");
	if (e->n_keys == 2 && !strcmp(e->keys[0], e->keys[1]))
		fault(p, e->key_lines[1], "public_key: the same twice");
	if (e->kind <= ACCESS_READER && !e->types_line)
		fault(p, e->line, "[%s] types: missing; expected names%s", e->name,
		      e->kind == ACCESS_BOARD ? "" : " or *");
	if (e->kind <= ACCESS_READER && !e->orgs_line)
		fault(p, e->line, "[%s] orgs: missing; expected codes, prefixes or *", e->name);
	if (!e->channels_line)
		e->channels = e->kind == ACCESS_BOARD ? PUBLIC : PUBLIC | PRIVATE;
	if (e->kind == ACCESS_BOARD)
		check_board(p, e);
	for (int c = DIBAO_CHANNEL_PUBLIC; c <= DIBAO_CHANNEL_PRIVATE; c++)
		if (e->channels >> c & 1 && !(e->channels >> (c + 2) & 1))
			fault(p, e->channels_line,
			      "channels: %s without %s: withdrawals would not arrive",
			      dibao_channel_name(c), dibao_channel_name(c + 2));
	if (p->seen_hold && !e->durable[0])
		fault(p, e->line, "[%s] hold: expected a durable name beside it", e->name);
	p->at = NULL;
}

static void begin_section(struct reading *p, const char *name)
{
	struct access *a = p->policy;

	end_section(p);
	p->seen_kind = p->seen_hold = p->seen_mask = p->seen_rate = false;
	if (!is_name(name))
		fault(p, p->line, "[%.32s]: expected a name of 1 to %d of A-Z a-z 0-9 . _ -", name,
		      ACCESS_NAME_MAX);
	if (a->n == ACCESS_ENTRIES_MAX) {
		fault(p, p->line, "expected at most %d names", ACCESS_ENTRIES_MAX);
		p->error = -E2BIG;
		return;
	}
	if (a->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 16;
		struct access_entry *more = realloc(a->entries, cap * sizeof *more);

		if (!more) {
			p->error = -ENOMEM;
			return;
		}
		a->entries = more;
		p->cap = cap;
	}
	p->at = &a->entries[a->n++];
	*p->at = (struct access_entry){
		.line = p->line, .hold_ms = -1, .expires_ms = INT64_MAX, .kind = ACCESS_BOARD};
	snprintf(p->at->name, sizeof p->at->name, "%s", name);
}

/* ---- a file ---- */

/* inih's reader: one line into buf, NULL at the end. */
static char *next_line(char *buf, int size, void *userdata)
{
	struct reading *p = userdata;
	char *start, *end, *rest;
	size_t len;

	if (p->error == -E2BIG || p->error == -ENOMEM || !fgets(buf, size, p->file))
		return NULL;
	p->line++;
	len = strlen(buf);
	if (len == 0 || (buf[len - 1] != '\n' && !feof(p->file))) {
		fault(p, p->line,
		      "expected lines of at most %d bytes of text; the rest is not read", size - 3);
		p->error = -E2BIG;
		return NULL;
	}
	/* inih tells of a section with its first option; one without any would be missed, and a
	 * name over its 50 bytes cut. */
	start = buf + strspn(buf, " \t");
	end = *start == '[' ? strchr(start, ']') : NULL;
	rest = end ? end + 1 + strspn(end + 1, " \t\r\n") : NULL;
	if (rest && *rest && *rest != ';') {
		fault(p, p->line, "expected nothing behind [NAME]");
	} else if (end) {
		*end = '\0';
		begin_section(p, start + 1);
		strcpy(start, "\n");
	}
	return buf;
}

/* inih's handler: non-zero = go on. */
static int on_option(void *userdata, const char *section, const char *name, const char *value)
{
	struct reading *p = userdata;

	(void)section;
	for (const char *s = value; *s; s++)
		if ((unsigned char)*s < 0x20 && *s != '\t') {
			fault(p, p->line, "%.64s: expected text without control characters", name);
			return 1;
		}
	if (p->at)
		set_option(p, name, value);
	else if (p->error == 0)
		fault(p, p->line, "%.64s: expected a section [NAME] before it", name);
	return 1;
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct access_entry *)a)->name,
		      ((const struct access_entry *)b)->name);
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(((const struct access_key *)a)->key, ((const struct access_key *)b)->key);
}

/* Sorted, and nobody twice. */
static void index_all(struct reading *p)
{
	struct access *a = p->policy;

	if (a->n)
		qsort(a->entries, a->n, sizeof *a->entries, compare_entries);
	a->keys = calloc(a->n * ACCESS_KEYS_MAX + 1, sizeof *a->keys);
	if (!a->keys) {
		p->error = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < a->n; i++) {
		const struct access_entry *e = &a->entries[i];

		if (i && !strcmp(e->name, e[-1].name))
			fault(p, e->line > e[-1].line ? e->line : e[-1].line, "[%s] stands twice",
			      e->name);
		for (unsigned k = 0; k < e->n_keys; k++) {
			struct access_key *key = &a->keys[a->n_keys++];

			memcpy(key->key, e->keys[k], sizeof key->key);
			key->entry = (uint32_t)i;
		}
	}
	if (a->n_keys)
		qsort(a->keys, a->n_keys, sizeof *a->keys, compare_keys);
	for (size_t i = 1; i < a->n_keys; i++)
		if (!strcmp(a->keys[i].key, a->keys[i - 1].key) &&
		    a->keys[i].entry != a->keys[i - 1].entry)
			fault(p, a->entries[a->keys[i].entry].line, "[%s] and [%s] have one key",
			      a->entries[a->keys[i - 1].entry].name,
			      a->entries[a->keys[i].entry].name);
}

/* One's own machine may do all, unless the file says what. */
static void add_open(struct reading *p, const char *name)
{
	begin_section(p, name);
	if (!p->at)
		return;
	p->at->line = 0;
	p->at->kind = ACCESS_ADMIN;
	p->at->all_types = p->at->all_orgs = p->at->any_durable = true;
	p->at->channels = PUBLIC | PRIVATE;
	p->at = NULL;
}

static bool has_section(const struct access *a, const char *name)
{
	for (size_t i = 0; i < a->n; i++)
		if (!strcmp(a->entries[i].name, name))
			return true;
	return false;
}

static void read_file(struct reading *p)
{
	int r;

	ini_use_stack = false;
	ini_max_line = LINE_BYTES;
	ini_initial_alloc = LINE_BYTES;
	ini_allow_multiline = false;
	r = ini_parse_stream(next_line, p, on_option, p);
	if (r == -2)
		p->error = -ENOMEM;
	if (p->error != -E2BIG && p->error != -ENOMEM) {
		if (r > 0)
			fault(p, (unsigned)r, "expected [NAME], option = value, or a comment");
		if (ferror(p->file))
			fault(p, 0, "cannot be read");
		end_section(p);
	}
}

int access_parse(struct access **ret, FILE *file, const char *name, FILE *err_out)
{
	struct reading p = {.file = file, .err_out = err_out, .path = name};

	p.policy = calloc(1, sizeof *p.policy);
	if (!p.policy)
		return -ENOMEM;
	if (file)
		read_file(&p);
	if (!p.error && !has_section(p.policy, ACCESS_LOCAL))
		add_open(&p, ACCESS_LOCAL);
	if (!p.error && !file)
		add_open(&p, ACCESS_INSECURE);
	if (p.error != -ENOMEM)
		index_all(&p);
	if (p.error < 0) {
		access_free(p.policy);
		return p.error == -E2BIG ? -EINVAL : p.error;
	}
	*ret = p.policy;
	return 0;
}

int access_load(struct access **ret, const char *path, FILE *err_out)
{
	FILE *file;
	int r;

	if (!path || !*path)
		return access_parse(ret, NULL, NULL, err_out);
	file = fopen(path, "re");
	if (!file) {
		r = -errno;
		if (err_out)
			fprintf(err_out, "%s: %s\n", path, strerror(-r));
		return r;
	}
	r = access_parse(ret, file, path, err_out);
	fclose(file);
	return r;
}
