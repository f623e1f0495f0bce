// NVIDIA's driver as far as Tableside calls it, on the CPU, for the test suite: the card's memory is the host's, the kernels are
// those of the same sources in C++.
//
// What is queued on the stream runs as late as it may: when somebody waits for it. So memory that is written again before its copy
// has left, or read before its copy has come, shows. All memory lies between guards, and copies must lie within it.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <new>
#include <string>

#include "tableside.cu"

namespace {

enum Result { SUCCESS = 0, NOT_FOUND = 500, NOT_READY = 600 };

[[noreturn]] void fail(const char* reason) {
    fprintf(stderr, "the driver on the CPU: %s\n", reason);
    abort();
}

// The one stream.
std::deque<std::function<void()>> waiting;
uint64_t queued, done;

void add(std::function<void()> work) {
    waiting.push_back(std::move(work));
    queued++;
}

void run_until(uint64_t number) {
    while (done < number) {
        std::function<void()> work = std::move(waiting.front());
        waiting.pop_front();
        done++;
        work();
    }
}

constexpr size_t GUARD = 256;
constexpr unsigned char GUARD_BYTE = 0xa5;
constexpr size_t MEMORY = size_t(128) << 20;

class Memory {
public:
    void* allocate(size_t len) {
        auto* bytes = static_cast<unsigned char*>(operator new(len + 2 * GUARD, std::align_val_t(GUARD)));
        memset(bytes, GUARD_BYTE, len + 2 * GUARD);
        memset(bytes + GUARD, 0xee, len);
        lengths_[bytes + GUARD] = len;
        taken_ += len;
        return bytes + GUARD;
    }

    void free(void* at) {
        auto found = lengths_.find(static_cast<unsigned char*>(at));
        if (found == lengths_.end()) {
            fail("what is freed was not allocated");
        }
        check(*found);
        taken_ -= found->second;
        // What is still read shows.
        memset(found->first, 0xee, found->second);
        operator delete(found->first - GUARD, std::align_val_t(GUARD));
        lengths_.erase(found);
    }

    bool holds(const void* at, size_t len) const { return allocation_of(at, len) != nullptr; }

    // The allocation in which these bytes lie.
    void* allocation_of(const void* at, size_t len) const {
        auto* bytes = static_cast<unsigned char*>(const_cast<void*>(at));
        auto after = lengths_.upper_bound(bytes);
        if (after == lengths_.begin()) {
            return nullptr;
        }
        auto found = std::prev(after);
        return bytes + len <= found->first + found->second ? found->first : nullptr;
    }

    void check_all() const {
        for (const auto& allocation : lengths_) {
            check(allocation);
        }
    }

    size_t taken() const { return taken_; }

private:
    static void check(const std::pair<unsigned char* const, size_t>& allocation) {
        for (size_t at = 0; at < GUARD; at++) {
            if (allocation.first[-1 - static_cast<ptrdiff_t>(at)] != GUARD_BYTE ||
                allocation.first[allocation.second + at] != GUARD_BYTE) {
                fail("memory beside an allocation was written");
            }
        }
    }

    std::map<unsigned char*, size_t> lengths_;
    size_t taken_ = 0;
};

Memory card, pinned;

// Copies that are queued, by the pinned memory that they read or write.
std::map<void*, int> copying;

void add_copy(const void* host, size_t len, std::function<void()> copy) {
    void* allocation = pinned.allocation_of(host, len);
    copying[allocation]++;
    add([=] {
        copy();
        copying[allocation]--;
    });
}

void* on_card(unsigned long long address, size_t len) {
    void* at = reinterpret_cast<void*>(address);
    if (!card.holds(at, len)) {
        fail("a copy goes beyond the card's memory");
    }
    return at;
}

struct Moment {
    uint64_t number = 0;
    std::chrono::steady_clock::time_point time;
};
using Event = std::shared_ptr<Moment>;

Event& event(void* handle) {
    return *static_cast<Event*>(handle);
}

template <typename Arguments>
std::function<void()> launch_of(void (*kernel)(Index, const Arguments&), Index grid, const void* from) {
    // The driver copies the arguments before it returns.
    Arguments arguments;
    memcpy(&arguments, from, sizeof arguments);
    return [=] {
        kernel(grid, arguments);
        card.check_all();
    };
}

const char* const KERNELS[] = {"add_slices", "windows_f32", "windows_f16", "evidence"};

}  // namespace

