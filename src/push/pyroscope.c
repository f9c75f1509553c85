/* SPDX-License-Identifier: Apache-2.0 */
/* Pyroscope: POST /push.v1.PusherService/Push, a series with one sample in each request, since
 * those of a batch are stored one by one and a retry would store some twice. A server that does not
 * know that path gets POST /ingest, which guesses the profile's name from its types. */
#include <ctype.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <pyroscope.pb-c.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "push.h"

static Pyroscope__LabelPair label_of(const char *name, const char *value)
{
	Pyroscope__LabelPair pair = PYROSCOPE__LABEL_PAIR__INIT;
	pair.name = (char *)name;
	pair.value = (char *)value;
	return pair;
}

static struct err *push_request(const struct sending *s, struct http_request *ret)
{
	const struct entry *e = s->entry;
	size_t n = 0;
	_cleanup_free_ Pyroscope__LabelPair *pairs =
	        mem_realloc_array(NULL, e->n_labels + 2, sizeof(*pairs));
	_cleanup_free_ Pyroscope__LabelPair **list =
	        mem_realloc_array(NULL, e->n_labels + 2, sizeof(Pyroscope__LabelPair *));
	/* Else the first storage takes the difference to the profile before. */
	pairs[n++] = label_of("__delta__", "false");
	pairs[n++] = label_of("__name__", e->type);
	for (size_t i = 0; i < e->n_labels; i++)
		pairs[n++] = label_of(e->labels[i].name, e->labels[i].value);
	for (size_t i = 0; i < n; i++)
		list[i] = &pairs[i];

	Pyroscope__RawSample sample = PYROSCOPE__RAW_SAMPLE__INIT, *samples[] = {&sample};
	sample.raw_profile = (ProtobufCBinaryData){s->pprof_len, (uint8_t *)s->pprof};
	Pyroscope__RawProfileSeries series = PYROSCOPE__RAW_PROFILE_SERIES__INIT,
	                            *all[] = {&series};
	series.n_labels = n;
	series.labels = list;
	series.n_samples = 1;
	series.samples = samples;
	Pyroscope__PushRequest request = PYROSCOPE__PUSH_REQUEST__INIT;
	request.n_series = 1;
	request.series = all;

	ret->body_len = pyroscope__push_request__get_packed_size(&request);
	ret->body = mem_alloc(ret->body_len + 1);
	pyroscope__push_request__pack(&request, ret->body);
	ret->path = mem_strdup("/push.v1.PusherService/Push");
	ret->content_type = "application/proto";
	return NULL;
}

/* Of the text of name=app{k=v,...}: what would end a part of it becomes an underscore. */
static void add_ingest_text(struct strbuf *b, const char *s, bool name)
{
	for (; *s; s++) {
		bool plain = name ? isalnum((unsigned char)*s) || strchr("_.-/", *s)
		                  : !strchr(",{}=\"", *s) && !iscntrl((unsigned char)*s);
		strbuf_addc(b, plain ? *s : '_');
	}
}

static struct err *ingest_request(const struct sending *s, struct http_request *ret)
{
	const struct entry *e = s->entry;
	struct strbuf name = {0};
	const char *service = "csample";
	for (size_t i = 0; i < e->n_labels; i++)
		if (!strcmp(e->labels[i].name, "service_name"))
			service = e->labels[i].value;
	add_ingest_text(&name, service, true);
	char separator = '{';
	for (size_t i = 0; i < e->n_labels; i++) {
		if (!strcmp(e->labels[i].name, "service_name"))
			continue;
		strbuf_addc(&name, separator);
		strbuf_add(&name, e->labels[i].name);
		strbuf_addc(&name, '=');
		add_ingest_text(&name, e->labels[i].value, false);
		separator = ',';
	}
	if (separator == ',')
		strbuf_addc(&name, '}');
	char *escaped = curl_easy_escape(NULL, name.s, (int)name.len);
	int64_t from = s->piece->time_nanos / 1000000, until = s->piece->duration_nanos / 1000000;
	ret->path = mem_asprintf("/ingest?name=%s&format=pprof&from=%" PRId64 "&until=%" PRId64,
	                         escaped ? escaped : "csample", from, from + until);
	curl_free(escaped);
	strbuf_free(&name);
	ret->body_len = s->pprof_len;
	ret->body = mem_alloc(s->pprof_len + 1);
	memcpy(ret->body, s->pprof, s->pprof_len);
	ret->content_type = "application/octet-stream";
	return NULL;
}

static struct err *request(const struct sending *s, struct http_request *ret)
{
	return s->other_way ? ingest_request(s, ret) : push_request(s, ret);
}

static enum verdict judge(const struct sending *s, const struct http_answer *a)
{
	bool refused = a->status == 400 || a->status == 422;
	if (refused && strstr(a->body, "ingestion window"))
		return PUSH_EXPIRED;
	if (refused && (strstr(a->body, "exceeds the size limit") ||
	                strstr(a->body, "exceeds the samples count limit")))
		return PUSH_SMALLER;
	if (!s->other_way && (a->status == 404 || a->status == 405 || a->status == 501))
		return PUSH_OTHER_WAY;
	if (s->other_way && a->status == 422) /* its answer to trouble of its own as well */
		return PUSH_RETRY_FEW;
	return retry_judge(a->status);
}

/* Its defaults are 16,000 samples and 4 MiB, but at most 2 MiB at once. */
const struct backend backend_pyroscope = {
        .name = "pyroscope",
        .limits = {.samples = 15000, .bytes = (size_t)1800 << 10},
        .spread_ms = 500,
        .request = request,
        .judge = judge,
};
