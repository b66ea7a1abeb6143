//go:build duckdb_arrow

#include "bridge.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

// The way into DuckDB: the table function that a registered view reads, and the
// loops that fill DuckDB's vectors from Arrow's arrays. DuckDB may throw through
// what fills, so no Go stands above it: Go is only asked for the next batch.

#define DUCKDB extern __attribute__((weak))
DUCKDB void duckdb_data_chunk_set_size(void *chunk, uint64_t rows);
DUCKDB uint64_t duckdb_data_chunk_get_column_count(void *chunk);
DUCKDB void *duckdb_data_chunk_get_vector(void *chunk, uint64_t column);
DUCKDB void *duckdb_vector_get_column_type(void *vector);
DUCKDB void *duckdb_create_vector(void *type, uint64_t capacity);
DUCKDB void duckdb_destroy_vector(void **vector);
DUCKDB void duckdb_destroy_logical_type(void **type);
DUCKDB void *duckdb_vector_get_data(void *vector);
DUCKDB uint64_t *duckdb_vector_get_validity(void *vector);
DUCKDB void duckdb_vector_ensure_validity_writable(void *vector);
DUCKDB void *duckdb_list_vector_get_child(void *vector);
DUCKDB uint64_t duckdb_list_vector_get_size(void *vector);
DUCKDB uint32_t duckdb_list_vector_set_size(void *vector, uint64_t size);
DUCKDB uint32_t duckdb_list_vector_reserve(void *vector, uint64_t size);
DUCKDB void *duckdb_array_vector_get_child(void *vector);
DUCKDB void *duckdb_struct_vector_get_child(void *vector, uint64_t index);
DUCKDB void *duckdb_create_selection_vector(uint64_t size);
DUCKDB void duckdb_destroy_selection_vector(void *sel);
DUCKDB uint32_t *duckdb_selection_vector_get_data_ptr(void *sel);
DUCKDB void duckdb_vector_copy_sel(void *from, void *to, void *sel, uint64_t count, uint64_t from_offset, uint64_t to_offset);
DUCKDB void *duckdb_schema_from_arrow(void *connection, pond_arrow_schema *schema, void **converted);
DUCKDB void *duckdb_data_chunk_from_arrow(void *connection, pond_arrow_array *array, void *converted, void **chunk);
DUCKDB void duckdb_destroy_arrow_converted_schema(void **converted);
DUCKDB void duckdb_destroy_data_chunk(void **chunk);
DUCKDB const char *duckdb_error_data_message(void *error);
DUCKDB bool duckdb_error_data_has_error(void *error);
DUCKDB void duckdb_destroy_error_data(void **error);
DUCKDB void *duckdb_function_get_init_data(void *info);
DUCKDB void *duckdb_function_get_local_init_data(void *info);
DUCKDB void duckdb_function_set_error(void *info, const char *error);
DUCKDB void duckdb_bind_set_bind_data(void *info, void *data, void (*destroy)(void *));
DUCKDB void *duckdb_init_get_bind_data(void *info);
DUCKDB void duckdb_init_set_init_data(void *info, void *data, void (*destroy)(void *));

static const char damaged[] = "a batch of rows does not hang together: its lengths exceed its data";

// What stands above a vector: rows of it are NULL where row / size of mask is.
typedef struct {
	const uint64_t *mask; // NULL: nothing
	uint64_t size;
} above;

static bool has(const uint64_t *mask, uint64_t row) { return mask[row / 64] >> row % 64 & 1; }

static uint64_t *writable(void *vector) {
	duckdb_vector_ensure_validity_writable(vector);
	return duckdb_vector_get_validity(vector);
}

// bits are the n bits of b from bit at on; n is at most 64.
static uint64_t bits(const uint8_t *b, uint64_t at, uint64_t n) {
	uint64_t word = 0, bytes = (at % 8 + n + 7) / 8;
	memcpy(&word, b + at / 8, bytes < 8 ? bytes : 8);
	word >>= at % 8;
	if (bytes > 8) {
		word |= (uint64_t)b[at / 8 + 8] << (64 - at % 8);
	}
	return n < 64 ? word & (((uint64_t)1 << n) - 1) : word;
}

