// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the tracepoints are made.
 */
#include "pcache.h"

#define CREATE_TRACE_POINTS
#include "trace.h"
