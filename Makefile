# GNU make. `make` builds, `make check` tests everything (root), `make demo` shows it.
# V=1 prints the commands. SANITIZE=1 builds with ASan and UBSan into a directory of its own.

PREFIX  ?= /usr/local
CC      ?= cc
CFLAGS  ?= -O2 -g
BUILD   ?= build$(if $(SANITIZE),-asan)$(if $(filter clang,$(CC)),-clang)
VERSION := 0.1.0

sbindir     := $(PREFIX)/sbin
# the parent looks for the others beside itself, then here, as ../libexec/kube-proxy
libexecdir  := $(PREFIX)/libexec/kube-proxy
mandir      := $(PREFIX)/share/man
unitdir     ?= $(PREFIX)/lib/systemd/system
sysusersdir ?= $(PREFIX)/lib/sysusers.d
logrotatedir ?= /etc/logrotate.d
tmpfilesdir ?= $(PREFIX)/lib/tmpfiles.d
bashcompdir ?= $(PREFIX)/share/bash-completion/completions
zshcompdir  ?= $(PREFIX)/share/zsh/site-functions

WARN   := -Wall -Wextra -Werror -Wshadow -Wconversion -Wmissing-prototypes -Wcast-qual -Wformat=2
HARDEN := -fPIE -fstack-protector-strong -fstack-clash-protection -fcf-protection \
          $(if $(SANITIZE),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
comma  := ,
SAN    := $(if $(SANITIZE),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
# libbsd lays the BSD headers over the system's (strlcpy, sys/tree.h, sys/queue.h, ...).
DEFS   := -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd -isystem /usr/include/libnl3 -I. -isystem $(BUILD) \
          -DVERSION='"$(VERSION)"'
# The same bytes from whichever directory: the build-id covers the debugging information.
ALL_CFLAGS  := -std=c11 $(DEFS) $(WARN) $(HARDEN) $(SAN) -ffile-prefix-map=$(CURDIR)=. $(CFLAGS)
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed $(SAN) $(LDFLAGS)

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' $(1) $(2))

# --- the programs: a directory each, its main.c the program, the rest a library of it ---

PROCS    := applier watcher planner listener relay broker cleaner
BINARIES := $(BUILD)/kube-proxy $(BUILD)/kube-proxy-watcher $(BUILD)/kube-proxy-planner \
            $(BUILD)/kube-proxy-listener $(BUILD)/kube-proxy-relay \
            $(BUILD)/kube-proxy-broker $(BUILD)/kube-proxy-cleaner

# What a directory's library needs from the others. The planner names, prints and digests rules
# with the applier's own tables.
LIBS_common   := -lseccomp -lbsd -lnl-3
LIBS_applier  := -lip4tc -lip6tc -lcap -lnl-genl-3 -lnl-3 -lmd
LIBS_cleaner  := $(LIBS_applier)
LIBS_planner  := -levent_core -lmd
LIBS_watcher  := -levent_core -lcurl -lcrypto -ljansson -lyaml -lprotobuf-c -lmd
LIBS_listener := -levent_core -levent_extra
LIBS_relay    := -levent_core
LIBS_broker   := -levent_core

PROTO := $(BUILD)/watcher/kube.pb-c.h

objs = $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/main.c common/heap.c,$(wildcard $(1)/*.c)))
TABLES := $(addprefix $(BUILD)/applier/,ipt_tables.o ipt_check.o ipt_entry.o ipt_ext.o ipvs_tables.o nft_tables.o)
# ipc/channel.c is for libevent's users; the applier reads with poll(2).
EXTRA_planner := $(TABLES)
# The kernel's interfaces, and how privilege is given up, are the applier's code.
EXTRA_cleaner := $(addprefix $(BUILD)/applier/,fds.o privilege.o ipt_backend.o ipt_tables.o ipvs_item.o \
                 ipvs_netlink.o ipvs_record.o ipvs_tables.o)
EXTRA_watcher := $(BUILD)/applier/ipt_tables.o $(BUILD)/watcher/kube.pb-c.o
# In front of glibc's malloc; a sanitizer has its own there.
HEAP_planner := $(if $(SANITIZE),,$(BUILD)/common/heap.o)
HEAP_watcher := $(HEAP_planner)
HEAP_listener := $(HEAP_planner)
HEAP_relay := $(HEAP_planner)

.PHONY: all
all: $(BINARIES)

define archive
$(BUILD)/$(1).a: $$(call objs,$(1)) $(EXTRA_$(1))
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach d,common ipc $(PROCS),$(eval $(call archive,$(d))))

define program
$(BUILD)/$(if $(filter applier,$(1)),kube-proxy,kube-proxy-$(1)): $(BUILD)/$(1)/main.o \
    $(HEAP_$(1)) $(BUILD)/$(1).a $(BUILD)/ipc.a $(BUILD)/common.a
	$$(call say,LD,$$@)
	$$(Q)$(CC) $(ALL_LDFLAGS) -o $$@ $$^ $(LIBS_$(1)) $(LIBS_common)
endef
$(foreach p,$(PROCS),$(eval $(call program,$(p))))

$(BUILD)/%.o: %.c Makefile $(PROTO)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# protobuf-c's code for the API's messages. It is no match for our warnings.
$(PROTO): watcher/kube.proto
	$(call say,PB,$<)
	$(Q)mkdir -p $(BUILD) && protoc-c --c_out=$(BUILD) $<

$(BUILD)/watcher/kube.pb-c.o: $(PROTO)
	$(call say,CC,$(PROTO:.h=.c))
	$(Q)$(CC) $(ALL_CFLAGS) -w -c -o $@ $(PROTO:.h=.c)

-include $(shell find $(BUILD) -path $(BUILD)/deb -prune -o -type f -name '*.d' -print 2>/dev/null)

# An archive, so that a test whose library has the tables already takes them once.
$(BUILD)/tables.a: $(TABLES)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

# --- unit tests: tests/unit/DIR_subject.c links DIR's library and what that needs ---

UNIT_SRC := $(wildcard tests/unit/*.c)
UNIT_BIN := $(patsubst %.c,$(BUILD)/%,$(UNIT_SRC))
proc_of   = $(firstword $(subst _, ,$(basename $(notdir $(1)))))

define unit
$(BUILD)/tests/unit/$(1): $(BUILD)/tests/unit/$(1).o \
    $(patsubst %,$(BUILD)/%.a,$(filter-out common ipc,$(call proc_of,$(1)))) $(BUILD)/ipc.a $(BUILD)/common.a
	$$(call say,LD,$$@)
	$$(Q)$(CC) $(ALL_LDFLAGS) -o $$@ $$< $(patsubst %,$(BUILD)/%.a,$(filter-out common ipc,$(call proc_of,$(1)))) \
	    $(BUILD)/ipc.a $(BUILD)/tables.a $(BUILD)/common.a $(LIBS_$(call proc_of,$(1))) -levent_core -lmd $(LIBS_common) -lcmocka
$(BUILD)/tests/unit/$(1): $(BUILD)/tables.a
endef
$(foreach t,$(basename $(notdir $(UNIT_SRC))),$(eval $(call unit,$(t))))

.PHONY: unit-binaries
unit-binaries: $(UNIT_BIN)
.SECONDARY:

# --- what tests run beside the product ---

TOOL_SRC := $(wildcard tests/tools/*.c)
TOOL_BIN := $(patsubst %.c,$(BUILD)/%,$(TOOL_SRC))

$(BUILD)/tests/tools/%: $(BUILD)/tests/tools/%.o $(TABLES) $(BUILD)/ipc.a $(BUILD)/common.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_common)

# For the machine that tests/uml/run boots, and in there; never sanitized, as its program is not ours.
UML_LIBS := tests/uml/xstate.so tests/uml/release.so
TOOL_BIN += $(addprefix $(BUILD)/,$(UML_LIBS))

$(BUILD)/tests/uml/%.so: tests/uml/%.c Makefile
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE $(WARN) -O2 -fPIC -shared -o $@ $<

.PHONY: check check-unit check-valgrind users test-deps
test-deps:
	$(Q)packaging/deps test

users:
	$(Q)packaging/users

# Everything, as root: unit, integration with real packets, style, the audit page's budgets.
check: test-deps
	$(Q)$(MAKE) --no-print-directory users check-built

.PHONY: check-built
check-built: all unit-binaries $(TOOL_BIN)
	$(if $(SANITIZE),$(Q)$(MAKE) --no-print-directory SANITIZE= BUILD=build all \
	    $(addprefix build/,$(UML_LIBS)) build/tests/tools/hostile build/tests/unit/common_sandbox)
	$(Q)/usr/bin/python3 tests/run --build $(BUILD) $(if $(SANITIZE),--machine-build build) all $(ONLY)

# Seconds, no root. Some of it starts the programs.
check-unit: all unit-binaries
	$(Q)/usr/bin/python3 tests/run --build $(BUILD) unit $(ONLY)

# The same under valgrind: invalid accesses, uninitialized values, leaks.
check-valgrind: all unit-binaries
	$(Q)/usr/bin/python3 tests/run --build $(BUILD) --valgrind unit $(ONLY)

# --- lint: formatting of everything, clang-tidy over the product ---

ALL_SRC := $(wildcard $(addsuffix /*.c,common ipc $(PROCS)) tests/unit/*.c tests/tools/*.c tests/fuzz/*.c tests/uml/*.c packaging/*.c packaging/image/*.c)
ALL_HDR := $(wildcard $(addsuffix /*.h,common ipc $(PROCS)) tests/unit/*.h tests/fuzz/*.h)
TIDY    := $(patsubst %.c,$(BUILD)/lint/%.tidy,$(filter-out tests/%,$(ALL_SRC)))
# Gates that take minutes use every processor, unless the caller said -j.
JOBS     = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: format lint tidy
format:
	clang-format -i $(ALL_SRC) $(ALL_HDR)
lint:
	$(Q)clang-format --dry-run --Werror $(ALL_SRC) $(ALL_HDR)
	$(Q)$(MAKE) --no-print-directory $(JOBS) tidy
tidy: $(TIDY)

# One file a call: clang-tidy 14 carries the analyzer's state of a va_list from one to the next.
$(BUILD)/lint/%.tidy: %.c .clang-tidy Makefile $(PROTO)
	$(call say,TIDY,$<)
	$(Q)mkdir -p $(@D)
	$(Q)clang -std=c11 $(DEFS) -MM -MP -MT $@ -MF $(@:.tidy=.d) $<
	$(Q)clang-tidy --quiet $< -- -std=c11 $(DEFS) 2>$@.err || { cat $@.err; exit 1; }
	$(Q)rm $@.err && touch $@

# --- fuzz: libFuzzer with clang; each target, or those of FUZZ, for FUZZ_SECONDS ---

FUZZ_SECONDS ?= 60
FUZZ         ?= $(basename $(notdir $(wildcard tests/fuzz/*.c)))
FUZZ_LIBS    := $(patsubst %,$(BUILD)/%.a,watcher listener ipc tables common)

.PHONY: fuzz fuzz-run
fuzz:
	$(Q)$(MAKE) --no-print-directory $(JOBS) CC=clang SANITIZE=1 BUILD=build-fuzz \
	    CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' fuzz-run

# New inputs are kept beside the build; the seeds of tests/fuzz/corpus are only read.
fuzz-run: $(FUZZ:%=$(BUILD)/tests/fuzz/%)
	$(Q)for t in $(FUZZ); do \
	    echo "$$t, $(FUZZ_SECONDS) seconds"; mkdir -p $(BUILD)/corpus/$$t; \
	    ASAN_OPTIONS=detect_leaks=1 $(BUILD)/tests/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) \
	        -max_len=16384 -timeout=10 -verbosity=0 -print_funcs=0 -print_final_stats=1 -close_fd_mask=2 \
	        -artifact_prefix=$(BUILD)/$$t- $(BUILD)/corpus/$$t $$(ls -d tests/fuzz/corpus/$$t 2>/dev/null) \
	        || exit 1; \
	done

$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(FUZZ_LIBS)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS_watcher) $(LIBS_listener) \
	    $(LIBS_common)

# --- the rest ---

.PHONY: demo audit bench install uninstall clean
demo:
	$(Q)packaging/deps demo
	$(Q)$(MAKE) --no-print-directory all
	$(Q)BUILD=$(BUILD) packaging/demo/run

audit: all
	$(Q)packaging/audit $(BUILD)

bench: all
	$(Q)packaging/deps test
	$(Q)packaging/users
	$(Q)KP_BUILD=$(abspath $(BUILD)) /usr/bin/python3 tests/bench/run

# --- the container image: build/image/kube-proxy.oci.tar and its SPDX bill of materials ---

# By which name container runtimes will know it, and packaging/kubernetes asks for it.
IMAGE     ?= localhost/kube-proxy:$(VERSION)
IMAGE_DIR ?= $(BUILD)/image

$(BUILD)/kube-proxy-init: $(BUILD)/packaging/image/init.o
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^

.PHONY: image
image:
	$(Q)packaging/deps image
	$(Q)$(MAKE) --no-print-directory all $(BUILD)/kube-proxy-init
	$(Q)rm -rf $(IMAGE_DIR)/stage
	$(Q)$(MAKE) --no-print-directory -s install DESTDIR=$(abspath $(IMAGE_DIR))/stage PREFIX=/usr
	$(Q)SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null)} \
	    packaging/image/build --stage $(IMAGE_DIR)/stage --init $(BUILD)/kube-proxy-init \
	    --version $(VERSION) --name $(IMAGE) --output $(IMAGE_DIR)

UNITS   := kube-proxy.service kube-proxy-kubeconfig@.path kube-proxy-kubeconfig@.service
SCRIPTS := kubeconfig-ready kubeconfig-changed
INSTALLED_PATHS = 's|/usr/sbin/kube-proxy|$(sbindir)/kube-proxy|; s|/usr/libexec/kube-proxy|$(libexecdir)|'
MANPAGES := $(wildcard $(addsuffix /*.8,$(PROCS)))

# The shells' completion comes from the table of flags.
COMPLETIONS := $(BUILD)/packaging/kube-proxy.bash $(BUILD)/packaging/kube-proxy.zsh

$(BUILD)/packaging/completion: $(BUILD)/packaging/completion.o $(BUILD)/watcher.a $(BUILD)/ipc.a $(BUILD)/common.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_watcher) $(LIBS_common)

$(COMPLETIONS): $(BUILD)/packaging/kube-proxy.%: $(BUILD)/packaging/completion
	$(call say,GEN,$@)
	$(Q)$< $* >$@.new && mv $@.new $@

install: all $(COMPLETIONS)
	install -d $(DESTDIR)$(sbindir) $(DESTDIR)$(libexecdir) $(DESTDIR)$(mandir)/man8 \
	    $(DESTDIR)$(unitdir) $(DESTDIR)$(sysusersdir) $(DESTDIR)$(tmpfilesdir) \
	    $(DESTDIR)$(logrotatedir) $(DESTDIR)$(bashcompdir) $(DESTDIR)$(zshcompdir)
	install -m 755 $(BUILD)/kube-proxy $(DESTDIR)$(sbindir)
	install -m 755 $(filter-out $(BUILD)/kube-proxy,$(BINARIES)) $(DESTDIR)$(libexecdir)
	install -m 644 $(MANPAGES) $(DESTDIR)$(mandir)/man8
	for f in $(UNITS); do \
	    sed $(INSTALLED_PATHS) packaging/$$f >$(DESTDIR)$(unitdir)/$$f || exit 1; done
	for f in $(SCRIPTS); do sed $(INSTALLED_PATHS) packaging/$$f >$(DESTDIR)$(libexecdir)/$$f && \
	    chmod 755 $(DESTDIR)$(libexecdir)/$$f || exit 1; done
	install -m 644 packaging/kube-proxy.logrotate $(DESTDIR)$(logrotatedir)/kube-proxy
	install -m 644 packaging/kube-proxy.sysusers $(DESTDIR)$(sysusersdir)/kube-proxy.conf
	install -m 644 packaging/kube-proxy.tmpfiles $(DESTDIR)$(tmpfilesdir)/kube-proxy.conf
	install -m 644 $(BUILD)/packaging/kube-proxy.bash $(DESTDIR)$(bashcompdir)/kube-proxy
	install -m 644 $(BUILD)/packaging/kube-proxy.zsh $(DESTDIR)$(zshcompdir)/_kube-proxy

uninstall:
	rm -f $(DESTDIR)$(sbindir)/kube-proxy $(addprefix $(DESTDIR)$(mandir)/man8/,$(notdir $(MANPAGES))) \
	    $(addprefix $(DESTDIR)$(unitdir)/,$(UNITS)) $(DESTDIR)$(sysusersdir)/kube-proxy.conf \
	    $(DESTDIR)$(tmpfilesdir)/kube-proxy.conf $(DESTDIR)$(logrotatedir)/kube-proxy \
	    $(DESTDIR)$(bashcompdir)/kube-proxy $(DESTDIR)$(zshcompdir)/_kube-proxy
	rm -rf $(DESTDIR)$(libexecdir)

# The Debian packages, in $(BUILD)/deb: built in a copy of the tree, whose debian/ is packaging/debian.
# Without root, if packaging/deps has nothing to install. DEB_BUILD_OPTIONS=nocheck leaves the unit tests out.
.PHONY: deb
deb:
	$(Q)packaging/deps deb
	$(Q)packaging/deb $(BUILD)/deb $(VERSION)

clean:
	rm -rf build build-*
