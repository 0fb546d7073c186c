/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set of templates: files found and named, and the one for an event. It is whole or it is
 * refused: for each type that has any template there is one for every case that can come, so that
 * an event without a text is always meant (text: none).
 */
#include "template_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 16384, SIGNATURE_MIN = 2, SIGNATURE_MAX = 32 };

static const char suffix[] = ".tmpl";

static const struct dibao_type_spec *type_spec(int type)
{
	size_t n;

	return &dibao_types(&n)[type];
}

static bool has_field(const struct dibao_type_spec *t, const char *name)
{
	for (const struct dibao_field_spec *f = t->body; f->name; f++)
		if (!strcmp(f->name, name))
			return true;
	return false;
}

/* ---- names of files ---- */

/* One word behind the type's; false if it is not in its place. */
static bool take_word(struct template_use *use, const char *word, unsigned *place)
{
	const struct dibao_type_spec *t = type_spec(use->type);
	bool is_state = !strcmp(word, "proposed") || !strcmp(word, "final");
	bool is_act = !strcmp(word, "correction") || !strcmp(word, "retraction");
	unsigned now = is_act ? 1 : is_state ? 2 : !strcmp(word, "private") ? 3 : 4;

	if (now <= *place)
		return false;
	*place = now;
	if (is_act) {
		use->act = word[0] == 'c' ? TEMPLATE_CORRECTION : TEMPLATE_RETRACTION;
	} else if (is_state) {
		use->proposed = word[0] == 'p';
		use->final = word[0] == 'f';
		return has_field(t, "state") && use->act != TEMPLATE_RETRACTION;
	} else if (now == 3) {
		use->is_private = true;
		return t->audience == DIBAO_AUDIENCE_PUBLIC;
	} else {
		snprintf(use->kind, sizeof use->kind, "%s", word);
		return has_field(t, "kind") && use->act != TEMPLATE_RETRACTION &&
		       strlen(word) < sizeof use->kind;
	}
	return true;
}

static int read_name(struct template *t, const char *file, struct template_fault *fault)
{
	size_t len = strlen(file) - (sizeof suffix - 1);
	char words[NAME_MAX_BYTES], *save = NULL, *word;
	unsigned place = 0;

	if (len >= sizeof words)
		return template_fail(fault, 0, 0, "the file's name is too long");
	memcpy(words, file, len);
	words[len] = '\0';
	memcpy(t->name, words, len + 1);
	word = strtok_r(words, ".", &save);
	t->use.type = word ? dibao_type_find(word, strlen(word)) : -ENOENT;
	if (t->use.type < 0)
		return template_fail(fault, 0, 0,
				     "the file's name begins with no type (see dibaoctl types)");
	while ((word = strtok_r(NULL, ".", &save)))
		if (!take_word(&t->use, word, &place))
			return template_fail(
				fault, 0, 0,
				"the file's name: %.32s is not a word that can stand there "
				"(TYPE.correction|retraction.proposed|final.private.KIND-CODE)",
				word);
	return 0;
}

/* ---- options ---- */

static bool is_sound_signature(const char *s, int units)
{
	char copy[256];
	size_t len = strlen(s);

	if (units < SIGNATURE_MIN || units > SIGNATURE_MAX || strstr(s, "【") || strstr(s, "】"))
		return false;
	memcpy(copy, s, len);
	return smstext_clean(copy, len) == (int)len;
}

static int take_words(char (*to)[2 * WORD_MAX], unsigned *n, unsigned max, const char *const *words)
{
	for (; words && *words; words++) {
		if (*n == max || strlen(*words) >= 2 * WORD_MAX)
			return -EINVAL;
		strcpy(to[(*n)++], *words);
	}
	return 0;
}

/* "penalty.kind", "penalty.*": a private field of that type, or of its retraction; or all. */
static bool is_field_word(const char *word)
{
	const char *dot = strchr(word, '.');
	struct template_field f;
	struct template_use use = {0};

	use.type = dot ? dibao_type_find(word, (size_t)(dot - word)) : -ENOENT;
	if (use.type < 0)
		return false;
	if (!strcmp(dot, ".*"))
		return true;
	if (template_field_find(&f, &use, dot + 1, strlen(dot + 1)) == 0)
		return strncmp(f.path, "body.", 5) == 0;
	use.act = TEMPLATE_RETRACTION;
	return template_field_find(&f, &use, dot + 1, strlen(dot + 1)) == 0;
}

static int take_options(struct templates *s, const struct template_options *o,
			struct template_fault *fault)
{
	static const char demo[] = "演示：";
	const char *sign = o->signature ? o->signature : "";
	int units = strlen(sign) < 128 ? smstext_units(sign, strlen(sign)) : -EINVAL;

