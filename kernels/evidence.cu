// From the engine's outputs to what comes back to the CPU: engine::checked and the masks of triage::SlabEvidence, and the HU of
// the lesion's pixels in the order of the pixels. A block judges a whole window: no sums across blocks, nothing to be zeroed, and
// a batch of windows fills the GPU.

#include "portable.h"

struct EvidenceShared {
    // Running sums over the threads' words, twice: lung pixels above, lesion pixels in the lower 32 bits.
    uint64_t counts[2][EVIDENCE_THREADS];
    uint32_t not_finite[4];
};
static_assert(sizeof(EvidenceShared) == 16400, "the table in interface.h");

__device__ inline bool is_finite(float value) {
    return fabsf(value) <= 3.402823466e38f;
}

__device__ inline void evidence_block(const EvidenceArguments& arguments, EvidenceShared& shared) {
    const int64_t window = blockIdx.x;
    const int words = (arguments.plane_len + 63) / 64;
    const float* lung = arguments.lung + window * arguments.plane_len;
    const float* lesion = arguments.lesion + window * arguments.plane_len;
    const uint8_t* body = reinterpret_cast<const uint8_t*>(arguments.body + window * words);
    uint64_t* lung_mask = arguments.lung_mask + window * words;
    uint64_t* lesion_mask = arguments.lesion_mask + window * words;
    const float attention = arguments.attention[window], logit = arguments.logit[window];

    phase([&](int thread) {
        if (thread < 4) {
            shared.not_finite[thread] = 0;
        }
    });
    phase([&](int thread) {
        uint32_t wrong_lung = 0, wrong_lesion = 0;
        for (int byte = thread; byte < words * 8; byte += EVIDENCE_THREADS) {
            const int at = byte * BYTE_PIXELS;
            const Pixels<float> lungs = load_pixels(lung + at, arguments.plane_len - at);
            const Pixels<float> lesions = load_pixels(lesion + at, arguments.plane_len - at);
            uint32_t lung_bits = 0, lesion_bits = 0;
            UNROLL for (int i = 0; i < BYTE_PIXELS; i++) {
                wrong_lung += !is_finite(lungs.values[i]);
                wrong_lesion += !is_finite(lesions.values[i]);
                lung_bits |= static_cast<uint32_t>(lungs.values[i] >= arguments.lung_probability) << i;
                lesion_bits |= static_cast<uint32_t>(lesions.values[i] >= arguments.lesion_probability) << i;
            }
            // A threshold of 0 would set pixels behind the plane's end.
            const int left = arguments.plane_len - at;
            const uint32_t there = left >= BYTE_PIXELS ? 0xff : left <= 0 ? 0 : (1u << left) - 1;
            lung_bits &= body[byte] & there;
            reinterpret_cast<uint8_t*>(lung_mask)[byte] = static_cast<uint8_t>(lung_bits);
            reinterpret_cast<uint8_t*>(lesion_mask)[byte] = static_cast<uint8_t>(lesion_bits & lung_bits);
        }
        if (wrong_lung > 0) {
            atomicAdd(&shared.not_finite[0], wrong_lung);
        }
        if (wrong_lesion > 0) {
            atomicAdd(&shared.not_finite[1], wrong_lesion);
        }
        if (thread == 0) {
            shared.not_finite[2] = !is_finite(attention);
            shared.not_finite[3] = !is_finite(logit);
        }
    });

    // Each thread counts words that follow each other, and sums run over the threads: so each lesion pixel knows its place.
    const int words_of_thread = (words + EVIDENCE_THREADS - 1) / EVIDENCE_THREADS;
    phase([&](int thread) {
        uint64_t count = 0;
        const int end = smaller((thread + 1) * words_of_thread, words);
        for (int word = thread * words_of_thread; word < end; word++) {
            count += static_cast<uint64_t>(popcount(lung_mask[word])) << 32 | popcount(lesion_mask[word]);
        }
        shared.counts[0][thread] = count;
    });
    int from = 0;
    for (int reach = 1; reach < EVIDENCE_THREADS; reach *= 2) {
        phase([&](int thread) {
            const uint64_t before = thread >= reach ? shared.counts[from][thread - reach] : 0;
            shared.counts[1 - from][thread] = shared.counts[from][thread] + before;
        });
        from = 1 - from;
    }

    const Slab slab = arguments.slabs[window * arguments.slab_count + arguments.slab_count / 2];
    phase([&](int thread) {
        const int lane = thread % 32;
        for (int word = thread / 32; word < words; word += EVIDENCE_THREADS / 32) {
            const uint64_t bits = lesion_mask[word];
            if (bits == 0) {
                continue;
            }
            const int owner = word / words_of_thread;
            uint32_t before = owner > 0 ? static_cast<uint32_t>(shared.counts[from][owner - 1]) : 0;
            for (int other = owner * words_of_thread; other < word; other++) {
                before += popcount(lesion_mask[other]);
            }
            UNROLL for (int bit = lane; bit < 64; bit += 32) {
                if (bits >> bit & 1) {
                    const int place = static_cast<int>(before) + popcount(bits & ((uint64_t(1) << bit) - 1));
                    const float value = mean(slab.sum[word * 64 + bit], slab.share);
                    arguments.lesion_hu[window * arguments.plane_len + place] =
                        hounsfield(value, arguments.hu_low, arguments.hu_high);
                }
            }
        }
        if (thread == 0) {
            const uint64_t counts = shared.counts[from][EVIDENCE_THREADS - 1];
            const uint32_t* wrong = shared.not_finite;
            arguments.statistics[window] = {{wrong[0], wrong[1], wrong[2], wrong[3]},
                                            static_cast<uint32_t>(counts >> 32),
                                            static_cast<uint32_t>(counts),
                                            attention,
                                            logit};
        }
    });
}

KERNEL(evidence, evidence_block, EvidenceArguments, EvidenceShared, EVIDENCE_THREADS, 1)
