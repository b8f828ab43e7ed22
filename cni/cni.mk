# SPDX-License-Identifier: Apache-2.0
# The CNI plugin: one program of cni/*.c, base/ and the contracts, as soon as the folder has sources.
CNI_SRCS := $(wildcard cni/*.c)
ifneq ($(CNI_SRCS),)
PROGRAMS += $(B)/weft-cni
$(B)/weft-cni: $(CNI_SRCS:%.c=$(B)/obj/%.o) $(B)/libweft.a
	$(call say,LD,$@)
	$(Q)$(CC) $(if $(SAN),$(call san_flags,$(SAN)),$(FORTIFY)) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(B)/libweft.a $(LIBS)
-include $(CNI_SRCS:%.c=$(B)/obj/%.d)
endif
