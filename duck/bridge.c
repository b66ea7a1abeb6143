//go:build duckdb_arrow

#include "bridge.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

// DuckDB's C interface, as far as it is used here. Weak, because cgo links this
// package by itself once, without DuckDB's library.
#define DUCKDB extern __attribute__((weak))
DUCKDB int duckdb_pending_prepared_streaming(void *statement, void **out);
DUCKDB uint64_t duckdb_data_chunk_get_size(void *chunk);
DUCKDB uint64_t duckdb_data_chunk_get_column_count(void *chunk);
DUCKDB void *duckdb_data_chunk_get_vector(void *chunk, uint64_t column);
DUCKDB void *duckdb_vector_get_column_type(void *vector);
DUCKDB void duckdb_destroy_logical_type(void **type);
DUCKDB uint32_t duckdb_get_type_id(void *type);
DUCKDB uint8_t duckdb_decimal_scale(void *type);
DUCKDB uint32_t duckdb_decimal_internal_type(void *type);
DUCKDB void *duckdb_vector_get_data(void *vector);
DUCKDB uint64_t *duckdb_vector_get_validity(void *vector);
DUCKDB void duckdb_vector_ensure_validity_writable(void *vector);
DUCKDB void *duckdb_list_vector_get_child(void *vector);
DUCKDB uint64_t duckdb_list_vector_get_size(void *vector);
DUCKDB void *duckdb_array_vector_get_child(void *vector);
DUCKDB void *duckdb_struct_vector_get_child(void *vector, uint64_t index);
DUCKDB void *duckdb_create_vector(void *type, uint64_t capacity);
DUCKDB void duckdb_destroy_vector(void **vector);
DUCKDB void *duckdb_create_selection_vector(uint64_t size);
DUCKDB void duckdb_destroy_selection_vector(void *sel);
DUCKDB uint32_t *duckdb_selection_vector_get_data_ptr(void *sel);
DUCKDB void duckdb_vector_copy_sel(void *from, void *to, void *sel, uint64_t count, uint64_t from_offset, uint64_t to_offset);
DUCKDB void *duckdb_scalar_function_get_extra_info(void *info);
DUCKDB void duckdb_scalar_function_set_error(void *info, const char *error);

// A result is passed by value: two counts, an obsolete one, three pointers.
typedef struct {
	uint64_t columns, rows, changed;
	void *data, *error, *internal;
} result_t;
DUCKDB void *duckdb_fetch_chunk(result_t result);

// pond_linked reports whether the library has what package mapping does not wrap.
int pond_linked(void) {
	return duckdb_pending_prepared_streaming && duckdb_fetch_chunk && duckdb_vector_copy_sel;
}

int pond_pending_streaming(void *statement, void **pending) {
	return duckdb_pending_prepared_streaming(statement, pending);
}

void *pond_fetch(void *result) { return duckdb_fetch_chunk(*(result_t *)result); }

static void walk(void *vector, uint64_t rows, const pond_node **nodes, pond_view **views) {
	const pond_node *n = (*nodes)++;
	pond_view *v = (*views)++;
	v->rows = rows;
	v->valid = duckdb_vector_get_validity(vector);
	v->data = NULL;
	switch (n->shape) {
	case pond_flat:
		v->data = duckdb_vector_get_data(vector);
		break;
	case pond_list:
		v->data = duckdb_vector_get_data(vector);
		walk(duckdb_list_vector_get_child(vector), duckdb_list_vector_get_size(vector), nodes, views);
		break;
	case pond_array:
		walk(duckdb_array_vector_get_child(vector), rows * n->size, nodes, views);
		break;
	case pond_struct:
		for (uint32_t i = 0; i < n->children; i++) {
			walk(duckdb_struct_vector_get_child(vector, i), rows, nodes, views);
		}
	}
}

static void copy(void *from, void *to, uint64_t rows) {
	void *sel = duckdb_create_selection_vector(rows);
	uint32_t *index = duckdb_selection_vector_get_data_ptr(sel);
	for (uint64_t i = 0; i < rows; i++) {
		index[i] = (uint32_t)i;
	}
	duckdb_vector_copy_sel(from, to, sel, rows, 0, 0);
	duckdb_destroy_selection_vector(sel);
}

// flat copies a vector so that its children, too, are flat: DuckDB flattens the
// top level only, and a struct's field may be a constant or a dictionary. The
// copy lives for one chunk: its string heap could only grow.
static void *flat(void *vector, uint64_t rows) {
	void *type = duckdb_vector_get_column_type(vector);
	void *out = duckdb_create_vector(type, rows);
	duckdb_destroy_logical_type(&type);
	copy(vector, out, rows);
	return out;
}

// pond_open_chunk finds the vectors of chunk, but for its first skip columns.
void pond_open_chunk(pond_chunk *out, const pond_shape *shape, void *chunk, uint32_t skip) {
	uint64_t rows = duckdb_data_chunk_get_size(chunk);
	out->views = malloc(shape->node_count * sizeof(pond_view) + shape->columns * sizeof(void *));
	out->copies = (void **)(out->views + shape->node_count);
	out->copy_count = 0;
	const pond_node *nodes = shape->nodes;
	pond_view *views = out->views;
	for (uint32_t i = 0; i < shape->columns; i++) {
		void *vector = duckdb_data_chunk_get_vector(chunk, i + skip);
		if (nodes->shape != pond_flat) {
			vector = flat(vector, rows);
			out->copies[out->copy_count++] = vector;
		}
		walk(vector, rows, &nodes, &views);
	}
}

void pond_close_chunk(pond_chunk *c) {
	for (uint32_t i = 0; i < c->copy_count; i++) {
		duckdb_destroy_vector(&c->copies[i]);
	}
	free(c->views);
}

// pond_sink_call is the body of the sink function. Its arguments are the nonce,
// then the columns. SQL of users that calls it does not know the nonce.
void pond_sink_call(void *info, void *chunk, void *result) {
	(void)result; // whatever it holds: only the count of it is used
	pond_sink *s = duckdb_scalar_function_get_extra_info(info);
	uint64_t rows = duckdb_data_chunk_get_size(chunk);
	uint64_t columns = duckdb_data_chunk_get_column_count(chunk);
	int64_t *nonce = columns ? duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 0)) : NULL;
	if (!s->shape || columns != (uint64_t)s->shape->columns + 1 || !nonce || (rows && *nonce != s->nonce)) {
		duckdb_scalar_function_set_error(info, "this function is internal to the engine");
		return;
	}
	if (!rows) {
		return;
	}
	int failed = 0;
	if (!__atomic_load_n(&s->typed, __ATOMIC_ACQUIRE)) { // several threads may look, all with one outcome
		failed = pondSinkTypes(s->handle, chunk);
		__atomic_store_n(&s->typed, !failed, __ATOMIC_RELEASE);
	}
	if (!failed) {
		pond_chunk c;
		pond_open_chunk(&c, s->shape, chunk, 1);
		failed = pondSinkRows(s->handle, c.views, rows);
		pond_close_chunk(&c);
	}
	if (failed) {
		duckdb_scalar_function_set_error(info, "the reader of the rows failed");
	}
}

// pond_mean(sum, count, short) is what DuckDB's avg makes of a sum, a HUGEINT or a
// DECIMAL in 128 bits: it divides in extended precision, but sums of short numbers.
void pond_mean_call(void *info, void *chunk, void *result) {
	const uint32_t hugeint = 16, decimal = 19; // DUCKDB_TYPE_…
	void *sums = duckdb_data_chunk_get_vector(chunk, 0), *type = duckdb_vector_get_column_type(sums);
	uint32_t id = duckdb_get_type_id(type);
	bool known = id == hugeint || id == decimal && duckdb_decimal_internal_type(type) == hugeint;
	uint8_t scale = id == decimal ? duckdb_decimal_scale(type) : 0;
	duckdb_destroy_logical_type(&type);
	if (!known) {
		duckdb_scalar_function_set_error(info, "pond_mean: a sum is expected");
		return;
	}
	unsigned __int128 power = 1;
	while (scale-- > 0)
		power *= 10;
	const double word = 18446744073709551616.0; // 2^64
	double unit = (double)(uint64_t)power + (double)(uint64_t)(power >> 64) * word;
	struct {
		uint64_t lower;
		int64_t upper;
	} *sum = duckdb_vector_get_data(sums);
	int64_t *count = duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 1));
	bool *narrow = duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 2));
	double *out = duckdb_vector_get_data(result);
	uint64_t rows = duckdb_data_chunk_get_size(chunk);
	uint64_t *valid = duckdb_vector_get_validity(sums), *null = NULL;
	if (valid) {
		duckdb_vector_ensure_validity_writable(result);
		null = duckdb_vector_get_validity(result);
	}
	for (uint64_t i = 0; i < rows; i++) {
		if (valid && !(valid[i / 64] >> i % 64 & 1)) {
			null[i / 64] &= ~(1ull << i % 64);
			continue;
		}
		if (narrow[i]) {
			out[i] = (double)(int64_t)sum[i].lower / ((double)count[i] * unit);
			continue;
		}
		long double x = sum[i].upper == -1 ? -(long double)(UINT64_MAX - sum[i].lower) - 1
		                                   : (long double)sum[i].lower + (long double)sum[i].upper * (long double)word;
		out[i] = (double)(x / ((long double)count[i] * unit));
	}
}

static void release(uintptr_t *result) {
	if (*result) {
		pondFuncRelease(*result);
	}
}

// pond_func_call is the body of a Go scalar function.
void pond_func_call(void *info, void *chunk, void *result) {
	pond_func *f = duckdb_scalar_function_get_extra_info(info);
	uint64_t rows = duckdb_data_chunk_get_size(chunk);
	if (!rows) {
		return;
	}
	// DuckDB may throw through what gives the result, but not through Go.
	uintptr_t given __attribute__((cleanup(release))) = 0;
	pond_input *array = NULL;
	pond_chunk c;
	pond_open_chunk(&c, f->shape, chunk, 0);
	int failed = pondFuncCall(f->handle, c.views, rows, &array, &given);
	pond_close_chunk(&c);
	const char *error = failed ? "the Go function failed" : pond_give(f->target, array, rows, result);
	if (error) {
		duckdb_scalar_function_set_error(info, error);
	}
}
