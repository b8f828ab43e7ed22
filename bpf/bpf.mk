# SPDX-License-Identifier: Apache-2.0
# BPF: x.bpf.c -> $(BUILD)/bpf/x.bpf.o -> $(BUILD)/bpf/x.skel.h (struct x_bpf, x_bpf__open() ...).
# The same for programs of tests: test/bpf/a/x.bpf.c -> $(BUILD)/test/bpf/a/x.skel.h.
BPF_SRCS := $(wildcard bpf/*.bpf.c)
BPF_OBJS := $(BPF_SRCS:%.c=$(BUILD)/%.o)
BPF_SKELS := $(BPF_SRCS:%.bpf.c=$(BUILD)/%.skel.h)
TEST_BPF_SRCS := $(wildcard test/*/*.bpf.c test/*/*/*.bpf.c)
TEST_BPF_SKELS := $(TEST_BPF_SRCS:%.bpf.c=$(BUILD)/%.skel.h)

BPF_ARCH_x86_64 := x86
BPF_ARCH_aarch64 := arm64
BPF_ARCH := $(BPF_ARCH_$(shell uname -m))
# clang -target bpf does not know where a distribution keeps <asm/types.h>.
BPF_MULTIARCH := $(firstword $(wildcard /usr/include/$(shell uname -m)-linux-gnu /usr/include))
# Without CAP_PERFMON the verifier lets no number be spilled over a pointer, and clang shares slots of the stack.
BPF_CFLAGS := -mllvm -no-stack-slot-sharing -mcpu=v3 -g -O2 -Wall -Wextra -Werror -Wno-unused-parameter -Iinclude -Ibpf -idirafter $(BPF_MULTIARCH)

# bpf: build folder, architecture of the traced kernel
define bpf
$(1)/%.bpf.o: %.bpf.c Makefile bpf/bpf.mk
	$$(call say,BPF,$$<)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$(CLANG) -target bpf $(BPF_CFLAGS) -D__TARGET_ARCH_$(2) -MMD -MP -MF $$(@:.o=.d) -MT $$@ -c $$< -o $$@
endef
$(eval $(call bpf,$(BUILD),$(BPF_ARCH)))
$(eval $(call bpf,$(BUILD)-arm64,arm64))

$(BUILD)/%.skel.h: $(BUILD)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< > $@

.SECONDARY: $(BPF_OBJS) $(TEST_BPF_SRCS:%.c=$(BUILD)/%.o)
-include $(BPF_OBJS:.o=.d) $(BPF_SRCS:%.c=$(BUILD)-arm64/%.d) $(TEST_BPF_SRCS:%.c=$(BUILD)/%.d)