// put_bits makes rows to, to+1, … of mask the n bits of b from bit at on.
static void put_bits(uint64_t *mask, uint64_t to, const uint8_t *b, uint64_t at, uint64_t n) {
	while (n) {
		uint64_t take = 64 - to % 64 < n ? 64 - to % 64 : n;
		uint64_t keep = take < 64 ? ~((((uint64_t)1 << take) - 1) << to % 64) : 0;
		mask[to / 64] = (mask[to / 64] & keep) | bits(b, at, take) << to % 64;
		to += take, at += take, n -= take;
	}
}

// valid marks the NULLs among rows to, … of vector: its own, and those above it.
static void valid(void *vector, const pond_input *a, uint64_t at, uint64_t n, uint64_t to, above up) {
	if (a->valid) {
		put_bits(writable(vector), to, a->valid, at, n);
	}
	if (!up.mask) {
		return;
	}
	uint64_t *mask = writable(vector);
	for (uint64_t i = to; i < to + n; i++) {
		mask[i / 64] &= ~((uint64_t)!has(up.mask, i / up.size) << i % 64);
	}
}

// null makes a row NULL, and with it all that DuckDB wants NULL inside it.
static void null(void *vector, const pond_target *t, uint64_t row) {
	writable(vector)[row / 64] &= ~((uint64_t)1 << row % 64);
	const pond_target *kid = t + 1;
	switch (t->op) {
	case pond_put_arrays:
		for (uint64_t i = 0; i < t->size; i++) {
			null(duckdb_array_vector_get_child(vector), kid, row * t->size + i);
		}
		break;
	case pond_put_unions:
		writable(duckdb_struct_vector_get_child(vector, 0))[row / 64] &= ~((uint64_t)1 << row % 64);
		// fall through
	case pond_put_structs:
		for (uint32_t k = 0; k < t->children; k++, kid += kid->span) {
			null(duckdb_struct_vector_get_child(vector, k + (t->op == pond_put_unions)), kid, row);
		}
	}
}

// string is DuckDB's string_t. Longer values stay where they are: DuckDB uses a
// source's vector again with each call of the source, its data and its own strings
// alike, so whatever needs a value for longer has copied it by then. The batch lives
// until the next call.
typedef struct {
	uint32_t size;
	uint8_t rest[12];
} string;

static const uint64_t low[13] = {0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff,
                                 ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0};
static const uint32_t high[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xffff, 0xffffff, 0xffffffff};

static void put_string(string *s, const uint8_t *p, uint32_t n, bool room) {
	s->size = n;
	if (n > 12) {
		memcpy(s->rest, p, 4);
		memcpy(s->rest + 4, &p, 8);
		return;
	}
	uint64_t a = 0;
	uint32_t b = 0;
	if (room) { // twelve bytes may be read
		memcpy(&a, p, 8);
		memcpy(&b, p + 8, 4);
	} else {
		memcpy(&a, p, n < 8 ? n : 8);
		memcpy(&b, p + 8, n < 8 ? 0 : n - 8);
	}
	a &= low[n], b &= high[n];
	memcpy(s->rest, &a, 8);
	memcpy(s->rest + 8, &b, 4);
}

// Both widths of Arrow's offsets.
#define STRINGS(name, type)                                                                                            \
	static const char *name(string *out, const pond_input *a, const type *o, uint64_t n) {                             \
		type wrong = 0;                                                                                                \
		for (uint64_t i = 0; i < n; i++) {                                                                             \
			wrong |= o[i + 1] - o[i];                                                                                  \
		}                                                                                                              \
		if (o[0] < 0 || wrong < 0 || (uint64_t)wrong > UINT32_MAX || (uint64_t)o[n] > a->room) {                       \
			return damaged;                                                                                            \
		}                                                                                                              \
		for (uint64_t i = 0; i < n; i++) {                                                                             \
			put_string(&out[i], a->data + o[i], (uint32_t)(o[i + 1] - o[i]), (uint64_t)o[i] + 12 <= a->room);          \
		}                                                                                                              \
		return NULL;                                                                                                   \
	}
STRINGS(strings32, int32_t)
STRINGS(strings64, int64_t)

typedef struct {
	uint64_t offset, length;
} list_entry;

