# SPDX-License-Identifier: GPL-2.0-or-later
# Mutants: the engine with one planted bug each, which the simulator has to find.
# `sim/mutants --help` tells more.

.PHONY: mutants mutants-sample mutant

mutants: | deps-build
	@sim/mutants

# What `make test` has time for.
mutants-sample: | deps-build
	@sim/mutants --sample 24 --kind list

# The simulator's programs with one mutant, for sim/mutants. MUTANT: its folder;
# CHANGED: the file of its kernel/ that differs. All else is taken from S as it is.
mutant:
	@$(CC) $(SIM_CFLAGS) -w -c -o $(MUTANT)/changed.o $(MUTANT)/kernel/$(CHANGED)
	@$(call sim_world,$(MUTANT)/world.o,$(MUTANT)/changed.o \
		$(filter-out $(S)/obj/$(SIM_KERNEL)/$(CHANGED:.c=.o),\
		$(SIM_WORLD_SRCS:%.c=$(S)/obj/%.o)))
	@$(foreach p,$(SIM_PROGRAMS),$(call sim_link,$(MUTANT)/$(p),$(MUTANT)/world.o \
		$(S)/obj/sim/$(p).o $(SIM_HOST_SRCS:%.c=$(S)/obj/%.o)) &&) true