	if (!is_sound_signature(sign, units))
		return template_fail(fault, 0, 0,
				     "the signature is missing or not one: expected the registered "
				     "name of %d to %d characters, without 【】",
				     SIGNATURE_MIN, SIGNATURE_MAX);
	snprintf(s->front, sizeof s->front, "%s%s%s%s", o->gateway_signs ? "" : "【",
		 o->gateway_signs ? "" : sign, o->gateway_signs ? "" : "】", o->demo ? demo : "");
	snprintf(s->signature, sizeof s->signature, "%s", sign);
	s->gateway_signs = o->gateway_signs;
	s->before = o->gateway_signs ? (unsigned)units + 2 : 0;
	s->front_units = (unsigned)units + 2 + (o->demo ? 3 : 0);
	if (take_words(s->disclose, &s->n_disclose, DISCLOSE_MAX, o->disclose) < 0)
		return template_fail(fault, 0, 0, "disclose: too many words, or one too long");
	for (unsigned i = 0; i < s->n_disclose; i++)
		if (!is_field_word(s->disclose[i]))
			return template_fail(fault, 0, 0,
					     "disclose: %s: expected TYPE.FIELD or TYPE.*",
					     s->disclose[i]);
	for (const char *const *g = o->gateways_with_ids; g && *g; g++) {
		if (s->n_gateways == CARRIERS_MAX || strlen(*g) >= WORD_MAX)
			return template_fail(fault, 0, 0, "over %d gateways with ids",
					     CARRIERS_MAX);
		strcpy(s->gateways[s->n_gateways++], *g);
	}
	return 0;
}

/* ---- loading ---- */