// LISTS fills the entries of lists whose elements follow have others.
#define LISTS(name, type)                                                                                              \
	static const char *name(list_entry *out, const pond_input *a, const type *o, uint64_t n, uint64_t have,            \
	                        uint64_t *start, uint64_t *total) {                                                        \
		type wrong = o[0];                                                                                             \
		for (uint64_t i = 0; i < n; i++) {                                                                             \
			wrong |= o[i + 1] - o[i];                                                                                  \
			out[i].offset = have + (uint64_t)(o[i] - o[0]);                                                            \
			out[i].length = (uint64_t)(o[i + 1] - o[i]);                                                               \
		}                                                                                                              \
		*start = (uint64_t)o[0], *total = (uint64_t)(o[n] - o[0]);                                                     \
		return wrong < 0 || (uint64_t)o[n] > a->room ? damaged : NULL;                                                 \
	}
LISTS(lists32, int32_t)
LISTS(lists64, int64_t)

// narrow copies the low bytes of values: DuckDB's decimals are as wide as their
// precision asks, Arrow's wider.
static void narrow(uint8_t *to, const uint8_t *from, uint64_t n, uint32_t to_width, uint32_t from_width) {
	switch (to_width) {
	case 2:
		for (uint64_t i = 0; i < n; i++)
			memcpy(to + 2 * i, from + from_width * i, 2);
		break;
	case 4:
		for (uint64_t i = 0; i < n; i++)
			memcpy(to + 4 * i, from + from_width * i, 4);
		break;
	default:
		for (uint64_t i = 0; i < n; i++)
			memcpy(to + 8 * i, from + from_width * i, 8);
	}
}

static uint64_t swapped(const uint8_t *p) {
	uint64_t x;
	memcpy(&x, p, 8);
	return __builtin_bswap64(x);
}

static void uuids(uint64_t *to, const uint8_t *from, uint64_t n) {
	for (uint64_t i = 0; i < n; i++, to += 2, from += 16) {
		to[0] = swapped(from + 8);
		to[1] = swapped(from) ^ (uint64_t)1 << 63;
	}
}

static void intervals(uint8_t *to, const uint8_t *from, uint64_t n) {
	for (uint64_t i = 0; i < n; i++, to += 16, from += 16) {
		int64_t nanos;
		memcpy(&nanos, from + 8, 8);
		nanos /= 1000;
		memcpy(to, from, 8);
		memcpy(to + 8, &nanos, 8);
	}
}

static const char *fill(void *vector, const pond_target *t, pond_input *a, uint64_t from, uint64_t n, uint64_t to, above up);

static const char *lists(void *vector, const pond_target *t, pond_input *a, uint64_t at, uint64_t n, uint64_t to) {
	uint64_t have = duckdb_list_vector_get_size(vector), start, total;
	list_entry *out = (list_entry *)duckdb_vector_get_data(vector) + to;
	const char *error = t->op == pond_put_lists ? lists32(out, a, (const int32_t *)a->offsets + at, n, have, &start, &total)
	                                        : lists64(out, a, (const int64_t *)a->offsets + at, n, have, &start, &total);
	if (error) {
		return error;
	}
	duckdb_list_vector_reserve(vector, have + total);
	duckdb_list_vector_set_size(vector, have + total);
	return fill(duckdb_list_vector_get_child(vector), t + 1, a + 1, start, total, have, (above){0});
}

static const char *structs(void *vector, const pond_target *t, pond_input *a, uint64_t at, uint64_t n, uint64_t to, uint32_t skip, above up) {
	pond_input *kids = a + 1;
	const pond_target *kid = t + 1;
	for (uint32_t k = 0; k < t->children; k++, kids += kid->span, kid += kid->span) {
		const char *error = fill(duckdb_struct_vector_get_child(vector, k + skip), kid, kids, at, n, to, up);
		if (error) {
			return error;
		}
	}
	return NULL;
}

