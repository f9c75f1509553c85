/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_DESK_TEXTS_H
#define CMD_DESK_TEXTS_H

#include <csample/serve.h>

#include "session.h"

/* What a desk asks of the session's first process; appended to b, see enum desk_text. */
struct err *desk_text_of(const struct session *s, enum desk_text what, struct strbuf *b);

#endif
