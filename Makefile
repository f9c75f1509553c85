# SPDX-License-Identifier: Apache-2.0
# make · make check [SAN=1] [TESTS=pattern] · make check-backends · make bench · make fuzz · make fmt · make lint
# make install DESTDIR= PREFIX= · V=1 shows commands · WERROR=1 as CI · CC=clang works too

PREFIX  ?= /usr/local
DESTDIR ?=
PYTHON  ?= $(shell for p in /usr/bin/python3 python3; do $$p -c 'import pytest' 2>/dev/null && { echo $$p; exit; }; done; echo python3)
PKG_CONFIG ?= pkg-config
ARCH    := $(shell $(CC) -dumpmachine | cut -d- -f1)

ifneq ($(V),1)
Q := @
endif
comma := ,
FLAVOUR := $(if $(SAN),san,rel)
B   := build/$(FLAVOUR)
BIN := build/csample$(if $(SAN),-san)
GEN := build/gen

PKGS := libdw libelf libprotobuf-c jansson zlib liblzma libunwind-generic libunwind-ptrace libmicrohttpd \
        libcurl sqlite3 libpcre2-8 ncursesw
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wswitch-enum \
        $(if $(WERROR),-Werror)
OPT  := $(if $(SAN),-O1 -fsanitize=address$(comma)undefined -fno-omit-frame-pointer \
        -fno-sanitize-recover=undefined,-O2) -g

ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -Iinclude -I$(GEN) $(OPT) $(WARN) -pthread -MMD -MP \
             $(shell $(PKG_CONFIG) --cflags $(PKGS)) $(LOCAL_CFLAGS) $(CPPFLAGS) $(CFLAGS)
# libiberty (demangling) comes as a static library only.
ALL_LIBS = $(shell $(PKG_CONFIG) --libs $(PKGS)) -liberty -lm -ldl -pthread
ALL_LDFLAGS = $(if $(SAN),-fsanitize=address$(comma)undefined) $(LDFLAGS)

