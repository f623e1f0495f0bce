// The kernels' ground: CUDA on a GPU, plain C++ in the test suite, where a block's threads are a loop.
//
// A kernel is a function of one block, written in phases. A phase is what all threads do between two barriers, and the barrier is
// part of it, so that none can be forgotten. What is computed outside of phases is the same for all threads. In C++ a phase runs
// thread after thread in either order: a thread that reads what another one of its phase writes gives different results.
#pragma once

#include "interface.h"

#ifdef __CUDACC__

#define UNROLL _Pragma("unroll")

// What a thread keeps from phase to phase.
template <typename Value>
struct PerThread {
    Value value;
    __device__ Value& operator[](int) { return value; }
};

// Runs `body(thread)` for all threads of the block, and waits for all.
template <typename Body>
__device__ inline void phase(Body body) {
    body(static_cast<int>(threadIdx.x));
    __syncthreads();
}

__device__ inline int popcount(uint64_t bits) {
    return __popcll(bits);
}

// The nearest 16-bit floating point number, of two the even one.
__device__ inline uint16_t half_bits(float value) {
    uint16_t bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}

// The entry point `name` of the function `block`. A GPU's multiprocessor shall have the registers for `blocks` blocks.
#define KERNEL(name, block, Arguments, Shared, threads, blocks)                                      \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(const Arguments arguments) {  \
        __shared__ Shared shared;                                                                    \
        block(arguments, shared);                                                                    \
    }

#else

#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#define __device__
#define UNROLL

struct Index {
    unsigned x, y, z;
};

// The block that is running.
inline Index blockIdx, gridDim;
inline int block_threads;
// Threads and blocks run from the last to the first.
inline bool is_backwards;

template <typename Value>
struct PerThread {
    std::vector<Value> values = std::vector<Value>(block_threads);
    Value& operator[](int thread) { return values[thread]; }
};

template <typename Body>
void phase(Body body) {
    for (int at = 0; at < block_threads; at++) {
        body(is_backwards ? block_threads - 1 - at : at);
    }
}

inline int popcount(uint64_t bits) {
    return __builtin_popcountll(bits);
}

template <typename Number>
Number atomicAdd(Number* to, Number value) {
    Number before = *to;
    *to = before + value;
    return before;
}

inline uint16_t half_bits(float value) {
    const _Float16 half = static_cast<_Float16>(value);
    uint16_t bits;
    memcpy(&bits, &half, sizeof bits);
    return bits;
}

template <typename Shared, typename Block>
void launch(Index grid, int threads, Block block) {
    gridDim = grid;
    block_threads = threads;
    unsigned blocks = grid.x * grid.y * grid.z;
    auto shared = std::make_unique<Shared>();
    for (unsigned n = 0; n < blocks; n++) {
        unsigned at = is_backwards ? blocks - 1 - n : n;
        blockIdx = {at % grid.x, at / grid.x % grid.y, at / grid.x / grid.y};
        // What nobody wrote shows: 0.75, or a large count. Not what is no number, which rounds to level 0.
        memset(static_cast<void*>(shared.get()), 0x3f, sizeof(Shared));
        block(*shared);
    }
}

#define KERNEL(name, block, Arguments, Shared, threads, blocks)                                      \
    inline void name(Index grid, const Arguments& arguments) {                                       \
        launch<Shared>(grid, threads, [&](Shared& shared) { block(arguments, shared); });            \
    }

#endif

__device__ inline int smaller(int a, int b) {
    return a < b ? a : b;
}

__device__ inline int larger(int a, int b) {
    return a > b ? a : b;
}

// 16 bytes of values, loaded and stored at once.
template <typename Value>
struct alignas(16) Vector {
    static constexpr int LEN = 16 / sizeof(Value);
    Value values[LEN];
};

template <typename Value>
__device__ inline bool is_vector(const Value* at) {
    return reinterpret_cast<uintptr_t>(at) % 16 == 0;
}

// A byte's worth of pixels.
template <typename Value>
struct alignas(16) Pixels {
    Value values[BYTE_PIXELS];
};

// The first `len` of these values, at most BYTE_PIXELS; the others are 0.
template <typename Value>
__device__ inline Pixels<Value> load_pixels(const Value* from, int len) {
    Pixels<Value> pixels;
    constexpr int LEN = Vector<Value>::LEN;
    if (len >= BYTE_PIXELS && is_vector(from)) {
        UNROLL for (int part = 0; part < BYTE_PIXELS / LEN; part++) {
            Vector<Value> vector = reinterpret_cast<const Vector<Value>*>(from)[part];
            UNROLL for (int i = 0; i < LEN; i++) {
                pixels.values[part * LEN + i] = vector.values[i];
            }
        }
    } else {
        UNROLL for (int i = 0; i < BYTE_PIXELS; i++) {
            pixels.values[i] = i < len ? from[i] : Value(0);
        }
    }
    return pixels;
}

template <typename Value>
__device__ inline void store_pixels(Value* to, const Pixels<Value>& pixels, int len) {
    constexpr int LEN = Vector<Value>::LEN;
    if (len >= BYTE_PIXELS && is_vector(to)) {
        UNROLL for (int part = 0; part < BYTE_PIXELS / LEN; part++) {
            Vector<Value> vector;
            UNROLL for (int i = 0; i < LEN; i++) {
                vector.values[i] = pixels.values[part * LEN + i];
            }
            reinterpret_cast<Vector<Value>*>(to)[part] = vector;
        }
    } else {
        UNROLL for (int i = 0; i < BYTE_PIXELS; i++) {
            if (i < len) {
                to[i] = pixels.values[i];
            }
        }
    }
}

// preprocess::SlabSum::mean. In f64 as there: consumer GPUs do it slowly, but it is three operations a pixel.
__device__ inline float mean(uint32_t sum, double share) {
    return static_cast<float>(static_cast<double>(sum) * share);
}

// preprocess::InputGeometry::hounsfield.
__device__ inline float hounsfield(float value, float hu_low, float hu_high) {
    return hu_low + value * (hu_high - hu_low);
}