static int read_file(int dir, const char *name, char *buf, size_t *ret_len,
		     struct template_fault *fault)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;

	if (fd < 0) {
		template_fail(fault, 0, 0, "%s", strerror(errno));
		return -errno;
	}
	while (len < FILE_BYTES_MAX + 1 && (n = read(fd, buf + len, FILE_BYTES_MAX + 1 - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		template_fail(fault, 0, 0, "%s", strerror(errno));
	close(fd);
	if (n < 0)
		return -EIO;
	if (len > FILE_BYTES_MAX)
		return template_fail(fault, 0, 0, "over %d bytes", FILE_BYTES_MAX);
	*ret_len = len;
	return 0;
}

static void set_version(struct template *t, const char *text, size_t len)
{
	unsigned char hash[crypto_generichash_BYTES_MIN];

	crypto_generichash(hash, sizeof hash, (const unsigned char *)text, len, NULL, 0);
	sodium_bin2hex(t->version, sizeof t->version, hash, (TEMPLATE_VERSION_BYTES - 1) / 2);
}

/* A path too long is told by its end. */
static void set_file(struct template_fault *fault, const char *dir, const char *name)
{
	if (snprintf(fault->file, sizeof fault->file, "%s/%s", dir, name) >=
	    (int)sizeof fault->file)
		snprintf(fault->file, sizeof fault->file, ".../%.240s", name);
}

static int load_file(struct templates *s, int dir, const char *name, struct template_fault *fault)
{
	char text[FILE_BYTES_MAX + 1];
	struct template *t;
	size_t len = 0, skip;
	int r;

	if (s->n == TEMPLATE_FILES_MAX)
		return template_fail(fault, 0, 0, "over %d templates", TEMPLATE_FILES_MAX);
	t = calloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	s->at[s->n++] = t;
	r = read_name(t, name, fault);
	if (r == 0)
		r = read_file(dir, name, text, &len, fault);
	if (r < 0)
		return r;
	set_version(t, text, len);
	skip = len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
	return template_compile(t, s, text + skip, len - skip, fault);
}

static int is_template(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return e->d_name[0] != '.' && n >= sizeof suffix && !strcmp(e->d_name + n - 5, suffix);
}

static int load_all(struct templates *s, const char *dir, struct template_fault *fault)
{
	struct dirent **files;
	int fd, n, r = 0;

	snprintf(fault->file, sizeof fault->file, "%s", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	n = fd < 0 ? -1 : scandirat(fd, ".", &files, is_template, alphasort);
	if (n < 0) {
		r = -errno;
		template_fail(fault, 0, 0, "%s", strerror(errno));
	}
	for (int i = 0; i < n; i++) {
		if (r == 0) {
			set_file(fault, dir, files[i]->d_name);
			r = load_file(s, fd, files[i]->d_name, fault);
		}
		free(files[i]);
	}
	if (n >= 0)
		free(files);
	if (fd >= 0)
		close(fd);
	if (r == -ENOMEM)
		template_fail(fault, 0, 0, "no memory");
	return r;
}

/* ---- finding ---- */

/* How well a template fits a use; 0: not at all. */
static unsigned fit(const struct template *t, const struct template_use *want)
{
	const struct template_use *u = &t->use;

	if (u->type != want->type || u->act != want->act)
		return 0;
	if ((u->proposed && !want->proposed) || (u->final && !want->final))
		return 0;
	if (u->is_private != want->is_private && (u->is_private || !t->none))
		return 0;
	if (u->kind[0] && strcmp(u->kind, want->kind) != 0)
		return 0;
	return 1 + u->is_private + 2 * (u->proposed || u->final) + 4 * (u->kind[0] != '\0');
}

static const struct template *best(const struct templates *s, const struct template_use *want)
{
	const struct template *found = NULL;
	unsigned most = 0;

	for (unsigned i = 0; i < s->n; i++) {
		unsigned k = fit(s->at[i], want);

		if (k > most) {
			most = k;
			found = s->at[i];
		}
	}
	return found;
}

/* Every case of a type that has any template at all. */
static int check_type(const struct templates *s, int type, const char *dir,
		      struct template_fault *fault)
{
	static const char *const acts[] = {"", ".correction", ".retraction"};
	const struct dibao_type_spec *spec = type_spec(type);
	char name[NAME_MAX_BYTES];
	bool any = false;

	for (unsigned i = 0; i < s->n; i++)
		any |= s->at[i]->use.type == type;
	for (unsigned c = 0; any && c < 3 * 2 * 2; c++) {
		struct template_use u = {.type = type, .act = c / 4};
		bool state = has_field(spec, "state") && u.act != TEMPLATE_RETRACTION;

		u.is_private = c & 1;
		u.proposed = state && (c & 2);
		u.final = state && !(c & 2);
		if ((u.is_private && spec->audience != DIBAO_AUDIENCE_PUBLIC) ||
		    (!state && (c & 2)) || best(s, &u))
			continue;
		snprintf(name, sizeof name, "%s%s%s%s%s", spec->name, acts[u.act],
			 u.proposed ? ".proposed"
			 : u.final  ? ".final"
				    : "",
			 u.is_private ? ".private" : "", suffix);
		set_file(fault, dir, name);
		return template_fail(fault, 0, 0,
				     "no template for this case: write one, or one that says "
				     "text: none");
	}
	return 0;
}

int templates_load(struct templates **ret, const char *dir, const struct template_options *o,
		   struct template_fault *fault)
{
	struct templates *s = calloc(1, sizeof *s);
	size_t n_types;
	int r;

	memset(fault, 0, sizeof *fault);
	if (!s) {
		template_fail(fault, 0, 0, "no memory");
		return -ENOMEM;
	}
	snprintf(fault->file, sizeof fault->file, "%s", dir);
	r = take_options(s, o, fault);
	if (r == 0)
		r = load_all(s, dir, fault);
	if (r == 0 && s->n == 0)
		r = template_fail(fault, 0, 0, "no templates here (NAME.tmpl)");
	dibao_types(&n_types);
	for (size_t t = 0; r == 0 && t < n_types; t++)
		r = check_type(s, (int)t, dir, fault);
	if (r < 0) {
		templates_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct templates *templates_ref(struct templates *t)
{
	t->n_refs++;
	return t;
}

const char *templates_signature(const struct templates *t, bool *ret_by_gateway)
{
	*ret_by_gateway = t->gateway_signs;
	return t->signature;
}

unsigned templates_count(const struct templates *t)
{
	return t->n;
}

struct templates *templates_free(struct templates *t)
{
	if (t && t->n_refs) {
		t->n_refs--;
	} else if (t) {
		for (unsigned i = 0; i < t->n; i++)
			free(t->at[i]);
		free(t);
	}
	return NULL;
}

const struct template *templates_find(const struct templates *t, const struct dibao_event *ev,
				      enum template_act act)
{
	struct template_use want = {.type = ev->type, .act = act};
	const struct dibao_type_spec *spec;
	struct dibao_str s;

	if (ev->type < 0)
		return NULL;
	spec = type_spec(ev->type);
	want.is_private = ev->is_private && spec->audience == DIBAO_AUDIENCE_PUBLIC;
	if (act != TEMPLATE_RETRACTION) {
		if (dibao_event_str(ev, "body.state", &s) == 0) {
			want.proposed = s.len == 8;
			want.final = s.len == 5;
		}
		if (dibao_event_str(ev, "body.kind.code", &s) == 0 && s.len < sizeof want.kind)
			snprintf(want.kind, sizeof want.kind, "%.*s", (int)s.len, s.p);
	}
	return best(t, &want);
}

bool template_is_none(const struct template *t)
{
	return t->none;
}

const char *template_name(const struct template *t)
{
	return t->name;
}

const char *template_version(const struct template *t)
{
	return t->version;
}

unsigned template_worst_units(const struct template *t)
{
	return t->worst_units;
}

const char *template_carrier_id(const struct template *t, const char *gateway)
{
	for (unsigned i = 0; i < t->n_carriers; i++)
		if (!strcmp(t->carriers[i].gateway, gateway))
			return t->carriers[i].id;
	return NULL;
}