SRC  := $(filter-out src/main.c,$(wildcard src/*.c src/*/*.c runtimes/*.c runtimes/*/*.c))
PROTOS := profile pyroscope otlp
OBJ  := $(SRC:%.c=$(B)/%.o) $(PROTOS:%=$(B)/gen/%.pb-c.o)
TEST_SRC := $(wildcard tests/unit/*/test_*.c)
TEST_BIN := $(TEST_SRC:tests/unit/%.c=$(B)/tests/%)
TOOL_SRC := $(wildcard tests/tools/*.c)
TOOL_BIN := $(TOOL_SRC:tests/tools/%.c=$(B)/tools/%)
# With sanitizers, what `make fuzz` runs is run on its seeds.
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN := $(if $(SAN),$(FUZZ_SRC:tests/fuzz/fuzz_%.c=$(B)/fuzz/%))

all: $(BIN)

$(BIN): $(B)/src/main.o $(B)/libcsample.a
	@echo "  LD      $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LIBS)

# A source that is gone must leave the archive too.
$(B)/objects: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(OBJ)' | cmp -s - $@ || echo '$(OBJ)' > $@
$(B)/libcsample.a: $(OBJ) $(B)/objects
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $(OBJ)

$(B)/%.o: %.c | $(PROTOS:%=$(GEN)/%.pb-c.h)
	@echo "  CC      $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Generated: protobuf-c code is not ours to warn about.
$(GEN)/%.pb-c.c $(GEN)/%.pb-c.h: src/emit/%.proto
	@echo "  PROTO   $<"
	$(Q)mkdir -p $(GEN)
	$(Q)protoc-c --proto_path=$(<D) --c_out=$(GEN) $<
$(GEN)/%.pb-c.c $(GEN)/%.pb-c.h: src/push/%.proto
	@echo "  PROTO   $<"
	$(Q)mkdir -p $(GEN)
	$(Q)protoc-c --proto_path=$(<D) --c_out=$(GEN) $<
# Rows like [__NR_read] = "read", of the machine compiled for.
$(B)/gen/syscall-names.inc: Makefile
	$(Q)mkdir -p $(@D)
	$(Q)echo '#include <sys/syscall.h>' | $(CC) -E -dM - | \
		sed -n 's/^#define __NR_\([a-z0-9_]*\) .*/[__NR_\1] = "\1",/p' | sort > $@
$(B)/src/cmd/syscalls.o: $(B)/gen/syscall-names.inc
$(B)/src/cmd/syscalls.o: LOCAL_CFLAGS = -I$(B)/gen
# Rows like #define HAVE_DEMANGLE_COMPONENT_FRIEND: libiberty tells its releases apart by nothing else.
$(B)/gen/demangle-kinds.inc: Makefile
	$(Q)mkdir -p $(@D)
	$(Q)echo '#include <libiberty/demangle.h>' | $(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -E -o $@.tmp -
	$(Q)grep -o 'DEMANGLE_COMPONENT_[A-Z_]*' $@.tmp | sort -u | sed 's/.*/#define HAVE_&/' > $@
	$(Q)rm $@.tmp
$(B)/src/symbols/demangle.o: $(B)/gen/demangle-kinds.inc
$(B)/src/symbols/demangle.o: LOCAL_CFLAGS = -I$(B)/gen
# Text files as C string literals.
$(GEN)/%.inc: src/emit/%
	@echo "  GEN     $<"
	$(Q)mkdir -p $(GEN)
	$(Q)sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' $< > $@.tmp && mv $@.tmp $@
# The same files' hashes as a Content-Security-Policy names them.
$(GEN)/%.sha256.inc: src/emit/%
	$(Q)mkdir -p $(GEN)
	$(Q)sha256sum < $< | cut -c 1-64 | tr a-f A-F | basenc --base16 -d | base64 -w 0 | \
		sed 's/.*/"sha256-&"/' > $@.tmp && mv $@.tmp $@
SVG_INC  := flame.css.inc flame.js.inc
HTML_INC := html.body.inc $(foreach f,html.css html_model.js html_flame.js html.js,$(f).inc $(f).sha256.inc)
EMIT_INC := $(addprefix $(GEN)/,$(SVG_INC) $(HTML_INC))
$(B)/src/emit/svg.o: $(addprefix $(GEN)/,$(SVG_INC))
$(B)/src/emit/html.o: $(addprefix $(GEN)/,$(HTML_INC))
$(B)/gen/%.o: $(GEN)/%.c
	@echo "  CC      $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -w -c -o $@ $<

$(B)/tests/%: tests/unit/%.c $(B)/libcsample.a
	@echo "  TEST    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/unit $(ALL_LDFLAGS) -o $@ $< $(B)/libcsample.a -lcmocka $(ALL_LIBS)

# Programs the tests run.
$(B)/tools/%: tests/tools/%.c $(B)/libcsample.a
	@echo "  TOOL    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(B)/libcsample.a $(ALL_LIBS)

$(B)/fuzz/%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(B)/libcsample.a
	@echo "  FUZZ    $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(ALL_LDFLAGS) -o $@ $(filter %.c,$^) $(B)/libcsample.a $(ALL_LIBS)

tests: $(TEST_BIN) $(TOOL_BIN) $(FUZZ_BIN)

# One line at the end: N passed, N failed, N skipped.
check: $(BIN) $(TEST_BIN) $(TOOL_BIN) $(FUZZ_BIN)
	$(Q)$(PYTHON) tests/run.py --build $(B) --bin $(BIN) $(if $(SAN),--san) $(if $(TESTS),-k '$(TESTS)')

# Real servers, in BACKENDS/bin; those that are not there are built first, which takes minutes, unless
# BUILD=no.
BACKENDS ?= $(HOME)/.cache/csample-tests/backends
check-backends: $(BIN) $(TOOL_BIN)
ifneq ($(BUILD),no)
	$(Q)for b in pyroscope parca otelcol; do scripts/backends/$$b.sh build $(BACKENDS); done
endif
	$(Q)CSAMPLE=$(abspath $(BIN)) CSAMPLE_SAN=$(SAN) CSAMPLE_BACKENDS=$(BACKENDS) $(PYTHON) -m pytest -q -rfEs \
		-p no:cacheprovider tests/e2e/test_backends.py

bench: $(BIN)
	$(Q)$(MAKE) -s -C tests/bench run BIN=$(abspath $(BIN)) PYTHON=$(PYTHON)

# libFuzzer, a minute for each parser unless FUZZ_SECONDS says otherwise.
FUZZ_SECONDS ?= 60
fuzz:
	$(Q)$(PYTHON) tests/fuzz/run.py --seconds $(FUZZ_SECONDS)

FMT_FILES = $(shell git ls-files -co --exclude-standard -- '*.c' '*.h')
fmt:
	$(Q)clang-format -i $(FMT_FILES)
# Generated headers must be there.
lint: $(PROTOS:%=$(GEN)/%.pb-c.h) $(B)/gen/syscall-names.inc $(B)/gen/demangle-kinds.inc $(EMIT_INC)
	$(Q)clang-format --dry-run -Werror $(FMT_FILES)
	$(Q)$(PYTHON) scripts/check-layers.py
	$(Q)printf '%s\n' $(SRC) src/main.c | xargs -P 2 -n 4 sh -c 'clang-tidy --quiet "$$@" -- $(filter-out -MMD -MP,$(ALL_CFLAGS)) -I$(B)/gen' sh

# The aarch64 code compiles; headers of its libraries are the machine-independent ones.
check-aarch64:
	$(Q)$(PYTHON) scripts/check-aarch64.py

install: $(BIN)
	install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/csample
	@mkdir -p $(B)/gen
	$(BIN) help man > $(B)/gen/csample.1
	$(BIN) help bash > $(B)/gen/csample.bash
	$(BIN) help zsh > $(B)/gen/_csample
	$(BIN) help fish > $(B)/gen/csample.fish
	install -D -m 644 $(B)/gen/csample.1 $(DESTDIR)$(PREFIX)/share/man/man1/csample.1
	install -D -m 644 $(B)/gen/csample.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/csample
	install -D -m 644 $(B)/gen/_csample $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_csample
	install -D -m 644 $(B)/gen/csample.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/csample.fish
	install -D -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/csample/README.md
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/csample/LICENSE

# A Debian package of this release, and an archive that runs on others too.
deb: $(BIN)
	$(Q)scripts/make-deb $(BIN) build
dist-bin: $(BIN)
	$(Q)scripts/make-dist-bin $(BIN) build

# They are installed in other systems, made for that: minutes, and needs root and a Debian mirror.
check-packages: $(BIN)
	$(Q)CSAMPLE_TEST_PACKAGES=1 CSAMPLE=$(abspath $(BIN)) $(PYTHON) -m pytest -q -rs tests/e2e/test_packages.py tests/e2e/test_systemd.py

clean:
	rm -rf build

.PHONY: all tests check check-backends bench fuzz fmt lint check-aarch64 install deb dist-bin check-packages clean
FORCE:
.SECONDARY:
-include $(OBJ:.o=.d) $(B)/src/main.d $(TEST_BIN:=.d) $(TOOL_BIN:=.d)
