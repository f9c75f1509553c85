/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <csample/store.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct outlet_label labels[] = {{"env", "prod"}, {"service_name", "aaaaaaaa"}};
	static const struct store_profile p = {.type = "cpu", .labels = labels, .n_labels = 2};
	char *text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	struct selector *s = NULL;
	struct err *err = selector_parse(text, &s);
	if (!err)
		selector_matches(s, &p);
	selector_free(s);
	err_free(err);
	free(text);
	return 0;
}
