# SPDX-License-Identifier: Apache-2.0
# Every folder of userspace/ is its *.c; all but the two main programs go into libweft.a. A new file needs no edit here.
FOLDERS := base event net model proto netio filter lb registry client kern proxy agent conf daemon
LIB_SRCS := $(filter-out userspace/daemon/main.c,$(foreach f,$(FOLDERS),$(wildcard userspace/$(f)/*.c)))
CLI_SRCS := $(wildcard userspace/cli/*.c)

PROGRAMS := $(if $(wildcard userspace/daemon/main.c),$(B)/weftd) $(if $(wildcard userspace/cli/main.c),$(B)/weft)

WARNINGS := -Wall -Wextra -Werror
CPPFLAGS_ALL := -D_GNU_SOURCE -DWEFT_VERSION='"$(VERSION)"' -Iinclude -Iuserspace -I$(BUILD) $(LIBS_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL := -std=gnu11 $(WARNINGS) -fPIC -fstack-protector-strong $(CFLAGS)
LDFLAGS_ALL := -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)

# Only these folders may see skeletons, so only they wait for the BPF objects.
SKEL_USERS := userspace/kern/%

# flavour: build folder, compiler, extra flags. Each has its own objects, libweft.a and programs.
define flavour
$(1)/obj/%.o: %.c Makefile userspace/userspace.mk test/lib/deps.mk
	$$(call say,CC,$$<)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$(2) $(CPPFLAGS_ALL) $$(CPPFLAGS_EXTRA) $(CFLAGS_ALL) $(3) -MMD -MP -c $$< -o $$@

$(1)/libweft.a: $(LIB_SRCS:%.c=$(1)/obj/%.o) $(1)/lib.list
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && ar qcs $$@ $$(filter %.o,$$^)

$(1)/weftd: $(1)/obj/userspace/daemon/main.o $(1)/libweft.a
	$$(call say,LD,$$@)
	$$(Q)$(2) $(3) $(LDFLAGS_ALL) -rdynamic -o $$@ $$< -Wl,--whole-archive $(1)/libweft.a -Wl,--no-whole-archive $(LIBS)

$(1)/weft: $(CLI_SRCS:%.c=$(1)/obj/%.o) $(1)/libweft.a
	$$(call say,LD,$$@)
	$$(Q)$(2) $(3) $(LDFLAGS_ALL) -o $$@ $$(filter %.o,$$^) $(1)/libweft.a $(LIBS)

# The list of members, so that a removed source also leaves the library.
$(1)/lib.list: FORCE
	@mkdir -p $(1)
	@printf '%s\n' $(sort $(LIB_SRCS)) | cmp -s - $$@ || printf '%s\n' $(sort $(LIB_SRCS)) > $$@

$(patsubst %.c,$(1)/obj/%.o,$(filter $(SKEL_USERS),$(LIB_SRCS))): | $(BPF_SKELS)
-include $(patsubst %.c,$(1)/obj/%.d,$(LIB_SRCS) $(CLI_SRCS) userspace/daemon/main.c)
endef

FORTIFY := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
# Fences towards BPF's side of a shared map are beyond what the thread sanitizer follows, and gcc says so at each.
san_flags = -O1 -fno-omit-frame-pointer -fsanitize=$(1) $(if $(findstring undefined,$(1)),-fno-sanitize-recover=undefined) \
	$(if $(findstring thread,$(1)),-Wno-tsan)
$(eval $(call flavour,$(BUILD),$(CC),$(FORTIFY)))
$(foreach s,$(SANS),$(eval $(call flavour,$(BUILD)-$(subst $(comma),-,$(s)),$(CC),$(call san_flags,$(s)))))

# For 64-bit ARM there are compilers and the C library's headers here, but not the other libraries: everything is
# compiled for real and nothing is linked. Headers of the others do not depend on the machine.
ARM64_FLAGS := $(FORTIFY) -idirafter /usr/include -idirafter $(BPF_MULTIARCH)
$(eval $(call flavour,$(BUILD)-arm64,aarch64-linux-gnu-gcc,$(ARM64_FLAGS)))
arm64: $(patsubst %.c,$(BUILD)-arm64/obj/%.o,$(LIB_SRCS) $(CLI_SRCS) $(wildcard userspace/daemon/main.c)) \
	$(BPF_SRCS:%.c=$(BUILD)-arm64/%.o)
# clang counts the fields that libseccomp's macros leave out; gcc, which builds the same files, does not.
$(eval $(call flavour,$(BUILD)-fuzz,$(CLANG),-Wno-missing-field-initializers -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link$(comma)address$(comma)undefined -fno-sanitize-recover=undefined))

## lib: libweft.a alone, everything but the two main programs
lib: $(B)/libweft.a
.PHONY: lib
