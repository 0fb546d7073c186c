# dibao. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := all
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
LIBDIR ?= $(PREFIX)/lib
VERSION := 0.1.0
SOVERSION := 0
SANITIZE ?=
WERROR ?= 0
empty :=
comma := ,
BUILD ?= build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
CC ?= cc
PKG_CONFIG ?= pkg-config

# ---- what must be installed, by Debian's names ----
DEPS_BUILD := gcc libc6-dev make pkg-config libzmq3-dev libhiredis-dev libmsgpack-dev libsystemd-dev libinih-dev libsodium-dev libjansson-dev \
	libcurl4-openssl-dev libmicrohttpd-dev libsqlite3-dev libncurses-dev libutf8proc-dev
DEPS_RUN := redis-server redis-tools
DEPS_BOARD := fonts-noto-cjk fonts-hanazono
DEPS_TEST := libcmocka-dev perl python3 python3-zmq python3-msgpack python3-redis mandoc strace kannel kannel-extras chromium nodejs npm \
	systemd cage xwayland grim $(DEPS_BOARD)
DEPS_BENCH := gnuplot-nox python3 python3-msgpack python3-redis chromium nodejs npm $(DEPS_BOARD)
PC_MSGPACK := $(shell $(PKG_CONFIG) --exists msgpack-c 2>/dev/null && echo msgpack-c || echo msgpack)
PC := libzmq hiredis $(PC_MSGPACK) libsystemd inih libsodium jansson
PC_CLIENTS := libcurl libmicrohttpd sqlite3 libutf8proc ncursesw

CFLAGS ?= -O2 -g
OUR_CFLAGS := -std=gnu17 -fPIC -D_GNU_SOURCE -DDIBAO_VERSION='"$(VERSION)"' -Iinclude -Ilib -Ilib/host \
	-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wundef -Wvla \
	-fstack-protector-strong -fno-strict-aliasing $(shell $(PKG_CONFIG) --cflags $(PC) 2>/dev/null)
ifeq ($(WERROR),1)
OUR_CFLAGS += -Werror
endif
ifneq ($(SANITIZE),)
OUR_CFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
OUR_LDFLAGS += -fsanitize=$(SANITIZE)
else
OUR_CFLAGS += $(if $(filter -O0,$(CFLAGS)),,-D_FORTIFY_SOURCE=2)
endif
LIBS := $(shell $(PKG_CONFIG) --libs $(PC) 2>/dev/null) -lm
CLIENT_LIBS := $(shell $(PKG_CONFIG) --libs $(PC_CLIENTS) 2>/dev/null)

