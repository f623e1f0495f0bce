// The kernels as a program for the test suite: requests come on standard input, results go to standard output. Numbers are
// little endian; an array is its length in bytes (u64) and its values. tests/end_to_end/kernel_program.rs is the other side.
//
// Every request runs twice, threads and blocks in ascending and in descending order. Where the results differ the program ends with
// an error: a thread has read what another one wrote in the same phase.

#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include "tableside.cu"

namespace {

[[noreturn]] void fail(const char* reason) {
    fprintf(stderr, "%s\n", reason);
    exit(1);
}

// Values that begin `offset` values after an aligned address and end where the allocation does: a sanitizer sees what reads beyond
// either end.
template <typename Value>
class Array {
public:
    Array(size_t len, size_t offset)
        : len_(len), bytes_(new (std::align_val_t(256)) char[(offset + len) * sizeof(Value)]),
          values_(reinterpret_cast<Value*>(bytes_.get() + offset * sizeof(Value))) {
        memset(static_cast<void*>(values_), 0xee, len * sizeof(Value));
#ifdef __SANITIZE_ADDRESS__
        __asan_poison_memory_region(bytes_.get(), offset * sizeof(Value));
#endif
    }

    Value* get() const { return values_; }
    size_t len() const { return len_; }

private:
    struct Delete {
        void operator()(char* bytes) const { operator delete[](bytes, std::align_val_t(256)); }
    };
    size_t len_;
    std::unique_ptr<char[], Delete> bytes_;
    Value* values_;
};

class Reader {
public:
    explicit Reader(const std::string& bytes) : bytes_(bytes) {}

    bool is_at_end() const { return at_ == bytes_.size(); }

    template <typename Number>
    Number number() {
        Number number;
        memcpy(&number, take(sizeof number), sizeof number);
        return number;
    }

    template <typename Value>
    Array<Value> array(size_t offset = 0) {
        size_t len = number<uint64_t>() / sizeof(Value);
        Array<Value> array(len, offset);
        const char* bytes = take(len * sizeof(Value));
        if (len > 0) {
            memcpy(static_cast<void*>(array.get()), bytes, len * sizeof(Value));
        }
        return array;
    }

private:
    const char* take(size_t len) {
        if (len > bytes_.size() - at_) {
            fail("the request ends too early");
        }
        at_ += len;
        return bytes_.data() + at_ - len;
    }

