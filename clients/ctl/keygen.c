/* SPDX-License-Identifier: Apache-2.0 */
/* keygen: a key pair for one name, and what to write into the policy for it. The secret key goes
 * into its file and nowhere else. */
#include "ctl.h"

#include <dibao/key.h>
#include <errno.h>
#include <string.h>

static const char *const kinds[] = {"board", "gateway", "reader", "publisher-relay", "admin"};

struct keygen {
	const char *name, *kind, *file;
	bool server, show;
};

static bool is_kind(const char *s)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (!strcmp(s, kinds[i]))
			return true;
	return false;
}

static int parse(struct keygen *k, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--server"))
			k->server = true;
		else if (!strcmp(argv[i], "--show"))
			k->show = true;
		else if (!strcmp(argv[i], "--kind") && i + 1 < argc && is_kind(argv[i + 1]))
			k->kind = argv[++i];
		else if (!strcmp(argv[i], "--out") && i + 1 < argc)
			k->file = argv[++i];
		else if (argv[i][0] != '-' && !k->name)
			k->name = argv[i];
		else
			return ctl_fail(EX_USAGE, "keygen: unexpected argument: %s", argv[i]);
	}
	if (!k->name || strlen(k->name) > 64 ||
	    strspn(k->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") !=
		    strlen(k->name))
		return ctl_fail(EX_USAGE,
				"keygen: expected a name of 1 to 64 of A-Z a-z 0-9 . _ -");
	return 0;
}

/* What loads as it stands, and grants the least that the kind is of use with. */
static void print_stanza(const struct ctl *c, const struct keygen *k, const char *public)
{
	bool digits = c->bureau[strspn(c->bureau, "0123456789")] == '\0';

	printf("[%s]\nkind = %s\npublic_key = %s\n", k->name, k->kind, public);
	if (!strcmp(k->kind, "admin") || !strcmp(k->kind, "publisher-relay"))
		return;
	printf("types = %s\norgs = %s\n", !strcmp(k->kind, "gateway") ? "*" : "promotion award",
	       digits && strlen(c->bureau) <= 12 ? c->bureau : "*");
	if (strcmp(k->kind, "reader") != 0)
		printf("durable = %s\n", k->name);
}

int ctl_keygen(struct ctl *c, int argc, char **argv)
{
	struct keygen k = {.kind = "reader"};
	char public[DIBAO_KEY_TEXT], file[80];
	struct dibao_error err;
	int r = parse(&k, argc, argv);

	if (r)
		return r;
	if (!k.file) {
		/* With a slash, for a bare name is a credential's. */
		snprintf(file, sizeof file, "./%s.key", k.name);
		k.file = file;
	}
	r = k.show ? dibao_key_read(k.file, public, NULL, &err)
		   : dibao_key_generate(k.file, k.name, public, &err);
	if (r < 0)
		return ctl_fail(r == -EEXIST		      ? EX_CANTCREAT
				: r == -EPERM || r == -EACCES ? EX_NOPERM
							      : EX_IOERR,
				"%s", err.reason);
	if (!k.show)
		fprintf(stderr, "dibaoctl: the secret key is in %s, for its owner alone\n", k.file);
	if (c->json)
		printf("{\"name\":\"%s\",\"public_key\":\"%s\"}\n", k.name, public);
	else if (k.server)
		printf("# dibaod.conf, of the daemon:\n[dibao]\ncurve_key_file = %s\n\n"
		       "# and of its clients:\n[client]\nserver_key = %s\n",
		       k.file, public);
	else
		print_stanza(c, &k, public);
	return 0;
}
