/* SPDX-License-Identifier: Apache-2.0 */
#include "debts.h"

#define MAX_YOUNG 2048

void debts_free(struct debts *d)
{
	map64_free(&d->young);
	map64_free(&d->old);
}

void debts_add(struct debts *d, pid_t tid, uint64_t ns)
{
	*map64_put(&d->young, (uint64_t)tid) += ns;
}

uint64_t debts_of(const struct debts *d, pid_t tid)
{
	const uint64_t *young = map64_get(&d->young, (uint64_t)tid);
	const uint64_t *old = map64_get(&d->old, (uint64_t)tid);
	return (young ? *young : 0) + (old ? *old : 0);
}

static uint64_t pay_one(const struct map64 *map, pid_t tid, uint64_t ns)
{
	uint64_t *debt = map64_get(map, (uint64_t)tid);
	uint64_t paid = !debt ? 0 : *debt < ns ? *debt : ns;
	if (debt)
		*debt -= paid;
	return ns - paid;
}

uint64_t debts_pay(struct debts *d, pid_t tid, uint64_t ns)
{
	return pay_one(&d->young, tid, pay_one(&d->old, tid, ns));
}

void debts_drop(struct debts *d, pid_t tid)
{
	debts_pay(d, tid, UINT64_MAX);
}

void debts_age(struct debts *d)
{
	if (d->young.n <= MAX_YOUNG)
		return;
	map64_free(&d->old);
	d->old = d->young;
	d->young = (struct map64){0};
}
