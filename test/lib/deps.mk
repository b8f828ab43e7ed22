# SPDX-License-Identifier: Apache-2.0
# Libraries by pkg-config, checked once, with a sentence that names the missing package.
DEPS := test/lib/deps.sh
DEPS_GROUPS := build test $(if $(wildcard test/vm/run.sh),$(if $(filter test test-vm,$(GOALS)),vm)) $(if $(filter test check-arm64,$(GOALS)),arm64) \
	$(if $(filter bench,$(GOALS)),bench)

# `make -n` shows and changes nothing, so it installs nothing either.
ifneq ($(filter $(GOALS_INSTALLING),$(GOALS)),)
ifeq ($(findstring n,$(firstword -$(MAKEFLAGS))),)
DEPS_STATUS := $(shell $(DEPS) $(DEPS_GROUPS) >&2; echo $$?)
ifneq ($(DEPS_STATUS),0)
$(error the packages above could not be installed)
endif
endif
endif

# name in pkg-config : Debian package
LIBRARIES := libbpf:libbpf-dev libelf:libelf-dev zlib:zlib1g-dev yaml-0.1:libyaml-dev jansson:libjansson-dev \
	libxxhash:libxxhash-dev libcap:libcap-dev libseccomp:libseccomp-dev libllhttp:libllhttp-dev \
	libpcre2-8:libpcre2-dev openssl:libssl-dev libcares:libc-ares-dev libnghttp2:libnghttp2-dev
TEST_LIBRARIES := cmocka:libcmocka-dev
PKG_CONFIG ?= pkg-config
BPFTOOL ?= $(or $(shell PATH=$$PATH:/usr/sbin:/sbin command -v bpftool),bpftool)

pc_name = $(firstword $(subst :, ,$(1)))
missing = $(foreach l,$(1),$(if $(shell $(PKG_CONFIG) --exists $(call pc_name,$(l)) 2>/dev/null || echo no),$(lastword $(subst :, ,$(l)))))
tool_missing = $(if $(shell command -v $(1) 2>/dev/null),,$(2))

ifneq ($(filter-out $(GOALS_BARE),$(GOALS)),)
MISSING := $(call tool_missing,$(CC),$(CC)) $(call tool_missing,$(CLANG),clang) \
	$(call tool_missing,$(PKG_CONFIG),pkg-config) $(call tool_missing,$(BPFTOOL),bpftool)
ifneq ($(strip $(MISSING)),)
$(error these packages are missing: $(strip $(MISSING)); `make deps` as root installs them on Debian)
endif
MISSING := $(call missing,$(LIBRARIES))
ifneq ($(strip $(MISSING)),)
$(error these packages are missing: $(strip $(MISSING)); `make deps` as root installs them on Debian)
endif
LIBS_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(foreach l,$(LIBRARIES),$(call pc_name,$(l))))
LIBS := $(shell $(PKG_CONFIG) --libs $(foreach l,$(LIBRARIES),$(call pc_name,$(l)))) -lpthread -ldl -lm
TEST_LIBS := $(shell $(PKG_CONFIG) --libs cmocka 2>/dev/null || echo -lcmocka)
endif

## deps: installs the packages that build and tests need (as root; does nothing when all are there)
deps:
	@:
.PHONY: deps
