// What package mapping leaves out: the loops that would otherwise cross from Go
// to C once a vector, and the callbacks that DuckDB calls. Bodies in bridge.c.
#ifndef POND_DUCK_BRIDGE_H
#define POND_DUCK_BRIDGE_H

#include <stdint.h>

// How the vectors of a column hang together, in pre-order.
enum { pond_flat, pond_list, pond_array, pond_struct };

enum { pond_null_union = 0x80 }; // vec.NullUnion
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
	int typed;        // the columns' types were looked at
} pond_sink;

// The vectors of a chunk, and copies of the nested ones, which are not flat
// throughout in DuckDB's hands.
typedef struct {
	pond_view *views;
	void **copies;
	uint32_t copy_count;
} pond_chunk;

// Arrow's C data interface.
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

// How a vector of DuckDB's is filled from an array of Arrow's: the tree of a column
// in pre-order.
enum {
	pond_put_null,
	pond_put_bools,
	pond_put_fixed,
	pond_put_narrow,
	pond_put_uuids,
	pond_put_intervals,
	pond_put_strings,
	pond_put_strings64,
	pond_put_lists,
	pond_put_lists64,
	pond_put_arrays,
	pond_put_structs,
	pond_put_unions,
	pond_put_import, // by DuckDB itself
};
typedef struct {
	uint32_t op;
	uint32_t column;        // of the chunk, where the tree begins
	uint32_t span;          // nodes of the tree from here on
	uint32_t children;      // pond_put_structs, pond_put_unions
	uint32_t from, to;      // pond_put_fixed, pond_put_narrow: bytes of a value
	uint64_t size;          // pond_put_arrays: elements a row
	const int8_t *members;  // pond_put_unions: by type id, 128 of them; -1: none
	void *connection, *converted; // pond_put_import
} pond_target;

// An array of Arrow's, a node for each of a target.
typedef struct {
	uint64_t at, rows;         // its rows are at, at+1, … of the buffers
	uint64_t room;             // bytes of data that offsets may reach, or rows of the child
	const uint8_t *valid;      // NULL: no NULLs
	const void *offsets;
	const uint8_t *data;       // values, bits, bytes or type ids
	pond_arrow_array *foreign; // pond_put_import: the array itself,
	void *chunk;               // and what DuckDB made of it
} pond_input;

// One thread's reading of a registered view. It is zeros until Go is asked for
// the first batch.
typedef struct {
	uintptr_t handle; // Go's *reader
	uint32_t columns;
	const pond_target *targets;
	pond_input *arrays;
	uint64_t at, rows; // the next row of the batch, and its end
} pond_reader;


// A Go scalar function, as DuckDB finds it.
typedef struct {
	uintptr_t handle; // Go's *function
	pond_shape *shape;
	const pond_target *target; // of the result
} pond_func;

int pond_linked(void);
void pond_func_call(void *info, void *chunk, void *result);
const char *pond_give(const pond_target *t, pond_input *a, uint64_t rows, void *result);
char *pond_read_schema(void *connection, pond_arrow_schema *schema, void **converted);
void pond_free_schema(void *converted);
void pond_free_chunk(void *chunk);
void *pond_type_of(const pond_target *t, pond_arrow_array *sample);
int pond_pending_streaming(void *statement, void **pending);
void *pond_fetch(void *result);
void pond_open_chunk(pond_chunk *out, const pond_shape *shape, void *chunk, uint32_t skip);
void pond_close_chunk(pond_chunk *c);
void pond_sink_call(void *info, void *chunk, void *result);
void pond_mean_call(void *info, void *chunk, void *result);
void pond_bind_source(void *info, uintptr_t source);
uintptr_t pond_init_source(void *info);
void pond_init_handle(void *info, uintptr_t scan);
void pond_scan_bind(void *info);
void pond_scan_init(void *info);
void pond_scan_local(void *info);
void pond_scan_call(void *info, void *chunk);

#endif