// unions fills all members, then leaves each row its own.
static const char *unions(void *vector, const pond_target *t, pond_input *a, uint64_t at, uint64_t n, uint64_t to, above up) {
	const char *error = structs(vector, t, a, at, n, to, 1, up);
	if (error) {
		return error;
	}
	uint8_t *tags = duckdb_vector_get_data(duckdb_struct_vector_get_child(vector, 0));
	for (uint64_t i = 0; i < n; i++) {
		uint8_t id = a->data[at + i];
		if (id == pond_null_union) {
			null(vector, t, to + i);
			continue;
		}
		int member = id < 128 ? t->members[id] : -1;
		if (member < 0) {
			return "a union has a type id that it does not declare";
		}
		tags[to + i] = (uint8_t)member;
		const pond_target *kid = t + 1;
		for (uint32_t k = 0; k < t->children; k++, kid += kid->span) {
			if (k != (uint32_t)member) {
				null(duckdb_struct_vector_get_child(vector, k + 1), kid, to + i);
			}
		}
	}
	return NULL;
}

static void copy(void *from, uint64_t first, void *vector, uint64_t n, uint64_t to) {
	void *sel = duckdb_create_selection_vector(n);
	uint32_t *index = duckdb_selection_vector_get_data_ptr(sel);
	for (uint64_t i = 0; i < n; i++) {
		index[i] = (uint32_t)(first + i);
	}
	duckdb_vector_copy_sel(from, vector, sel, n, 0, to);
	duckdb_destroy_selection_vector(sel);
}

// imported has DuckDB read an array of a type that only it knows, once a batch.
static const char *imported(const pond_target *t, pond_input *a) {
	if (a->chunk) {
		return NULL;
	}
	pond_arrow_array *child = a->foreign;
	const void *none[1] = {NULL};
	pond_arrow_array root = {.length = child->length, .n_buffers = 1, .n_children = 1, .buffers = none, .children = &child};
	void *error = duckdb_data_chunk_from_arrow(t->connection, &root, t->converted, &a->chunk);
	bool failed = error && duckdb_error_data_has_error(error);
	duckdb_destroy_error_data(&error);
	return failed ? "DuckDB cannot read a batch of rows" : NULL;
}

// fill makes rows to, … of vector the n rows of a from its row from on.
static const char *fill(void *vector, const pond_target *t, pond_input *a, uint64_t from, uint64_t n, uint64_t to, above up) {
	if (!n) {
		return NULL;
	}
	if (from + n > a->rows) {
		return damaged;
	}
	uint64_t at = a->at + from;
	if (t->op == pond_put_import) {
		const char *error = imported(t, a);
		if (error) {
			return error;
		}
		copy(duckdb_data_chunk_get_vector(a->chunk, 0), from, vector, n, to);
	}
	valid(vector, a, at, n, to, up);
	uint8_t *data = duckdb_vector_get_data(vector);
	switch (t->op) {
	case pond_put_null:
		for (uint64_t i = to, *mask = writable(vector); i < to + n; i++) {
			mask[i / 64] &= ~((uint64_t)1 << i % 64);
		}
		break;
	case pond_put_bools:
		for (uint64_t i = 0; i < n; i++) {
			data[to + i] = a->data[(at + i) / 8] >> (at + i) % 8 & 1;
		}
		break;
	case pond_put_fixed:
		memcpy(data + to * t->to, a->data + at * t->to, n * t->to);
		break;
	case pond_put_narrow:
		narrow(data + to * t->to, a->data + at * t->from, n, t->to, t->from);
		break;
	case pond_put_uuids:
		uuids((uint64_t *)data + 2 * to, a->data + 16 * at, n);
		break;
	case pond_put_intervals:
		intervals(data + 16 * to, a->data + 16 * at, n);
		break;
	case pond_put_strings:
		return strings32((string *)data + to, a, (const int32_t *)a->offsets + at, n);
	case pond_put_strings64:
		return strings64((string *)data + to, a, (const int64_t *)a->offsets + at, n);
	case pond_put_lists:
	case pond_put_lists64:
		return lists(vector, t, a, at, n, to);
	case pond_put_arrays:
		up = (above){duckdb_vector_get_validity(vector), t->size};
		return fill(duckdb_array_vector_get_child(vector), t + 1, a + 1, at * t->size, n * t->size, to * t->size, up);
	case pond_put_structs:
		return structs(vector, t, a, at, n, to, 0, (above){duckdb_vector_get_validity(vector), 1});
	case pond_put_unions:
		return unions(vector, t, a, at, n, to, (above){duckdb_vector_get_validity(vector), 1});
	}
	return NULL;
}