extern "C" {

int cuInit(unsigned) { return SUCCESS; }
int cuDriverGetVersion(int* version) { *version = 13000; return SUCCESS; }
int cuGetErrorName(int, const char** name) { *name = "ERROR"; return SUCCESS; }
int cuGetErrorString(int, const char** text) { *text = "the driver on the CPU refuses"; return SUCCESS; }

int cuDeviceGetCount(int* count) { *count = 1; return SUCCESS; }
int cuDeviceGet(int* device, int) { *device = 0; return SUCCESS; }
int cuDeviceGetName(char* name, int len, int) { snprintf(name, len, "CPU"); return SUCCESS; }
int cuDeviceTotalMem_v2(size_t* bytes, int) { *bytes = MEMORY; return SUCCESS; }
// All that is asked for is there: a compute capability of 1.1, and memory pools.
int cuDeviceGetAttribute(int* value, int, int) { *value = 1; return SUCCESS; }

int cuDevicePrimaryCtxRetain(void** context, int) { *context = &card; return SUCCESS; }
int cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
int cuCtxGetCurrent(void** context) { *context = &card; return SUCCESS; }
int cuCtxSetCurrent(void*) { return SUCCESS; }

int cuModuleLoadData(void** module, const void* image) {
    // The first bytes of a fatbin.
    const unsigned char magic[] = {0x50, 0xed, 0x55, 0xba};
    *module = &card;
    return memcmp(image, magic, sizeof magic) == 0 ? SUCCESS : NOT_FOUND;
}
int cuModuleUnload(void*) { return SUCCESS; }
int cuModuleGetFunction(void** function, void*, const char* name) {
    for (const char* const& kernel : KERNELS) {
        if (std::string(kernel) == name) {
            *function = const_cast<char*>(kernel);
            return SUCCESS;
        }
    }
    return NOT_FOUND;
}

int cuStreamCreate(void** stream, unsigned) { *stream = &waiting; return SUCCESS; }
int cuStreamDestroy_v2(void*) { return SUCCESS; }
int cuStreamWaitEvent(void*, void*, unsigned) { return SUCCESS; }
int cuStreamSynchronize(void*) {
    run_until(queued);
    return SUCCESS;
}

int cuEventCreate(void** handle, unsigned) { *handle = new Event(new Moment); return SUCCESS; }
int cuEventDestroy_v2(void* handle) { delete &event(handle); return SUCCESS; }
int cuEventRecord(void* handle, void*) {
    Event moment = event(handle);
    add([moment] { moment->time = std::chrono::steady_clock::now(); });
    moment->number = queued;
    return SUCCESS;
}
int cuEventSynchronize(void* handle) {
    run_until(event(handle)->number);
    return SUCCESS;
}
int cuEventElapsedTime_v2(float* milliseconds, void* from, void* to) {
    if (event(to)->number > done) {
        return NOT_READY;
    }
    std::chrono::duration<float, std::milli> elapsed = event(to)->time - event(from)->time;
    *milliseconds = elapsed.count();
    return SUCCESS;
}

int cuMemAllocAsync(unsigned long long* address, size_t len, void*) {
    *address = reinterpret_cast<unsigned long long>(card.allocate(len));
    return SUCCESS;
}
int cuMemFreeAsync(unsigned long long address, void*) {
    add([=] { card.free(reinterpret_cast<void*>(address)); });
    return SUCCESS;
}
int cuMemHostAlloc(void** at, size_t len, unsigned) { *at = pinned.allocate(len); return SUCCESS; }
int cuMemFreeHost(void* at) {
    if (copying[at] != 0) {
        fail("pinned memory is freed while a copy is queued");
    }
    pinned.free(at);
    return SUCCESS;
}
int cuMemGetInfo_v2(size_t* left, size_t* total) {
    *total = MEMORY;
    *left = MEMORY - card.taken();
    return SUCCESS;
}
int cuMemsetD8Async(unsigned long long address, unsigned char byte, size_t len, void*) {
    add([=] { memset(on_card(address, len), byte, len); });
    return SUCCESS;
}
int cuMemcpyHtoDAsync_v2(unsigned long long to, const void* from, size_t len, void*) {
    if (pinned.holds(from, len)) {
        add_copy(from, len, [=] { memcpy(on_card(to, len), from, len); });
    } else {
        // The driver takes memory that is not pinned before it returns.
        std::string bytes(static_cast<const char*>(from), len);
        add([=] { memcpy(on_card(to, len), bytes.data(), len); });
    }
    return SUCCESS;
}
int cuMemcpyDtoHAsync_v2(void* to, unsigned long long from, size_t len, void*) {
    add_copy(to, len, [=] { memcpy(to, on_card(from, len), len); });
    if (!pinned.holds(to, len)) {
        run_until(queued);
    }
    return SUCCESS;
}
int cuMemcpyDtoDAsync_v2(unsigned long long to, unsigned long long from, size_t len, void*) {
    add([=] { memcpy(on_card(to, len), on_card(from, len), len); });
    return SUCCESS;
}

int cuLaunchHostFunc(void*, void (*function)(void*), void* data) {
    add([=] { function(data); });
    return SUCCESS;
}
int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned threads_y,
                   unsigned threads_z, unsigned shared_bytes, void*, void** arguments, void**) {
    const std::string kernel = static_cast<const char*>(function);
    const int expected = kernel == "add_slices" ? SLICE_THREADS
                       : kernel == "evidence"   ? EVIDENCE_THREADS
                                                : WINDOW_THREADS;
    if (threads != static_cast<unsigned>(expected) || threads_y != 1 || threads_z != 1 || shared_bytes != 0) {
        fail("a launch does not have the shape that interface.h names");
    }
    const Index grid = {x, y, z};
    add(kernel == "add_slices"    ? launch_of(add_slices, grid, arguments[0])
        : kernel == "windows_f32" ? launch_of(windows_f32, grid, arguments[0])
        : kernel == "windows_f16" ? launch_of(windows_f16, grid, arguments[0])
                                  : launch_of(evidence, grid, arguments[0]));
    return SUCCESS;
}

}  // extern "C"