    const std::string& bytes_;
    size_t at_ = 0;
};

template <typename Value>
void answer(std::string& to, const Array<Value>& array) {
    uint64_t len = array.len() * sizeof(Value);
    to.append(reinterpret_cast<const char*>(&len), sizeof len);
    to.append(reinterpret_cast<const char*>(array.get()), len);
}

unsigned ceil_div(int a, int b) {
    return static_cast<unsigned>((a + b - 1) / b);
}

struct OwnedTaps {
    explicit OwnedTaps(Reader& reader)
        : first(reader.array<int32_t>()), count(reader.array<int32_t>()), weights(reader.array<float>()) {}
    Taps taps() const { return {first.get(), count.get(), weights.get()}; }
    Array<int32_t> first, count;
    Array<float> weights;
};

std::string run_slices(Reader& reader) {
    SliceArguments arguments = {};
    arguments.rows = reader.number<int32_t>();
    arguments.columns = reader.number<int32_t>();
    arguments.hu_low = reader.number<float>();
    arguments.hu_high = reader.number<float>();
    arguments.hu_scale = reader.number<float>();
    std::vector<Array<uint32_t>> sums;
    for (uint32_t n = reader.number<uint32_t>(); n > 0; n--) {
        sums.push_back(reader.array<uint32_t>());
    }
    std::vector<Slice> slices(reader.number<uint32_t>());
    std::vector<Array<char>> cells;
    std::vector<Array<uint16_t>> levels;
    std::vector<OwnedTaps> taps;
    for (Slice& slice : slices) {
        slice.sum = sums.at(reader.number<uint32_t>()).get();
        slice.rows = reader.number<int32_t>();
        slice.columns = reader.number<int32_t>();
        slice.cell_bytes = reader.number<int32_t>();
        slice.shift_up = reader.number<int32_t>();
        slice.shift_down = reader.number<int32_t>();
        slice.is_signed = reader.number<int32_t>();
        slice.slope = reader.number<float>();
        slice.intercept = reader.number<float>();
        slice.padding_first = reader.number<float>();
        slice.padding_last = reader.number<float>();
        slice.x_along_columns = reader.number<int32_t>();
        taps.emplace_back(reader);
        slice.x = taps.back().taps();
        taps.emplace_back(reader);
        slice.y = taps.back().taps();
        size_t offset = reader.number<uint32_t>();
        cells.push_back(reader.array<char>(offset));
        slice.cells = cells.back().get();
        levels.emplace_back(static_cast<size_t>(arguments.rows) * arguments.columns, 0);
        slice.levels = levels.back().get();
    }
    arguments.slices = slices.data();
    Index grid = {ceil_div(arguments.columns, TILE_COLUMNS), ceil_div(arguments.rows, TILE_ROWS),
                  static_cast<unsigned>(slices.size())};
    add_slices(grid, arguments);
    std::string result;
    for (const auto& array : sums) {
        answer(result, array);
    }
    for (const auto& array : levels) {
        answer(result, array);
    }
    return result;
}

// Sums and shares of all windows' slabs.
struct OwnedSlabs {
    OwnedSlabs(Reader& reader, size_t count) {
        for (; count > 0; count--) {
            size_t offset = reader.number<uint32_t>();
            sums.push_back(reader.array<uint32_t>(offset));
            slabs.push_back({sums.back().get(), reader.number<double>()});
        }
    }
    std::vector<Array<uint32_t>> sums;
    std::vector<Slab> slabs;
};

template <typename Value>
std::string run_windows(Reader& reader, void (*kernel)(Index, const WindowArguments&)) {
    WindowArguments arguments = {};
    unsigned windows = reader.number<uint32_t>();
    arguments.slab_count = reader.number<int32_t>();
    arguments.plane_len = reader.number<int32_t>();
    arguments.hu_low = reader.number<float>();
    arguments.hu_high = reader.number<float>();
    arguments.tissue_hu = reader.number<float>();
    arguments.bone_hu = reader.number<float>();
    OwnedSlabs slabs(reader, windows * arguments.slab_count);
    Index grid = {ceil_div(arguments.plane_len, WINDOW_PIXELS), windows, 1};
    size_t words = ceil_div(arguments.plane_len, 64);
    Array<Value> input(static_cast<size_t>(windows) * arguments.slab_count * arguments.plane_len, 0);
    Array<uint64_t> tissue(windows * words, 0), bone(windows * words, 0), change(windows * grid.x, 0);
    arguments.slabs = slabs.slabs.data();
    arguments.input = input.get();
    arguments.tissue = tissue.get();
    arguments.bone = bone.get();
    arguments.change = change.get();
    kernel(grid, arguments);
    std::string result;
    answer(result, input);
    answer(result, tissue);
    answer(result, bone);
    answer(result, change);
    return result;
}

std::string run_evidence(Reader& reader) {
    EvidenceArguments arguments = {};
    unsigned windows = reader.number<uint32_t>();
    arguments.slab_count = reader.number<int32_t>();
    arguments.plane_len = reader.number<int32_t>();
    arguments.hu_low = reader.number<float>();
    arguments.hu_high = reader.number<float>();
    arguments.lung_probability = reader.number<float>();
    arguments.lesion_probability = reader.number<float>();
    OwnedSlabs slabs(reader, windows * arguments.slab_count);
    size_t offset = reader.number<uint32_t>();
    auto lung = reader.array<float>(offset), lesion = reader.array<float>(offset);
    auto attention = reader.array<float>(), logit = reader.array<float>();
    auto body = reader.array<uint64_t>();
    size_t words = ceil_div(arguments.plane_len, 64);
    Array<uint64_t> lung_mask(windows * words, 0), lesion_mask(windows * words, 0);
    Array<float> lesion_hu(static_cast<size_t>(windows) * arguments.plane_len, 0);
    Array<Statistics> statistics(windows, 0);
    arguments.lung = lung.get();
    arguments.lesion = lesion.get();
    arguments.attention = attention.get();
    arguments.logit = logit.get();
    arguments.slabs = slabs.slabs.data();
    arguments.body = body.get();
    arguments.lung_mask = lung_mask.get();
    arguments.lesion_mask = lesion_mask.get();
    arguments.lesion_hu = lesion_hu.get();
    arguments.statistics = statistics.get();
    evidence({windows, 1, 1}, arguments);
    std::string result;
    answer(result, lung_mask);
    answer(result, lesion_mask);
    answer(result, lesion_hu);
    answer(result, statistics);
    return result;
}

std::string run(Reader& reader) {
    switch (reader.number<uint32_t>()) {
        case 0: return run_slices(reader);
        case 1: return run_windows<float>(reader, windows_f32);
        case 2: return run_windows<uint16_t>(reader, windows_f16);
        case 3: return run_evidence(reader);
        default: fail("there is no such kernel");
    }
}

}  // namespace

int main() {
    std::string requests;
    char buffer[1 << 16];
    for (size_t len; (len = fread(buffer, 1, sizeof buffer, stdin)) > 0;) {
        requests.append(buffer, len);
    }
    Reader reader(requests);
    while (!reader.is_at_end()) {
        Reader again(reader);
        is_backwards = false;
        std::string result = run(reader);
        is_backwards = true;
        if (run(again) != result) {
            fail("the order of threads or blocks makes a difference");
        }
        fwrite(result.data(), 1, result.size(), stdout);
    }
}
