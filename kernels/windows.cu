// From the sums of slabs to the engine's input: preprocess::SlabSum::mean and Window::of_slabs; and what the CPU wants to
// know of a window while the engine runs: tissue and bone on the middle slab, from which triage::Body finds the body, and
// how much the anatomy changes across it (triage::change_hu).

#include "portable.h"

struct WindowShared {
    uint64_t change[WINDOW_THREADS];
};
static_assert(sizeof(WindowShared) == 1024, "the table in interface.h");

// A value as the engine takes it.
__device__ inline void convert(float value, float& to) {
    to = value;
}

__device__ inline void convert(float value, uint16_t& to) {
    to = half_bits(value);
}

template <typename Value>
__device__ inline void windows_block(const WindowArguments& arguments, WindowShared& shared) {
    const int window = static_cast<int>(blockIdx.y), first = static_cast<int>(blockIdx.x) * WINDOW_PIXELS;
    const Slab* slabs = arguments.slabs + static_cast<int64_t>(window) * arguments.slab_count;
    const int words = (arguments.plane_len + 63) / 64;
    Value* input = static_cast<Value*>(arguments.input) +
                   static_cast<int64_t>(window) * arguments.slab_count * arguments.plane_len;
    uint8_t* tissue = reinterpret_cast<uint8_t*>(arguments.tissue + static_cast<int64_t>(window) * words);
    uint8_t* bone = reinterpret_cast<uint8_t*>(arguments.bone + static_cast<int64_t>(window) * words);

    phase([&](int thread) {
        const int at = first + thread * BYTE_PIXELS;
        const int left = arguments.plane_len - at;
        shared.change[thread] = 0;
        if (at >= words * 64) {
            return;
        }
        uint32_t tissue_bits = 0, bone_bits = 0;
        uint64_t change = 0;
        float lowest[BYTE_PIXELS] = {};
        for (int n = 0; n < arguments.slab_count; n++) {
            const Slab slab = slabs[n];
            const Pixels<uint32_t> sums = load_pixels(slab.sum + at, left);
            Pixels<Value> values;
            UNROLL for (int i = 0; i < BYTE_PIXELS; i++) {
                const float value = mean(sums.values[i], slab.share);
                convert(value, values.values[i]);
                if (n == 0) {
                    lowest[i] = value;
                }
                if (n == arguments.slab_count - 1) {
                    // A power of two: exact, and a sum of whole numbers is the same in any order.
                    change += static_cast<uint64_t>(fabsf(value - lowest[i]) * 4294967296.0f);
                }
                if (n == arguments.slab_count / 2 && i < left) {
                    const float hu = hounsfield(value, arguments.hu_low, arguments.hu_high);
                    tissue_bits |= static_cast<uint32_t>(hu > arguments.tissue_hu) << i;
                    bone_bits |= static_cast<uint32_t>(hu > arguments.bone_hu) << i;
                }
            }
            store_pixels(input + static_cast<int64_t>(n) * arguments.plane_len + at, values, left);
        }
        tissue[at / BYTE_PIXELS] = static_cast<uint8_t>(tissue_bits);
        bone[at / BYTE_PIXELS] = static_cast<uint8_t>(bone_bits);
        shared.change[thread] = change;
    });
    for (int half = WINDOW_THREADS / 2; half > 0; half /= 2) {
        phase([&](int thread) {
            if (thread < half) {
                shared.change[thread] += shared.change[thread + half];
            }
        });
    }
    phase([&](int thread) {
        if (thread == 0) {
            arguments.change[static_cast<int64_t>(window) * gridDim.x + blockIdx.x] = shared.change[0];
        }
    });
}

KERNEL(windows_f32, windows_block<float>, WindowArguments, WindowShared, WINDOW_THREADS, 8)
KERNEL(windows_f16, windows_block<uint16_t>, WindowArguments, WindowShared, WINDOW_THREADS, 8)
