// What package mapping leaves out: the loops that would otherwise cross from Go
// to C once a vector, and the callbacks that DuckDB calls. Bodies in bridge.c.
#ifndef POND_DUCK_BRIDGE_H
#define POND_DUCK_BRIDGE_H

#include <stdint.h>

// How the vectors of a column hang together, in pre-order.
enum { pond_flat, pond_list, pond_array, pond_struct };
typedef struct {
	uint32_t shape;
	uint32_t children;
	uint64_t size; // pond_array: elements a row
} pond_node;

// One vector, laid out as package vec says.
typedef struct {
	void *data;
	uint64_t *valid;
	uint64_t rows;
} pond_view;

// The columns that a sink or a fetch hands over. nodes is columns' trees one
// after another; node_count is their sum.
typedef struct {
	uint32_t columns;
	uint32_t node_count;
	pond_node *nodes;
} pond_shape;

// An engine's sink function. shape is NULL while no Drain runs.
typedef struct {
	pond_shape *shape;
	int64_t nonce;    // the first argument of the call that is ours
	uintptr_t handle; // Go's *drain
} pond_sink;

// The vectors of a chunk, and copies of the nested ones, which are not flat
// throughout in DuckDB's hands.
typedef struct {
	pond_view *views;
	void **copies;
	uint32_t copy_count;
} pond_chunk;

// Arrow's C data interface: an array and a stream of arrays. private_data is a
// cgo.Handle.
typedef struct pond_arrow_array {
	int64_t length, null_count, offset, n_buffers, n_children;
	const void **buffers;
	struct pond_arrow_array **children, *dictionary;
	void (*release)(struct pond_arrow_array *);
	uintptr_t private_data;
} pond_arrow_array;

typedef struct pond_arrow_schema {
	const char *format, *name, *metadata;
	int64_t flags, n_children;
	struct pond_arrow_schema **children, *dictionary;
	void (*release)(struct pond_arrow_schema *);
	void *private_data;
} pond_arrow_schema;

typedef struct pond_arrow_stream {
	int (*get_schema)(struct pond_arrow_stream *, pond_arrow_schema *out);
	int (*get_next)(struct pond_arrow_stream *, pond_arrow_array *out);
	const char *(*get_last_error)(struct pond_arrow_stream *);
	void (*release)(struct pond_arrow_stream *);
	uintptr_t private_data;
} pond_arrow_stream;

void pond_release_array(pond_arrow_array *a);
void pond_release_child(pond_arrow_array *a);
void pond_init_stream(pond_arrow_stream *s, uintptr_t handle);
// A Go scalar function, as DuckDB finds it.
typedef struct {
	uintptr_t handle; // Go's *function
	pond_shape *shape;
} pond_func;

int pond_linked(void);
void pond_func_call(void *info, void *chunk, void *result);
char *pond_read_schema(void *connection, pond_arrow_schema *schema, void **converted);
void pond_free_schema(void *converted);
char *pond_read_array(void *connection, void *converted, pond_arrow_array *array, uint64_t rows, void *result);
int pond_pending_streaming(void *statement, void **pending);
void *pond_fetch(void *result);
void pond_open_chunk(pond_chunk *out, const pond_shape *shape, void *chunk, uint32_t skip);
void pond_close_chunk(pond_chunk *c);
void pond_sink_call(void *info, void *chunk, void *result);
void pond_fence_call(void *info, void *chunk, void *result);
void pond_mean_call(void *info, void *chunk, void *result);
void pond_rows_bind(void *info);
void pond_rows_init(void *info);
void pond_rows_call(void *info, void *chunk);

#endif
