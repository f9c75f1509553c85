/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

struct namers {
	struct symbols *symbols;
	struct decoder *decoder;
};

static size_t name_location(void *arg, const struct location *loc, struct frame *out, size_t max)
{
	const struct namers *namers = arg;
	if (loc->raw.kind != RAW_RUNTIME)
		return decoder_hide_inlined(namers->decoder, loc->raw, out,
		                            symbols_name(namers->symbols, loc->raw, out, max));
	decoder_name(namers->decoder, loc->raw, out);
	return 1;
}

/* Of the locations from the first that was not looked at yet. */
static bool name_up_to(struct ledger *l, struct symbols *symbols, struct decoder *decoder,
                       size_t end)
{
	struct namers namers = {symbols, decoder};
	struct profile *p = l->profile;
	if (end > p->n_locations)
		end = p->n_locations;
	for (size_t i = l->named; i < end; i++) {
		struct location *loc = &p->locations[i];
		loc->address = loc->raw.kind == RAW_RUNTIME ? 0 : loc->raw.addr;
		if (loc->raw.kind != RAW_NATIVE || loc->raw.owner >= l->places.n)
			continue;
		const struct place *place = &l->places.items[loc->raw.owner];
		loc->mapping = place->mapping;
		loc->address = loc->raw.addr + place->bias;
	}
	profile_name_range(p, l->named, end, name_location, &namers);
	l->named = end;
	return end == p->n_locations;
}

bool ledger_name_some(struct ledger *l, struct symbols *symbols, struct decoder *decoder,
                      size_t max)
{
	return name_up_to(l, symbols, decoder, l->named + max);
}

void ledger_name(struct ledger *l, struct images *images, struct symbols *symbols,
                 struct decoder *decoder)
{
	struct profile *p = l->profile;
	name_up_to(l, symbols, decoder, p->n_locations);
	for (size_t id = 0; id < l->places.n; id++) {
		struct image *img = images_get(images, (uint32_t)id);
		if (!img || !l->places.items[id].mapping)
			continue;
		struct symbols_source source;
		symbols_source(symbols, img, &source);
		struct profile_mapping *m = &p->mappings[l->places.items[id].mapping - 1];
		m->has_functions = source.has_functions;
		m->has_filenames = m->has_lines = source.has_lines;
		m->has_inlines = source.has_inlines;
	}
}
