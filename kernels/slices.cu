// From a slice's stored cells to the sum of its slab, in one pass over the slice: preprocess::StoredImage, Plane::resample
// and SlabSum::add, operation by operation and in their order, so that the levels are the same bits.
//
// A block makes a tile of the plane. The stored pixels around it come through shared memory in chunks, whose size does not depend
// on the image: any number of rows and columns and any spacing will do, and the usual ones need one chunk. Sums go on from
// chunk to chunk in the order of the stored pixels.

#include "portable.h"

// Source rows and columns of a chunk. 24 rows are what 8 rows of the plane need down to 0.7 mm, 128 columns what 32 need
// down to 0.4 mm, with a plane of 1.5 mm.
constexpr int CHUNK_ROWS = 24;
constexpr int CHUNK_COLUMNS = 128;
constexpr int ROWS_OF_THREAD = CHUNK_ROWS / TILE_ROWS;
static_assert(CHUNK_ROWS % TILE_ROWS == 0, "each thread narrows as many rows");

// Threads write 8 neighbouring values each: a word left out after every 8 keeps them in different banks.
__device__ inline int bank(int column) {
    return column + column / 8;
}

constexpr int CHUNK_PITCH = CHUNK_COLUMNS + CHUNK_COLUMNS / 8;

struct SliceShared {
    // Stored pixels, 0..=1, turned so that x runs along columns.
    float source[CHUNK_ROWS * CHUNK_PITCH];
    // The same rows resampled along x.
    float narrowed[CHUNK_ROWS * TILE_COLUMNS];
};
static_assert(sizeof(SliceShared) == 16896, "the table in interface.h");

// Numbers from `first` on and before `end`.
struct Range {
    int first, end;
};

// The stored pixels of the plane pixels from `first` to `last`: these only rise or only fall.
__device__ inline Range reach(const Taps& taps, int first, int last) {
    int first_end = taps.first[first] + taps.count[first], last_end = taps.first[last] + taps.count[last];
    return {smaller(taps.first[first], taps.first[last]), larger(first_end, last_end)};
}

__device__ inline Range overlap(Range a, Range b) {
    return {larger(a.first, b.first), smaller(a.end, b.end)};
}

// A cell's value in HU, clamped to the window and scaled to 0..=1.
__device__ inline float scaled(uint32_t cell, const Slice& slice, const SliceArguments& arguments) {
    uint16_t aligned = static_cast<uint16_t>(cell << slice.shift_up);
    float stored = slice.is_signed ? static_cast<float>(static_cast<int16_t>(aligned) >> slice.shift_down)
                                   : static_cast<float>(aligned >> slice.shift_down);
    float hu = stored * slice.slope + slice.intercept;
    const bool is_padding = stored >= slice.padding_first && stored <= slice.padding_last;
    hu = is_padding || hu < arguments.hu_low ? arguments.hu_low : hu;
    hu = hu > arguments.hu_high ? arguments.hu_high : hu;
    return (hu - arguments.hu_low) * arguments.hu_scale;
}

// Loads the chunk's stored pixels by vectors that begin at 16-byte addresses: they may begin before the chunk's part of a
// row and end after it, but not outside the image. The slice comes by value, to be read from memory once and not with each pixel.
template <typename Cell>
__device__ inline void load(const Slice slice, const SliceArguments& arguments, Range rows, Range columns, int thread,
                            SliceShared& shared) {
    constexpr int LEN = Vector<Cell>::LEN;
    const Cell* cells = static_cast<const Cell*>(slice.cells);
    const int image_len = slice.rows * slice.columns;
    const Range stored_rows = slice.x_along_columns ? rows : columns;
    const Range stored_columns = slice.x_along_columns ? columns : rows;
    const int width = stored_columns.end - stored_columns.first;
    // As many vectors as the part of a row can touch.
    const int vectors = (width + 2 * LEN - 2) / LEN;
    const int all = (stored_rows.end - stored_rows.first) * vectors;
    for (int n = thread; n < all; n += SLICE_THREADS) {
        const int row = n / vectors;
        const int first = (stored_rows.first + row) * slice.columns + stored_columns.first;
        const int before = static_cast<int>(reinterpret_cast<uintptr_t>(cells + first) % 16 / sizeof(Cell));
        // The vector's first cell, counted from the first of the part.
        const int column = n % vectors * LEN - before;
        Vector<Cell> vector = {};
        if (first + column >= 0 && first + column + LEN <= image_len) {
            vector = *reinterpret_cast<const Vector<Cell>*>(cells + first + column);
        } else {
            UNROLL for (int i = 0; i < LEN; i++) {
                if (column + i >= 0 && column + i < width) {
                    vector.values[i] = cells[first + column + i];
                }
            }
        }
        UNROLL for (int i = 0; i < LEN; i++) {
            if (column + i >= 0 && column + i < width) {
                const int to = slice.x_along_columns ? row * CHUNK_PITCH + bank(column + i)
                                                     : (column + i) * CHUNK_PITCH + bank(row);
                shared.source[to] = scaled(vector.values[i], slice, arguments);
            }
        }
    }
}

// The nearest level, halves away from 0, within 0..=65,535.
__device__ inline uint32_t to_levels(float value) {
    float levels = roundf(value * LEVELS);
    return levels >= LEVELS ? 65535 : levels > 0.0f ? static_cast<uint32_t>(levels) : 0;
}

__device__ inline void add_slices_block(const SliceArguments& arguments, SliceShared& shared) {
    const Slice& slice = arguments.slices[blockIdx.z];
    const int left = static_cast<int>(blockIdx.x) * TILE_COLUMNS, top = static_cast<int>(blockIdx.y) * TILE_ROWS;
    const int right = smaller(left + TILE_COLUMNS, arguments.columns) - 1;
    const int bottom = smaller(top + TILE_ROWS, arguments.rows) - 1;
    const Range all_columns = reach(slice.x, left, right);
    Range all_rows = reach(slice.y, top, bottom);
    if (all_columns.first >= all_columns.end) {
        all_rows.end = all_rows.first;
    }

    PerThread<float> values;
    phase([&](int thread) { values[thread] = 0.0f; });
    for (int first_row = all_rows.first; first_row < all_rows.end; first_row += CHUNK_ROWS) {
        const Range rows = overlap(all_rows, {first_row, first_row + CHUNK_ROWS});
        for (int first_column = all_columns.first; first_column < all_columns.end; first_column += CHUNK_COLUMNS) {
            const Range columns = overlap(all_columns, {first_column, first_column + CHUNK_COLUMNS});
            phase([&](int thread) {
                if (slice.cell_bytes == 1) {
                    load<uint8_t>(slice, arguments, rows, columns, thread, shared);
                } else {
                    load<uint16_t>(slice, arguments, rows, columns, thread, shared);
                }
            });
            // Along x.
            phase([&](int thread) {
                const int tile_column = thread % TILE_COLUMNS, tile_row = thread / TILE_COLUMNS;
                const int column = left + tile_column;
                if (column > right) {
                    return;
                }
                float sums[ROWS_OF_THREAD];
                UNROLL for (int n = 0; n < ROWS_OF_THREAD; n++) {
                    const int row = tile_row + n * TILE_ROWS;
                    const bool is_begun = first_column > all_columns.first;
                    sums[n] = is_begun ? shared.narrowed[row * TILE_COLUMNS + tile_column] : 0.0f;
                }
                const Taps taps = slice.x;
                const int first = taps.first[column];
                const Range here = overlap(columns, {first, first + taps.count[column]});
                for (int at = here.first; at < here.end; at++) {
                    const float weight = taps.weights[(at - first) * arguments.columns + column];
                    UNROLL for (int n = 0; n < ROWS_OF_THREAD; n++) {
                        // Rows past the end of the last chunk hold anything; nobody reads their sums.
                        const int row = tile_row + n * TILE_ROWS;
                        sums[n] += weight * shared.source[row * CHUNK_PITCH + bank(at - first_column)];
                    }
                }
                UNROLL for (int n = 0; n < ROWS_OF_THREAD; n++) {
                    shared.narrowed[(tile_row + n * TILE_ROWS) * TILE_COLUMNS + tile_column] = sums[n];
                }
            });
        }
        // Along y.
        phase([&](int thread) {
            const int tile_column = thread % TILE_COLUMNS, row = top + thread / TILE_COLUMNS;
            if (row > bottom) {
                return;
            }
            const Taps taps = slice.y;
            const int first = taps.first[row];
            const Range here = overlap(rows, {first, first + taps.count[row]});
            for (int at = here.first; at < here.end; at++) {
                const float weight = taps.weights[(at - first) * arguments.rows + row];
                values[thread] += weight * shared.narrowed[(at - first_row) * TILE_COLUMNS + tile_column];
            }
        });
    }

    phase([&](int thread) {
        const int column = left + thread % TILE_COLUMNS, row = top + thread / TILE_COLUMNS;
        if (column > right || row > bottom) {
            return;
        }
        const int at = row * arguments.columns + column;
        const uint32_t levels = to_levels(values[thread]);
        // Whole numbers: in whatever order slices of a slab come, the sum is the same.
        atomicAdd(&slice.sum[at], levels);
        if (slice.levels != nullptr) {
            slice.levels[at] = static_cast<uint16_t>(levels);
        }
    });
}

KERNEL(add_slices, add_slices_block, SliceArguments, SliceShared, SLICE_THREADS, 4)
