# SPDX-License-Identifier: Apache-2.0
# What is built for tests, and the targets that run them. All by wildcard:
#   test/unit/<folder>/test_<file>.c   a cmocka program, linked with the other .c of its folder and libweft.a
#   test/<suite>/[<dir>/]test_*.c      the same (suite: bpf net torture), run as root
#   test/<suite>/<name>.c              a tool for scripts: $(B)/test/<suite>/<name>   (suite: bpf net torture demo perf vm lib)
#   test/<suite>/<dir>/*.c             one tool of several files: $(B)/test/<suite>/<dir>/<dir>
#   test/fuzz/<name>.c                 a libFuzzer target, seeds in test/fuzz/corpus/<name>/
# A test sees what the library sees, and test/ and bpf/ (decision headers): #include "lib/x.h".
ROOT_SUITES := bpf net torture demo perf vm lib
UNIT_SRCS := $(wildcard test/unit/*/test_*.c)
THREAD_SRCS := $(if $(UNIT_SRCS),$(shell grep -lE 'pthread_|thread_|mailbox_' $(UNIT_SRCS)))
CMOCKA_SRCS := $(UNIT_SRCS) $(foreach s,$(ROOT_SUITES),$(wildcard test/$(s)/test_*.c test/$(s)/*/test_*.c))
FUZZ_SRCS := $(wildcard test/fuzz/*.c)
# Folders with a test_*.c lend their other files to it; the others are one tool each.
FOLDER_TOOLS := $(filter-out $(dir $(CMOCKA_SRCS)),$(sort $(dir $(filter-out %.bpf.c,$(foreach s,$(ROOT_SUITES),$(wildcard test/$(s)/*/*.c))))))
FILE_TOOLS := $(filter-out $(CMOCKA_SRCS) %.bpf.c,$(foreach s,$(ROOT_SUITES),$(wildcard test/$(s)/*.c)))
plain_sources = $(filter-out $(CMOCKA_SRCS) %.bpf.c,$(wildcard $(1)*.c))
# test/unit/a/test_b.c -> test/unit/a/*.c but the tests; test/net/test_b.c -> nothing
lent_sources = $(if $(word 4,$(subst /, ,$(1))),$(call plain_sources,$(dir $(1))))

TEST_CPPFLAGS := -Itest -Ibpf
TEST_C := $(CMOCKA_SRCS) $(foreach t,$(CMOCKA_SRCS),$(call lent_sources,$(t))) $(FILE_TOOLS) \
	$(foreach d,$(FOLDER_TOOLS),$(call plain_sources,$(d))) $(FUZZ_SRCS)
TEST_SKEL_USERS := $(filter test/bpf/% test/unit/kern/%,$(TEST_C)) $(if $(TEST_C),$(shell grep -l 'skel\.h' $(TEST_C)))

# program: folder of the flavour, program without it, sources, compiler, flags, libraries
define program
$(1)/$(2): $(3:%.c=$(1)/obj/%.o) $(1)/libweft.a
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$(4) $(5) $(LDFLAGS_ALL) -o $$@ $$(filter %.o,$$^) $(1)/libweft.a $(6) $(LIBS)
endef
define test_flavour
$(patsubst %.c,$(1)/obj/%.o,$(sort $(TEST_C))): CPPFLAGS_EXTRA := $(TEST_CPPFLAGS)
$(patsubst %.c,$(1)/obj/%.o,$(sort $(TEST_SKEL_USERS))): | $(BPF_SKELS) $(TEST_BPF_SKELS)
-include $(patsubst %.c,$(1)/obj/%.d,$(sort $(TEST_C)))
$(foreach t,$(filter $(2),$(CMOCKA_SRCS)),$(eval $(call program,$(1),$(t:%.c=%),$(t) $(call lent_sources,$(t)),$(CC),$(3),$(TEST_LIBS))))
endef
$(eval $(call test_flavour,$(BUILD),%,$(FORTIFY)))
$(foreach s,$(SANS),$(eval $(call test_flavour,$(BUILD)-$(subst $(comma),-,$(s)),%,$(call san_flags,$(s)))))
$(eval $(call test_flavour,$(BUILD)-fuzz,none,))
$(foreach t,$(FUZZ_SRCS),$(eval $(call program,$(BUILD)-fuzz,$(t:%.c=%),$(t),$(CLANG),-fsanitize=fuzzer$(comma)address$(comma)undefined,)))
$(foreach t,$(FILE_TOOLS),$(eval $(call program,$(B),$(t:%.c=%),$(t),$(CC),$(if $(SAN),$(call san_flags,$(SAN)),$(FORTIFY)),)))
folder_tool = $(1)$(notdir $(patsubst %/,%,$(1)))
$(foreach d,$(FOLDER_TOOLS),$(eval $(call program,$(B),$(call folder_tool,$(d)),$(call plain_sources,$(d)),$(CC),$(if $(SAN),$(call san_flags,$(SAN)),$(FORTIFY)),)))

UNIT := $(UNIT_SRCS:%.c=$(B)/%)
UNIT_ASAN := $(UNIT_SRCS:%.c=$(B)-address-undefined/%)
UNIT_TSAN := $(THREAD_SRCS:%.c=$(B)-thread/%)
FUZZERS := $(FUZZ_SRCS:%.c=$(BUILD)-fuzz/%)
TOOLS := $(FILE_TOOLS:%.c=$(B)/%) $(foreach d,$(FOLDER_TOOLS),$(B)/$(call folder_tool,$(d))) \
	$(patsubst %.c,$(B)/%,$(filter-out $(UNIT_SRCS),$(CMOCKA_SRCS)))

# With SAN= only that flavour is built and run. T='net/udp*' runs what matches, S='unit net' runs these suites.
S ?= $(if $(SAN),unit bpf net torture soak,style unit unit-asan unit-tsan sdk fuzz bpf net torture soak vm package demo)
NEED_style := all
NEED_unit := $(UNIT)
NEED_unit-asan := $(UNIT_ASAN)
NEED_unit-tsan := $(UNIT_TSAN)
NEED_fuzz := $(FUZZERS)
$(foreach s,bpf net torture soak vm package demo,$(eval NEED_$(s) := all $(TOOLS)))
SECONDS ?= 60
RUN = $(Q)CC='$(CC)' python3 test/lib/run.py --build $(1) $(foreach t,$(T),--only '$(t)')

## test: packages, build, all tests (as root); T='unit/base/*' and S='net bpf' narrow it, SAN=thread runs it sanitized, AGAIN=1 tries failures twice
test: $(foreach s,$(S),$(NEED_$(s))) $(if $(SAN)$(filter command line,$(origin S)),,arm64)
	$(call RUN,$(B)) --clock $(CLOCK_START),$(CLOCK_PACKAGES) $(if $(AGAIN),--again )$(S)

## check: what needs no root: layers, style, headers on their own, unit tests, documents in step
check: all $(UNIT)
	$(call RUN,$(B)) style unit sdk

## unit: builds the unit test programs
unit: $(UNIT)

## docs: writes docs/configuration.md from the rows of the settings
docs: $(B)/weftd
	$(Q)$< --tool config-docs > $(B)/configuration.md
	$(Q)cp $(B)/configuration.md docs/configuration.md

## fuzz: every fuzz target for SECONDS=60 each
fuzz: $(FUZZERS)
	$(call RUN,$(BUILD)) --fuzz-seconds $(SECONDS) fuzz

## check-arm64: compiles everything for 64-bit ARM, userspace and BPF
check-arm64: arm64

.PHONY: test check unit docs fuzz check-arm64 arm64

# Long forms, one script each; a script gets the build folder in WEFT_BUILD. A target exists once its script does.
script = $(Q)WEFT_BUILD=$(abspath $(B)) bash $(1)
ifneq ($(wildcard test/demo/run.sh),)
## demo: the main job shown on two pods of this machine (as root); cleans up after itself
demo: all $(TOOLS)
	$(call script,test/demo/run.sh)
.PHONY: demo
endif
ifneq ($(wildcard test/perf/run.sh),)
## bench: figures beside a peer in the same run (as root); CASE=l4, h1, h2, grpc, h2-abuse, streams, bolt, dubbo, tls, tcp, body, idle, reload or node narrows it
bench: all $(TOOLS)
	$(call script,test/perf/run.sh) $(CASE)
.PHONY: bench
endif
ifneq ($(wildcard test/torture/run.sh),)
## torture: the short-circuit under everything that can be done to a TCP socket (as root), long form
torture: all $(TOOLS)
	$(call script,test/torture/run.sh)
.PHONY: torture
endif
ifneq ($(wildcard test/soak/run.sh),)
## soak: SOAK=600 seconds of everything at once, then 10 GB bodies both ways (as root): memory flat, nothing left, nothing stuck
soak: all $(TOOLS)
	$(call script,test/soak/run.sh)
	$(Q)BODY_MB=10240 WEFT_BUILD=$(abspath $(B)) bash test/net/http_bulk.sh
.PHONY: soak
endif
ifneq ($(wildcard test/vm/run.sh),)
## test-vm: the BPF side on other kernels, in QEMU
test-vm: all $(TOOLS)
	$(call script,test/vm/run.sh)
.PHONY: test-vm
endif