// pond_give makes result's rows those of a, of which nothing is referred to after.
const char *pond_give(const pond_target *t, pond_input *a, uint64_t rows, void *result) {
	void *type = duckdb_vector_get_column_type(result);
	void *vector = duckdb_create_vector(type, rows);
	duckdb_destroy_logical_type(&type);
	const char *error = fill(vector, t, a, 0, rows, 0, (above){0});
	if (!error) {
		copy(vector, 0, result, rows, 0);
	}
	duckdb_destroy_vector(&vector);
	return error;
}

// vector_rows is DuckDB's vector size. A chunk that is half full is not worth to
// wait for another batch.
enum { vector_rows = 2048, chunk_rows_min = vector_rows / 2 };

// columns fills n rows of every column of chunk from r's batch.
static const char *columns(const pond_reader *r, void *chunk, uint64_t n, uint64_t to) {
	const pond_target *t = r->targets;
	pond_input *a = r->arrays;
	for (uint32_t i = 0; i < r->columns; i++, a += t->span, t += t->span) {
		const char *error = fill(duckdb_data_chunk_get_vector(chunk, t->column), t, a, r->at, n, to, (above){0});
		if (error) {
			return error;
		}
	}
	return NULL;
}

// pond_scan_call fills chunk with the next rows of one thread; none: its end.
void pond_scan_call(void *info, void *chunk) {
	pond_reader *r = duckdb_function_get_local_init_data(info);
	uint64_t rows = 0;
	for (int batches = 0; rows < chunk_rows_min; batches++) {
		if (r->at == r->rows) {
			int more = pondScanNext((uintptr_t)duckdb_function_get_init_data(info), r, batches);
			if (more < 0) {
				duckdb_function_set_error(info, "the stream failed");
				return;
			}
			if (!more) {
				break;
			}
		}
		uint64_t n = r->rows - r->at < vector_rows - rows ? r->rows - r->at : vector_rows - rows;
		const char *error = columns(r, chunk, n, rows);
		if (error) {
			duckdb_function_set_error(info, error);
			return;
		}
		r->at += n, rows += n;
	}
	duckdb_data_chunk_set_size(chunk, rows);
}

// What DuckDB keeps for a scan are numbers of Go's, not addresses.
void pond_bind_source(void *info, uintptr_t source) { duckdb_bind_set_bind_data(info, (void *)source, NULL); }

uintptr_t pond_init_source(void *info) { return (uintptr_t)duckdb_init_get_bind_data(info); }

void pond_init_handle(void *info, uintptr_t scan) { duckdb_init_set_init_data(info, (void *)scan, NULL); }

void pond_scan_bind(void *info) { pondScanBind(info); }

void pond_scan_init(void *info) { pondScanInit(info); }

// pond_scan_local begins the reading of one thread.
void pond_scan_local(void *info) { duckdb_init_set_init_data(info, calloc(1, sizeof(pond_reader)), free); }

// pond_read_schema has DuckDB read the schema of a column of a type that only it
// knows. The result is NULL, or what is wrong, to be freed.
char *pond_read_schema(void *connection, pond_arrow_schema *schema, void **converted) {
	char *text = NULL;
	void *error = duckdb_schema_from_arrow(connection, schema, converted);
	if (error && duckdb_error_data_has_error(error)) {
		text = strdup(duckdb_error_data_message(error));
	}
	duckdb_destroy_error_data(&error);
	return text;
}

void pond_free_schema(void *converted) { duckdb_destroy_arrow_converted_schema(&converted); }

void pond_free_chunk(void *chunk) { duckdb_destroy_data_chunk(&chunk); }

// pond_type_of is the type that DuckDB gives the column; NULL: it cannot.
void *pond_type_of(const pond_target *t, pond_arrow_array *sample) {
	pond_input a = {.rows = 1, .foreign = sample};
	void *type = NULL;
	if (!imported(t, &a)) {
		type = duckdb_vector_get_column_type(duckdb_data_chunk_get_vector(a.chunk, 0));
	}
	duckdb_destroy_data_chunk(&a.chunk);
	return type;
}