# ---- sources are found, not listed: a new file needs no line here ----
LIB_SRC := $(wildcard lib/*.c)
HOST_SRC := $(wildcard lib/host/*.c)
DAEMON_SRC := $(filter-out daemon/main.c,$(wildcard daemon/*.c))
CTL_SRC := $(filter-out clients/ctl/main.c,$(wildcard clients/ctl/*.c))
SMS_SRC := $(filter-out clients/sms/main.c,$(wildcard clients/sms/*.c))
BOARD_SRC := $(filter-out clients/board/main.c,$(wildcard clients/board/*.c))
SEED_SRC := $(filter-out seeds/main.c,$(wildcard seeds/*.c))
UNIT_SRC := $(wildcard tests/unit/test_*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
BENCH_SRC := $(wildcard tests/bench/*.c)
E2E_SRC := $(filter-out tests/e2e/shim.c tests/e2e/leaky.c,$(wildcard tests/e2e/*.c))
obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB_OBJ := $(call obj,$(LIB_SRC)) $(BUILD)/obj/lib/queue_lua.o
# What a test may link: programs without their main.c, each part needing those behind it.
PARTS := $(patsubst %,$(BUILD)/lib/lib%.a,ctl $(if $(SMS_SRC),sms) $(if $(BOARD_SRC),board) daemon host dibao)
PROGRAMS := $(patsubst %,$(BUILD)/bin/%,dibaod dibaoctl dibao-seed $(if $(wildcard clients/sms/main.c),dibao-sms) \
	$(if $(wildcard clients/board/main.c),dibao-board))
UNITS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SRC))
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/tests/replay_%,$(FUZZ_SRC))
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(BENCH_SRC))
E2E_TOOLS := $(patsubst tests/e2e/%.c,$(BUILD)/tests/%,$(E2E_SRC))
E2E_SHIM := $(BUILD)/tests/shim.so $(BUILD)/tests/dibaod-leaky
LEAKY := -Wl,--wrap=dibao_view_encode

.PHONY: all
all: $(PROGRAMS) $(BUILD)/lib/libdibao.a $(BUILD)/lib/libdibao.so ## build programs and library

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n",$$1,$$2}' $(firstword $(MAKEFILE_LIST))

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@$(if $(Q),echo "  CC      $<")
	$(Q)$(CC) $(OUR_CFLAGS) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Remembers the flags, so that changing them rebuilds.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(OUR_CFLAGS) $(CPPFLAGS) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(OUR_CFLAGS) $(CPPFLAGS) $(CFLAGS)' > $@
FORCE:

# A .lua as a symbol beside its C: queue_lua[], queue_lua_size.
define embed
$$(BUILD)/gen/$(notdir $(1))_lua.c: $(1).lua
	@mkdir -p $$(@D)
	@{ echo '/* made from $(1).lua */'; echo 'const char $(notdir $(1))_lua[] = {'; od -An -v -tu1 $$< | sed 's/[0-9][0-9]*/&,/g'; echo '0};'; echo 'const unsigned long $(notdir $(1))_lua_size = sizeof $(notdir $(1))_lua - 1;'; } > $$@
$$(BUILD)/obj/$(1)_lua.o: $$(BUILD)/gen/$(notdir $(1))_lua.c
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -fPIC $$(CFLAGS) -c -o $$@ $$<
endef
$(eval $(call embed,lib/queue))
$(eval $(call embed,clients/sms/outbox))

$(BUILD)/lib/libdibao.a: $(LIB_OBJ)
	@mkdir -p $(@D)
	@$(if $(Q),echo "  AR      $@")
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(BUILD)/lib/libdibao.so: $(LIB_OBJ) lib/libdibao.map
	@mkdir -p $(@D)
	@$(if $(Q),echo "  LD      $@")
	$(Q)$(CC) -shared -Wl,--as-needed -Wl,-soname,libdibao.so.$(SOVERSION) -Wl,--version-script=lib/libdibao.map $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $(LIB_OBJ) $(LIBS)
	$(Q)ln -sf libdibao.so $(@D)/libdibao.so.$(SOVERSION)
$(BUILD)/lib/libhost.a: $(call obj,$(HOST_SRC))
$(BUILD)/lib/libdaemon.a: $(call obj,$(DAEMON_SRC))
$(BUILD)/lib/libctl.a: $(call obj,$(CTL_SRC))
$(BUILD)/lib/libsms.a: $(call obj,$(SMS_SRC)) $(BUILD)/obj/clients/sms/outbox_lua.o
# The board's page and demonstration as arrays of the program.
WEB_FILES := $(wildcard clients/board/web/*.html clients/board/web/*.css clients/board/web/*.js)
$(BUILD)/gen/board_web.c: clients/board/webfiles.sh clients/board/demo.jsonl $(WEB_FILES)
	@mkdir -p $(@D)
	$(Q)$^ > $@
$(BUILD)/obj/clients/board/board_web.o: $(BUILD)/gen/board_web.c
	@mkdir -p $(@D)
	$(Q)$(CC) -fPIC $(CFLAGS) -Iclients/board -Ilib/host -c -o $@ $<
$(BUILD)/lib/libboard.a: $(call obj,$(BOARD_SRC)) $(BUILD)/obj/clients/board/board_web.o
$(patsubst %,$(BUILD)/lib/lib%.a,host daemon ctl sms board):
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

define link
	@mkdir -p $(@D)
	@$(if $(Q),echo "  LD      $@")
	$(Q)$(CC) $(OUR_LDFLAGS) $(LDFLAGS) -Wl,--as-needed -o $@ $^ $(LIBS) $(1)
endef
$(BUILD)/bin/dibaod: $(call obj,daemon/main.c) $(patsubst %,$(BUILD)/lib/lib%.a,daemon host dibao)
	$(call link)
$(BUILD)/bin/dibaoctl: $(call obj,clients/ctl/main.c) $(PARTS)
	$(call link,$(CLIENT_LIBS))
$(BUILD)/bin/dibao-sms: $(call obj,clients/sms/main.c) $(patsubst %,$(BUILD)/lib/lib%.a,sms host dibao)
	$(call link,$(CLIENT_LIBS))
$(BUILD)/bin/dibao-board: $(call obj,clients/board/main.c) $(patsubst %,$(BUILD)/lib/lib%.a,board host dibao)
	$(call link,$(CLIENT_LIBS))
$(BUILD)/bin/dibao-seed: $(call obj,seeds/main.c $(SEED_SRC)) $(BUILD)/lib/libhost.a $(BUILD)/lib/libdibao.a
	$(call link)
$(BUILD)/tests/test_%: $(BUILD)/obj/tests/unit/test_%.o $(PARTS)
	$(call link,$(CLIENT_LIBS) -lcmocka $(WRAP))
$(BUILD)/tests/replay_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/replay.o $(PARTS)
	$(call link,$(CLIENT_LIBS))
# Linked by tests/fuzz/run.sh alone, which sets clang and its sanitizers.
$(BUILD)/tests/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(PARTS)
	$(call link,$(CLIENT_LIBS) -fsanitize=fuzzer)
$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(PARTS)
	$(call link,$(CLIENT_LIBS))
$(E2E_TOOLS): $(BUILD)/tests/%: $(BUILD)/obj/tests/e2e/%.o $(BUILD)/lib/libdibao.a
	$(call link)
# The daemon with a public encoder that can be made to leak: its canary must find out.
$(BUILD)/tests/dibaod-leaky: $(call obj,daemon/main.c tests/e2e/leaky.c) $(BUILD)/lib/libdaemon.a $(BUILD)/lib/libhost.a $(BUILD)/lib/libdibao.a
	$(call link,$(LEAKY))
$(BUILD)/tests/test_canary: WRAP := $(LEAKY)
$(BUILD)/tests/test_reader_memory: WRAP := -Wl,--wrap=malloc,--wrap=calloc
# Goes into other programs, so without a sanitizer of its own.
$(BUILD)/tests/shim.so: tests/e2e/shim.c
	@mkdir -p $(@D)
	@$(if $(Q),echo "  LD      $@")
	$(Q)$(CC) -std=gnu17 -O2 -Wall -Wextra -D_GNU_SOURCE -fPIC -shared -o $@ $<

.PHONY: test unit e2e web
unit-programs: $(UNITS) $(FUZZ) $(E2E_TOOLS) $(E2E_SHIM)
unit: all unit-programs ## unit tests and replay of the fuzz corpora
	@DIBAO_BUILD=$(abspath $(BUILD)) CMOCKA_MESSAGE_OUTPUT=TAP prove -e 'timeout 120' $(UNITS) $(if $(FUZZ),tests/fuzz/replay.t)
e2e: all unit-programs ## end-to-end tests: real Redis, real processes
	@DIBAO_BUILD=$(abspath $(BUILD)) prove -e 'timeout 180' --timer $(or $(T),$(wildcard tests/e2e/*.t))
# The page in a real browser. Node's packages go below build/, beside no source.
WEB := build/web/node_modules/.package-lock.json
$(WEB): tests/web/package.json tests/web/package-lock.json
	@mkdir -p build/web && cp $^ build/web/
	@$(if $(Q),echo "  NPM     build/web")
	$(Q)cd build/web && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.package-lock.json
web: all $(WEB) ## the board's page in Chromium; screenshots in build/web/shots
	@DIBAO_BUILD=$(abspath $(BUILD)) prove -e 'timeout 180' --timer $(or $(T),$(wildcard tests/web/*.t))
test: deps ## everything: all set-up, all tests
	@$(MAKE) --no-print-directory test-all
test-all: all unit-programs $(WEB)
	@DIBAO_BUILD=$(abspath $(BUILD)) CMOCKA_MESSAGE_OUTPUT=TAP HARNESS_RULESFILE=tests/rules.yml \
		prove --timer -j $(or $(JOBS),2) $(UNITS) $(if $(FUZZ),tests/fuzz/replay.t) $(wildcard tests/e2e/*.t) $(wildcard tests/web/*.t) \
		2> >(tee $(BUILD)/tests/said >&2) || { echo "What failed, once more ($(BUILD)/tests/said has all of it):"; tail -n 60 $(BUILD)/tests/said; false; }

.PHONY: run
run: deps ## start it all on a private Redis and play the seed events; Ctrl-C ends it
	@$(MAKE) --no-print-directory all
	@BUILD=$(abspath $(BUILD)) seeds/run.sh

.PHONY: bench soak soak-sms fuzz lint format
bench: ## measure beside the peers; QUICK=1 once and briefly, in two minutes
	@seeds/deps.sh $(DEPS_BUILD) $(DEPS_RUN) $(DEPS_BENCH)
	@$(MAKE) --no-print-directory bench-all
bench-all: all $(BENCHES) $(WEB)
	@BUILD=$(abspath $(BUILD)) QUICK=$(QUICK) tests/bench/run.py
soak: all unit-programs ## 2,000 random kills and pauses, 10,000 random changes of the policy
	@DIBAO_BUILD=$(abspath $(BUILD)) CHANGES=$(or $(CHANGES),10000) tests/e2e/92-policy.t a_year
	@DIBAO_BUILD=$(abspath $(BUILD)) KILLS=$(or $(KILLS),2000) tests/e2e/soak.py
soak-sms: all unit-programs ## 10,000 texts while all is killed; urgent ones past 42,000
	@DIBAO_BUILD=$(abspath $(BUILD)) TEXTS=$(or $(TEXTS),10000) KILLS=$(or $(KILLS),300) tests/e2e/87-sms-killed.t
	@DIBAO_BUILD=$(abspath $(BUILD)) BULK=$(or $(BULK),42000) tests/e2e/88-sms-times.t an_urgent_text
fuzz: ## fuzz one parser with libFuzzer: make fuzz T=event TIME=60
	@tests/fuzz/run.sh $(or $(T),event) $(or $(TIME),60)
lint: ## layout, confinement of libraries, manuals
	@tests/lint.sh
format: ## clang-format all C
	@clang-format -i $$(git ls-files '*.c' '*.h')

.PHONY: deps install uninstall clean
deps: ## install what is missing (Debian: apt-get)
	@seeds/deps.sh $(DEPS_BUILD) $(DEPS_RUN) $(DEPS_TEST)

# Manuals lie beside what they describe. Configuration that is there is never overwritten nor removed.
D := $(DESTDIR)$(PREFIX)
L := $(DESTDIR)$(LIBDIR)
MANUALS = $(wildcard lib/*.[1-9] daemon/*.[1-9] clients/*/*.[1-9] config/*.[1-9])
CONFIGS = $(wildcard config/*.conf config/*.tsv config/sms/*.tsv config/sms/*/*.tmpl config/kannel/*.conf)
INSTALLED = $(filter-out %/dibao-seed,$(PROGRAMS))
SERVICES = $(wildcard config/*.service)
COMPLETION = $(wildcard clients/ctl/dibaoctl.bash)
install: all ## install below DESTDIR and PREFIX (/usr/local)
	install -d $(D)/bin $(D)/include/dibao $(L)/pkgconfig $(D)/lib/systemd/system $(DESTDIR)$(SYSCONFDIR)/dibao
	install -m 755 $(INSTALLED) $(D)/bin
	install -m 644 include/dibao/*.h $(D)/include/dibao
	install -m 644 $(BUILD)/lib/libdibao.a $(L)
	install -m 755 $(BUILD)/lib/libdibao.so $(L)/libdibao.so.$(VERSION)
	ln -sf libdibao.so.$(VERSION) $(L)/libdibao.so.$(SOVERSION)
	ln -sf libdibao.so.$(SOVERSION) $(L)/libdibao.so
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|; s|@PC_MSGPACK@|$(PC_MSGPACK)|' \
		lib/dibao.pc.in > $(L)/pkgconfig/dibao.pc
	for u in $(SERVICES); do sed 's|/usr/local|$(PREFIX)|; s|/etc/dibao|$(SYSCONFDIR)/dibao|' $$u > $(D)/lib/systemd/system/$${u##*/} || exit 1; done
	for m in $(MANUALS); do install -D -m 644 $$m $(D)/share/man/man$${m##*.}/$${m##*/} || exit 1; done
	for c in $(COMPLETION); do install -D -m 644 $$c $(D)/share/bash-completion/completions/dibaoctl || exit 1; done
	for c in $(CONFIGS); do to=$(DESTDIR)$(SYSCONFDIR)/dibao/$${c#config/}; test -e $$to || install -D -m 644 $$c $$to || exit 1; done

uninstall: ## remove what install installed, but for the configuration
	for p in $(notdir $(INSTALLED)); do rm -f $(D)/bin/$$p; done
	for u in $(notdir $(SERVICES)); do rm -f $(D)/lib/systemd/system/$$u; done
	rm -f $(L)/libdibao.a $(L)/libdibao.so $(L)/libdibao.so.$(SOVERSION) \
		$(L)/libdibao.so.$(VERSION) $(L)/pkgconfig/dibao.pc \
		$(D)/share/bash-completion/completions/dibaoctl
	for m in $(MANUALS); do rm -f $(D)/share/man/man$${m##*.}/$${m##*/}; done
	rm -rf $(D)/include/dibao

clean: ## remove build/
	rm -rf build

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
.SECONDARY:
