// What the host and the kernels share: arguments, layouts, launch shapes. All structs are passed or lie in memory as C lays
// them out (64-bit pointers, which in device code are device addresses); the asserts below pin sizes for other languages.
//
// | kernel       | grid                                                              | threads          | shared bytes |
// |--------------|-------------------------------------------------------------------|------------------|--------------|
// | add_slices   | ceil(columns / TILE_COLUMNS), ceil(rows / TILE_ROWS), slices      | SLICE_THREADS    | 16,896       |
// | windows_f32  | ceil(rows * columns / WINDOW_PIXELS), windows                     | WINDOW_THREADS   | 1,024        |
// | windows_f16  | the same                                                          | WINDOW_THREADS   | 1,024        |
// | evidence     | windows                                                           | EVIDENCE_THREADS | 16,400       |
//
// Shared memory is static: launches ask for 0 dynamic bytes. Blocks have one dimension. A launch has at most 65,535 slices or
// windows. Kernels of one stream see each other's results; nothing needs to be zeroed between launches but a slab's sum
// before its first slice.
//
// A plane is `rows x columns` pixels row by row, columns from the patient's right to the left (+x of LPS), rows from anterior
// to posterior (+y), as src/preprocess/mod.rs says; the pixel at `row * columns + column` is bit `at % 64` of word `at / 64` of
// a mask (triage::Mask), whose last word's unused bits are 0. A plane has `ceil(rows * columns / 64)` words.
#pragma once

#include <stdint.h>

// Plane pixels of one block of add_slices: a warp for each row.
constexpr int TILE_COLUMNS = 32;
constexpr int TILE_ROWS = 8;
constexpr int SLICE_THREADS = TILE_COLUMNS * TILE_ROWS;

constexpr int WINDOW_THREADS = 128;
constexpr int EVIDENCE_THREADS = 1024;

// Plane pixels of one thread at a time in windows_* and evidence: a byte of a mask, two 16-byte loads of 32-bit values.
constexpr int BYTE_PIXELS = 8;
constexpr int WINDOW_PIXELS = WINDOW_THREADS * BYTE_PIXELS;

// Levels that 0..=1 is counted in (preprocess::LEVELS).
constexpr float LEVELS = 65535.0f;

// The stored pixels that each plane pixel of one axis is made of: preprocess::taps in arrays. Along the axis `first` and
// `first + count` only rise or only fall.
struct Taps {
    // [plane pixels] The first stored pixel.
    const int32_t* first;
    // [plane pixels] How many stored pixels from there on; 0 where the plane lies outside the image.
    const int32_t* count;
    // [taps][plane pixels] The weight of each, tap by tap so that neighbouring threads read neighbouring words.
    const float* weights;
};

// One slice as stored, and the slab that it belongs to.
struct Slice {
    // [rows][columns] Cells of `cell_bytes`, little endian, aligned to their own size; 16-byte alignment is fastest.
    const void* cells;
    // [plane] The exact sum of the slab's slices, levels.
    uint32_t* sum;
    // [plane] The slice's own levels are written here; null where nobody wants them.
    uint16_t* levels;
    // Along the plane's columns and rows.
    Taps x, y;
    int32_t rows, columns;
    // 1 or 2.
    int32_t cell_bytes;
    // How the stored value is taken out of its cell (preprocess::CellLayout).
    int32_t shift_up, shift_down, is_signed;
    // From stored values to HU; finite.
    float slope, intercept;
    // Stored values from the first to the last one are padding, which is air (preprocess::Padding); none where the first is larger.
    float padding_first, padding_last;
    // The plane's x runs along the image's columns (1), or along its rows (0).
    int32_t x_along_columns;
};

// Arguments of add_slices. Slices may share sums, also within one launch.
struct SliceArguments {
    // [grid z]
    const Slice* slices;
    // Of the plane.
    int32_t rows, columns;
    // HU that become 0 and 1, and 1 / (hu_high - hu_low).
    float hu_low, hu_high, hu_scale;
};

// A slab as the sum of its slices.
struct Slab {
    // [plane] Levels.
    const uint32_t* sum;
    // 1 / (slices * LEVELS), in f64.
    double share;
};

// Arguments of windows_f32 and windows_f16.
struct WindowArguments {
    // [windows][slabs] In ascending z.
    const Slab* slabs;
    // [windows][slabs][plane] The engine's input, 0..=1: 32-bit or 16-bit floating point.
    void* input;
    // [windows][words] Where the middle slab is denser than `tissue_hu` and `bone_hu`: what triage::Body is found from.
    uint64_t* tissue;
    uint64_t* bone;
    // [windows][grid x] The absolute differences of the window's outermost slabs in units of 2^-32, summed over the block's
    // pixels: their sum is that of triage::change_hu.
    uint64_t* change;
    int32_t slab_count;
    // Pixels of a plane.
    int32_t plane_len;
    float hu_low, hu_high;
    float tissue_hu, bone_hu;
};

// What is not a mask of one window's evidence.
struct Statistics {
    // Values that are not finite in lung, lesion, attention and logit: if there is any, all else is worthless.
    uint32_t not_finite[4];
    uint32_t lung_pixels;
    // The values in `lesion_hu` that count.
    uint32_t lesion_pixels;
    float attention;
    float logit;
};

// Arguments of evidence.
struct EvidenceArguments {
    // The engine's outputs: probabilities [windows][plane], numbers [windows].
    const float* lung;
    const float* lesion;
    const float* attention;
    const float* logit;
    // [windows][slabs] As the windows were made from.
    const Slab* slabs;
    // [windows][words] The body's mask; all ones where no body was found.
    const uint64_t* body;
    // [windows][words]
    uint64_t* lung_mask;
    uint64_t* lesion_mask;
    // [windows][plane] HU of the lesion's pixels, in the order of the pixels.
    float* lesion_hu;
    // [windows]
    Statistics* statistics;
    int32_t slab_count;
    int32_t plane_len;
    // What counts as lung and as lesion from here on.
    float lung_probability, lesion_probability;
    float hu_low, hu_high;
};

static_assert(sizeof(Taps) == 24 && sizeof(Slice) == 120 && sizeof(SliceArguments) == 32, "layout");
static_assert(sizeof(Slab) == 16 && sizeof(WindowArguments) == 64, "layout");
static_assert(sizeof(Statistics) == 32 && sizeof(EvidenceArguments) == 104, "layout");
