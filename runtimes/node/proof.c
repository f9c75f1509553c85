/* SPDX-License-Identifier: Apache-2.0 */
/* Is a release of V8 that we do not know laid out as its constants and the nearest known one say?
 * Real frames tell. Until they have, nothing of that kind is shown:
 *
 *   functions  JSFunction → SharedFunctionInfo → name, Script with a source that holds its start
 *   bytecodes  BytecodeArray → positions inside that source
 *   codes      pc → Code, of that function, with positions inside that source
 *
 * A kind whose checks fail is done without, and that is told once. */
#include <csample/log.h>

#include "node.h"

#define ENOUGH_FAILURES 4
#define MAX_COUNT       1024

static const char *const lacks[V8_PROOFS] = {
        [V8_FUNCTIONS] = "its stacks are shown as native code",
        [V8_BYTECODES] = "functions that are interpreted show without their current lines",
        [V8_CODES] = "compiled functions show without current lines and what was inlined",
};
static const char *const subjects[V8_PROOFS] = {
        [V8_FUNCTIONS] = "functions",
        [V8_BYTECODES] = "bytecode",
        [V8_CODES] = "compiled code",
};

bool v8_is_proven(const struct v8 *v8, enum v8_kind kind)
{
	return !v8->image.is_unknown || v8->proving || v8->proofs[kind].state == V8_PROVEN;
}

bool v8_is_all_judged(const struct v8 *v8)
{
	for (unsigned i = 0; i < V8_PROOFS; i++)
		if (v8->proofs[i].state == V8_UNPROVEN)
			return false;
	return true;
}

void v8_check(struct v8 *v8, enum v8_kind kind, bool passed)
{
	struct v8_proof *p = &v8->proofs[kind];
	if (!v8->proving || p->passed + p->failed >= MAX_COUNT)
		return;
	p->passed += passed;
	p->failed += !passed;
}

static void refuse(struct v8 *v8, enum v8_kind kind)
{
	const struct v8_layout *l = &v8->layout;
	const unsigned *v = v8->image.version;
	log_warn("%s: V8 %u.%u.%u.%u is not known to csample, and its %s not like those of "
	         "%u.%u.%u; %s",
	         v8->base.image ? v8->base.image->path : "Node.js", v[0], v[1], v[2], v[3],
	         subjects[kind], l->major, l->minor, l->build, lacks[kind]);
}

void v8_judge(struct v8 *v8)
{
	for (unsigned i = 0; i < V8_PROOFS; i++) {
		struct v8_proof *p = &v8->proofs[i];
		if (p->state != V8_UNPROVEN)
			continue;
		/* Without functions nothing else can be right, nor be told. */
		if (v8->proofs[V8_FUNCTIONS].state == V8_REFUSED) {
			p->state = V8_REFUSED;
		} else if (p->passed && p->failed * 4 <= p->passed) {
			p->state = V8_PROVEN;
		} else if (p->failed >= ENOUGH_FAILURES && p->failed > p->passed) {
			p->state = V8_REFUSED;
			refuse(v8, (enum v8_kind)i);
		}
	}
}
