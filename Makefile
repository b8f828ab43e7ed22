# SPDX-License-Identifier: Apache-2.0
# One make for everything: this file holds the targets and the flags, the four .mk below hold the rules.
#   make                 build/weftd, build/weft and the BPF objects inside them
#   make V=1             shows the commands         BUILD=dir   builds somewhere else
#   make SAN=thread      own build folder, sanitized (thread | address,undefined)
#   make help            every target with a line of help
VERSION := 0.1.0
BUILD ?= build
PREFIX ?= /usr
SYSCONFDIR ?= /etc
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
CLANG ?= clang
CFLAGS ?= -O2 -g
MAKEFLAGS += -rR --no-print-directory
# As many jobs as processors, unless -j says otherwise.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif
CLOCK_START := $(shell date +%s)

all:

# Quiet rules: `$(call say,CC,name)` prints one short line, and nothing else is printed unless V=1.
Q := $(if $(V),,@)
say = @printf '  %-8s%s\n' '$(1)' '$(2)'
comma := ,
# A recipe that fails half-way leaves no target behind.
.DELETE_ON_ERROR:
.SUFFIXES:

SANS := address address,undefined undefined thread
ifneq ($(SAN),)
ifeq ($(filter $(SANS),$(SAN)),)
$(error SAN=$(SAN): not known; allowed are $(SANS))
endif
endif
# The build folder of this run; BPF objects and skeletons are the same for all flavours and stay in $(BUILD)/bpf.
B := $(BUILD)$(if $(SAN),-$(subst $(comma),-,$(SAN)))

# What is only looked at or removed needs no libraries; every long form installs what it needs first.
GOALS := $(or $(MAKECMDGOALS),all)
GOALS_BARE := clean help deps style
GOALS_INSTALLING := deps test demo bench fuzz torture soak test-vm check-arm64
include test/lib/deps.mk
CLOCK_PACKAGES := $(shell date +%s)

include bpf/bpf.mk userspace/userspace.mk cni/cni.mk test/test.mk

## all: weftd, weft and the BPF objects (the default)
all: $(PROGRAMS) $(BPF_OBJS)

# install_into: DESTDIR. Configuration that is already there is left alone.
BINDIR = $(PREFIX)/bin
filled = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@BINDIR@|$(BINDIR)|' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@ABI@|$(ABI)|'
ABI = $(shell sed -n 's/^.define WEFT_ABI //p' include/weft/plugin.h)
define install_into
	$(Q)install -d $(1)$(BINDIR) $(1)$(PREFIX)/include/weft $(1)$(PREFIX)/share/pkgconfig $(1)$(PREFIX)/lib/weft/plugins \
		$(1)$(PREFIX)/lib/systemd/system $(1)$(PREFIX)/lib/sysusers.d $(1)$(SYSCONFDIR)/weft/services.d
	$(Q)install -m 755 $(PROGRAMS) $(1)$(BINDIR)/
	$(Q)install -m 644 include/weft/*.h $(1)$(PREFIX)/include/weft/
	$(Q)$(filled) deploy/weft.pc.in > $(1)$(PREFIX)/share/pkgconfig/weft.pc
	$(Q)$(filled) deploy/systemd/weftd.service > $(1)$(PREFIX)/lib/systemd/system/weftd.service
	$(Q)install -m 644 deploy/systemd/weft.sysusers $(1)$(PREFIX)/lib/sysusers.d/weft.conf
	$(Q)[ -e $(1)$(SYSCONFDIR)/weft/weft.yaml ] || install -m 644 deploy/examples/weft.yaml $(1)$(SYSCONFDIR)/weft/weft.yaml
endef

## install: programs, SDK headers, systemd unit, example configuration; DESTDIR= PREFIX=/usr SYSCONFDIR=/etc
install: all
	$(call install_into,$(DESTDIR))

## image: a container image, build/weft-image.tar, of what install installs and the libraries it needs
image: PREFIX := /usr
image: SYSCONFDIR := /etc
image: all
	$(Q)rm -rf $(B)/image
	$(call install_into,$(B)/image)
	$(Q)python3 deploy/image.py --root $(B)/image --tag weft:$(VERSION) --out $(B)/weft-image.tar

## clean: removes the build folders of every flavour
clean:
	$(Q)rm -rf $(BUILD) $(addprefix $(BUILD)-,$(subst $(comma),-,$(SANS)) fuzz arm64)

## help: this list
help:
	@sed -n 's/^## \([a-z0-9-]*\): \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

.PHONY: all install image clean help FORCE
FORCE:
