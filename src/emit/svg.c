/* SPDX-License-Identifier: Apache-2.0 */
/* A flame graph in one SVG file that needs nothing else: flame.css and flame.js go into it.
 *
 * Frames of equal depth are a row (<g class="row">, outermost first), and a frame is a rect with
 * its facts in <title>; flame.js reads no more than that, and without a script it still is the
 * picture. Rects measure 0 to 1000000 across, labels and the heading are in pixels above them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "emit.h"

#define WIDTH_PX        1200 /* where there is no script to measure */
#define MIN_WIDTH_PX    0.1
#define ROW_PX          17
#define LABEL_MIN_PX    24
#define LABEL_MIN_CHARS 3   /* before the dots */
#define CHAR_PX         7.0 /* a little over the mean of common sans-serif fonts at 12 px */
#define FULL            1000000.0
#define SHADES          4
#define MAX_FRAMES      ((size_t)100 * 1000)
#define FLUSH_BYTES     ((size_t)64 * 1024)
#define MAX_LINE_BYTES  ((size_t)4 * 1024)
#define MAX_NAME_BYTES  ((size_t)16 * 1024)

static const char style[] =
#include <flame.css.inc>
        ;
static const char script[] =
#include <flame.js.inc>
        ;

static const struct {
	char class;
	const char *name, *legend;
} kinds[FRAME_KINDS] = {
        [FRAME_NATIVE] = {'n', "native", "native"},
        [FRAME_INLINED] = {'i', "inlined", "inlined"},
        [FRAME_KERNEL] = {'k', "kernel", "kernel"},
        [FRAME_PYTHON] = {'p', "Python", "Python"},
        [FRAME_JAVASCRIPT] = {'j', "JavaScript", "JavaScript"},
        [FRAME_MARK] = {'m', NULL, "[…] not code"},
};

struct picture {
	const struct profile *p;
	struct tree *t;
	FILE *out;
	struct strbuf b;
	size_t value;      /* what widths are of: 1, time; or 0, samples, when there is no time */
	double total, min; /* in that; below min a frame is dropped */
	size_t n_rows, n_dropped;
	bool inverted, present[FRAME_KINDS];
	char **texts;   /* per label: as XML */
	double *starts; /* per node shown */
};

/* Anything that comes from a target: controls visible, then as XML. */
static void add_foreign(struct strbuf *b, const char *text)
{
	struct strbuf visible = {0};
	strbuf_add_terminal(&visible, text);
	if (visible.s)
		strbuf_add_xml(b, visible.s);
	strbuf_free(&visible);
}

static void svg_text(const struct frame *f, const struct emit_options *opt, struct strbuf *b)
{
	struct strbuf label = {0};
	frame_label(f, opt, &label);
	if (label.len >
	    MAX_NAME_BYTES) { /* the whole name would be repeated in each of its frames */
		label.s[MAX_NAME_BYTES] = '\0';
		strbuf_add_terminal(b, label.s);
		strbuf_add(b, "\xe2\x80\xa6");
	} else {
		strbuf_add_terminal(b, label.s);
	}
	strbuf_free(&label);
}

/* A coordinate, in at most two decimals. */
static void add_number(struct strbuf *b, double x)
{
	uint64_t hundredths = (uint64_t)(x * 100 + 0.5);
	strbuf_addf(b, "%" PRIu64, hundredths / 100);
	if (hundredths % 100)
		strbuf_addf(b, ".%02d", (int)(hundredths % 100));
}

static void flush(struct picture *pic, size_t at_least)
{
	if (pic->b.len < at_least || !pic->b.len)
		return;
	fwrite(pic->b.s, 1, pic->b.len, pic->out);
	strbuf_clear(&pic->b);
}

static bool is_shown(const struct picture *pic, const struct tree_node *node)
{
	return (double)node->total[pic->value] >= pic->min;
}

static int compare_totals(const void *pa, const void *pb)
{
	const uint64_t *a = pa, *b = pb;
	return *a > *b ? -1 : *a < *b;
}

/* A browser takes seconds for 100,000 frames and minutes for a million: of more, the widest are
 * shown. No frame is wider than its caller, so none loses it. */
static void limit_frames(struct picture *pic)
{
	const struct tree *t = pic->t;
	size_t n = 0;
	if (t->n_nodes <= MAX_FRAMES)
		return;
	_cleanup_free_ uint64_t *totals = mem_realloc_array(NULL, t->n_nodes, sizeof(*totals));
	for (size_t i = 0; i < t->n_nodes; i++)
		if (is_shown(pic, &t->nodes[i]))
			totals[n++] = t->nodes[i].total[pic->value];
	if (n <= MAX_FRAMES)
		return;
	qsort(totals, n, sizeof(*totals), compare_totals);
	pic->min = (double)totals[MAX_FRAMES] + 1;
}

/* Decides what is seen, and builds no more than that. */
static void measure(struct picture *pic, const struct emit_options *opt)
{
	const uint64_t *totals = pic->p->total;
	pic->value = totals[1] ? 1 : 0;
	pic->total = totals[pic->value] ? (double)totals[pic->value] : 1;
	double min_px = opt->min_width_px > 0 ? opt->min_width_px : MIN_WIDTH_PX;
	pic->min = pic->total * min_px / WIDTH_PX;
	pic->inverted = opt->inverted;
	struct tree_config config = {
	        .opt = opt,
	        .text = svg_text,
	        .apart = true,
	        .min_value = pic->value,
	        .min_total = pic->min,
	};
	pic->t = tree_create(pic->p, &config);
	if (opt->min_width_px <= 0)
		limit_frames(pic);
	pic->n_rows = 1;
	for (size_t i = 1; i < pic->t->n_nodes; i++) {
		const struct tree_node *node = &pic->t->nodes[i];
		if (!is_shown(pic, node)) {
			pic->n_dropped += is_shown(pic, &pic->t->nodes[node->parent]);
			continue;
		}
		pic->present[pic->t->labels[node->label].kind] = true;
		pic->n_rows = node->depth + 1;
	}
}

static const char *text_of(struct picture *pic, uint32_t label)
{
	if (!pic->texts[label]) {
		struct strbuf b = {0};
		strbuf_add_xml(&b, pic->t->labels[label].text);
		pic->texts[label] = b.s;
	}
	return pic->texts[label];
}

static size_t row_y(const struct picture *pic, size_t depth)
{
	return (pic->inverted ? depth : pic->n_rows - 1 - depth) * ROW_PX;
}

static void add_where(struct picture *pic, const struct tree_node *node)
{
	const struct tree_label *label = &pic->t->labels[node->label];
	bool is_native = !frame_kind_is_script(label->kind);
	struct strbuf *b = &pic->b;
	if (kinds[label->kind].name) {
		strbuf_addf(b, "\n%s", kinds[label->kind].name);
		if (is_native && label->place) {
			strbuf_add(b, ", ");
			add_foreign(b, label->place);
		}
	}
	if (!node->file)
		return;
	strbuf_addc(b, '\n');
	add_foreign(b, node->file);
	if (node->line_min)
		strbuf_addf(b, ":%" PRIu32, node->line_min);
	if (node->line_max > node->line_min)
		strbuf_addf(b, "\xe2\x80\x93%" PRIu32, node->line_max);
	if (node->other_files)
		strbuf_add(b, " and other files");
}

static void add_title(struct picture *pic, const struct tree_node *node, const char *text)
{
	struct strbuf *b = &pic->b;
	strbuf_add(b, "<title>");
	strbuf_add(b, text);
	strbuf_add(b, " (");
	facts_add_counted(b, node->total[0], "sample", "samples");
	strbuf_addf(b, ", %.2f%%)", 100 * (double)node->total[pic->value] / pic->total);
	if (pic->value == 1) {
		strbuf_addc(b, '\n');
		facts_add_time(b, node->total[1]);
		if (node->self[1]) {
			strbuf_add(b, ", self ");
			facts_add_time(b, node->self[1]);
		}
	}
	if (node->depth)
		add_where(pic, node);
	strbuf_add(b, "</title>");
}

/* Shades follow the name, so that a function looks the same everywhere; neighbours always differ.
 */
static unsigned shade_of(const char *text, unsigned previous)
{
	unsigned shade = (unsigned)(hash_bytes(text, strlen(text)) % SHADES);
	return shade == previous ? (shade + 1) % SHADES : shade;
}

static void add_frame(struct picture *pic, size_t index, unsigned *shade)
{
	const struct tree_node *node = &pic->t->nodes[index];
	const char *text = index ? text_of(pic, node->label) : "all";
	char class = index ? kinds[pic->t->labels[node->label].kind].class : 'm';
	*shade = shade_of(text, *shade);
	strbuf_addf(&pic->b, "<rect class=\"%c%u\" x=\"", class, *shade);
	add_number(&pic->b, pic->starts[index] / pic->total * FULL);
	strbuf_add(&pic->b, "\" width=\"");
	add_number(&pic->b, (double)node->total[pic->value] / pic->total * FULL);
	strbuf_addf(&pic->b, "\" height=\"%d\">", ROW_PX - 1);
	add_title(pic, node, text);
	strbuf_add(&pic->b, "</rect>\n");
	flush(pic, FLUSH_BYTES);
}

/* Bytes of the first n characters of valid UTF-8. */
static size_t prefix_bytes(const char *text, size_t n)
{
	size_t at = 0;
	for (; text[at]; at++)
		if (((unsigned char)text[at] & 0xc0) != 0x80 && n-- == 0)
			break;
	return at;
}

static void add_label(struct picture *pic, struct strbuf *b, size_t index)
{
	const struct tree_node *node = &pic->t->nodes[index];
	double width = (double)node->total[pic->value] / pic->total * WIDTH_PX;
	if (width < LABEL_MIN_PX)
		return;
	const char *text = node->depth ? pic->t->labels[node->label].text : "all";
	size_t room = (size_t)((width - 6) / CHAR_PX);
	bool whole = !text[prefix_bytes(text, room)];
	if (!whole && room <= LABEL_MIN_CHARS)
		return;
	size_t len = whole ? strlen(text) : prefix_bytes(text, room - 1);
	_cleanup_free_ char *cut = mem_strndup(text, len);
	strbuf_addf(b, "<text x=\"%.3f%%\" dx=\"3\" y=\"%zu\">",
	            100 * pic->starts[index] / pic->total, row_y(pic, node->depth) + ROW_PX - 5);
	strbuf_add_xml(b, cut);
	strbuf_addf(b, "%s</text>\n", whole ? "" : "\xe2\x80\xa6");
}

/* Row by row from the root, as the nodes are: no recursion, however deep. */
static void add_frames(struct picture *pic)
{
	const struct tree_node *nodes = pic->t->nodes;
	struct strbuf labels = {0};
	size_t graph_height = pic->n_rows * ROW_PX;
	strbuf_addf(&pic->b,
	            "<svg id=\"frames\" width=\"100%%\" height=\"%zu\" viewBox=\"0 0 1000000 %zu\" "
	            "preserveAspectRatio=\"none\">\n",
	            graph_height, graph_height);
	pic->starts = mem_zalloc(pic->t->n_nodes * sizeof(*pic->starts));
	unsigned shade = SHADES;
	size_t n_rows = 0;
	for (size_t i = 0; i < pic->t->n_nodes; i++) {
		double x = pic->starts[i];
		for (uint32_t k = nodes[i].first; k < nodes[i].first + nodes[i].n_children; k++) {
			pic->starts[k] = x;
			x += (double)nodes[k].total[pic->value];
		}
		if (i && !is_shown(pic, &nodes[i]))
			continue;
		if (nodes[i].depth == n_rows) {
			strbuf_addf(&pic->b, "%s<g class=\"row\" transform=\"translate(0 %zu)\">\n",
			            n_rows ? "</g>\n" : "", row_y(pic, n_rows));
			n_rows++;
			shade = SHADES;
		}
		add_frame(pic, i, &shade);
		add_label(pic, &labels, i);
	}
	strbuf_add(&pic->b, "</g>\n</svg>\n<g id=\"labels\">\n");
	if (labels.s)
		strbuf_addn(&pic->b, labels.s, labels.len);
	strbuf_add(&pic->b, "</g>\n");
	strbuf_free(&labels);
}

/* A line of the heading; the script cuts it to the window's width, knowing it all. */
static void add_line(struct picture *pic, size_t *y, const char *class, const char *whole)
{
	_cleanup_free_ char *text = mem_strndup(whole, MAX_LINE_BYTES);
	for (char *c = text; *c; c++)
		if (strchr("\n\r\t", *c)) /* of a script on the command line */
			*c = ' ';
	*y += 19;
	strbuf_addf(&pic->b, "<text class=\"%s\" x=\"10\" y=\"%zu\" data-full=\"", class, *y);
	add_foreign(&pic->b, text);
	strbuf_add(&pic->b, "\">");
	add_foreign(&pic->b, text);
	strbuf_add(&pic->b, "</text>\n");
}

static void add_legend(struct picture *pic, size_t *y)
{
	double x = 10;
	*y += 19;
	strbuf_add(&pic->b, "<g id=\"legend\">\n");
	for (size_t k = 0; k < FRAME_KINDS; k++) {
		if (!pic->present[k])
			continue;
		strbuf_addf(&pic->b,
		            "<rect class=\"%c0\" x=\"%.0f\" y=\"%zu\" width=\"12\" height=\"12\"/>"
		            "<text x=\"%.0f\" y=\"%zu\">%s</text>\n",
		            kinds[k].class, x, *y - 10, x + 17, *y, kinds[k].legend);
		x += 17 + CHAR_PX * (double)strlen(kinds[k].legend) + 20;
	}
	strbuf_add(&pic->b, "</g>\n");
}

/* Returns its height in pixels. Drawn after the frames, since it lies over them when they scroll.
 */
static size_t add_head(struct picture *pic)
{
	const struct profile_meta *meta = &pic->p->meta;
	const char *title = meta->title ? meta->title : meta->command ? meta->command : "csample";
	struct strbuf facts = {0}, dropped = {0};
	size_t y = 7;
	add_line(pic, &y, "title", title);
	facts_add(pic->p, &facts);
	add_line(pic, &y, "facts", facts.s);
	if (meta->command && title != meta->command && strcmp(title, meta->command) != 0)
		add_line(pic, &y, "facts", meta->command);
	if (meta->note)
		add_line(pic, &y, "note", meta->note);
	if (pic->n_dropped) {
		facts_add_counted(&dropped, pic->n_dropped, "frame", "frames");
		strbuf_addf(&dropped,
		            " narrower than %.2g px of %d left out, and what they call: neither "
		            "drawn nor searched",
		            pic->min / pic->total * WIDTH_PX, WIDTH_PX);
		add_line(pic, &y, "quiet", dropped.s);
	}
	add_legend(pic, &y);
	strbuf_free(&facts);
	strbuf_free(&dropped);
	return y + 10;
}

static void add_document(struct picture *pic)
{
	struct strbuf body = {0}, *b = &pic->b;
	const struct profile_meta *meta = &pic->p->meta;
	const char *title = meta->title ? meta->title : meta->command;
	size_t head = add_head(pic);
	body = *b; /* its height is needed first */
	*b = (struct strbuf){0};
	size_t height = head + pic->n_rows * ROW_PX + 12;
	strbuf_addf(b,
	            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
	            "viewBox=\"0 0 %d %zu\">\n<title>",
	            WIDTH_PX, height, WIDTH_PX, height);
	if (title)
		add_foreign(b, title);
	strbuf_addf(b,
	            "%scsample</title>\n<style><![CDATA[\n%s]]></style>\n"
	            "<rect id=\"page\" width=\"100%%\" height=\"100%%\"/>\n"
	            "<svg id=\"graph\" y=\"%zu\" width=\"100%%\" height=\"%zu\" data-row=\"%d\" "
	            "data-inverted=\"%d\" data-dropped=\"%zu\">\n",
	            title ? " - " : "", style, head, pic->n_rows * ROW_PX, ROW_PX, pic->inverted,
	            pic->n_dropped);
	add_frames(pic);
	strbuf_addf(b,
	            "</svg>\n<g id=\"head\" data-height=\"%zu\">\n"
	            "<rect class=\"back\" width=\"100%%\" height=\"%zu\"/>\n",
	            head, head - 4);
	strbuf_addn(b, body.s, body.len);
	strbuf_add(b, "</g>\n<script><![CDATA[\n");
	strbuf_add(b, script);
	strbuf_add(b, "]]></script>\n</svg>\n");
	strbuf_free(&body);
	flush(pic, 0);
}

static struct err *svg_write(const struct profile *p, const struct emit_options *opt, FILE *out)
{
	struct picture pic = {.p = p, .out = out};
	measure(&pic, opt);
	pic.texts = mem_zalloc((pic.t->n_labels + 1) * sizeof(*pic.texts));
	add_document(&pic);
	for (size_t i = 0; i < pic.t->n_labels; i++)
		free(pic.texts[i]);
	free(pic.texts);
	free(pic.starts);
	strbuf_free(&pic.b);
	tree_destroy(pic.t);
	return NULL;
}

const struct format format_svg = {
        .name = "svg",
        .aliases = (const char *const[]){"flamegraph", NULL},
        .suffixes = (const char *const[]){".svg", NULL},
        .suffix = ".svg",
        .help = "flame graph: one file for any browser",
        .write = svg_write,
};
