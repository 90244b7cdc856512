// The state of a block that runs: its threads as fibers, what they wait for, its shared memory.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <string_view>
#include <vector>

#include "context.h"
#include "language.h"
#include "sanitizers.h"

namespace emu {

// In which order threads run between two barriers, and blocks of a grid. A correct kernel does not care.
enum class Order { forward, reverse, random };

struct Config {
    Order order = Order::forward;
    unsigned seed = 1;

    // QWEN3_EMU_ORDER = forward | reverse | random, QWEN3_EMU_SEED = a number.
    static Config from_environment() {
        Config config;
        if (const char* text = std::getenv("QWEN3_EMU_ORDER")) {
            const std::string_view order(text);
            if (order == "reverse")
                config.order = Order::reverse;
            else if (order == "random")
                config.order = Order::random;
            else if (order != "forward") {
                std::fprintf(stderr, "emulator: QWEN3_EMU_ORDER is '%s'; expected forward, reverse or random\n", text);
                std::abort();
            }
        }
        if (const char* text = std::getenv("QWEN3_EMU_SEED")) config.seed = static_cast<unsigned>(std::atoi(text));
        return config;
    }
};
inline Config config = Config::from_environment();

// The smallest limits among the devices that the kernels are compiled for.
inline constexpr unsigned kMostThreads = 1024;
inline constexpr size_t kMostShared = 99 << 10;

inline constexpr size_t kStackBytes = kInstrumented ? 256 << 10 : 64 << 10;

struct AsyncCopy {
    void* to;
    const void* from;  // null: zeros
};

// One thread of a block, and then the same thread of another: a fiber never ends.
struct Fiber {
    enum class State { ready, waiting, done };

    Fiber();
    ~Fiber();
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    uint3 thread{};
    unsigned lane = 0, warp = 0;
    State state = State::ready;
    const char* waits_in = "";
    const uint64_t* generation = nullptr;  // waits until this differs from `old`
    uint64_t old = 0;
    std::vector<AsyncCopy> uncommitted;
    std::vector<std::vector<AsyncCopy>> groups;
    Context context{};
    Stack stack;
};

// Lanes of one warp that meet under one mask. Values of two successive meetings lie apart, since a lane may leave for
// the next one before the others have read.
struct Meeting {
    uint32_t mask = 0, arrived = 0;
    const char* operation = "";
    uint64_t generation = 0;
    uint64_t values[2][32][4];
};
inline constexpr size_t kMostMasks = 8;  // of a warp

// Memory with a margin behind it that must stay as it is.
struct Guarded {
    static constexpr size_t kMargin = 64;
    static constexpr unsigned char kPattern = 0xa5;

    unsigned char* data = nullptr;
    size_t bytes = 0;

    // Poisoned with NaN; on 128 bytes if `aligned`, else on 16 and not on 32, as little as a kernel may rely on.
    static Guarded make(size_t bytes, bool aligned) {
        const size_t margin = kInstrumented ? 0 : kMargin;  // ASan has its own, and reports reads as well
        void* memory = nullptr;
        const size_t skip = aligned ? 0 : 16;
        if (posix_memalign(&memory, 128, skip + bytes + margin) != 0) std::abort();
        auto* data = static_cast<unsigned char*>(memory) + skip;
        std::memset(data, 0xff, bytes);
        std::memset(data + bytes, kPattern, margin);
        return {data, bytes};
    }
    bool intact() const {
        for (size_t i = 0; !kInstrumented && i < kMargin; ++i)
            if (data[bytes + i] != kPattern) return false;
        return true;
    }
    void free(bool aligned) { std::free(data - (aligned ? 0 : 16)); }
};

struct Block {
    dim3 grid, block;
    uint3 index{};
    unsigned threads = 0, alive = 0;
    unsigned at_barrier = 0;
    uint64_t barrier_generation = 0;
    const char* barrier_file = nullptr;  // where the first thread that waits there called it
    unsigned barrier_line = 0;
    Guarded dynamic;
    std::map<const void*, Guarded> shared;
    std::vector<std::vector<Meeting>> warps;
    std::deque<Fiber>* crew = nullptr;  // its threads, or more
    char begin = 0, end = 0;            // addresses at which a block's threads are ordered with their launch
};

// To TSan, what one fiber does is in order. So that it sees races between blocks, successive ones have other fibers.
inline constexpr size_t kCrews = kRaceDetector ? 3 : 1;

// A host thread's emulated device.
struct Worker {
    Block block;
    std::deque<Fiber> crews[kCrews];
    size_t blocks_run = 0;
    Fiber* current = nullptr;
    void (*kernel)(void*) = nullptr;
    void* arguments = nullptr;
    Context host{};
    Stack host_stack;
};

inline thread_local Worker* this_worker = nullptr;
EMU_UNSEEN inline Worker& worker() { return *this_worker; }

// Ends the program: what the kernel did has no meaning on a device.
template <class... Values>
[[noreturn]] void fail(const char* format, Values... values) {
    const Worker& w = worker();
    std::fprintf(stderr, "emulator: ");
    std::fprintf(stderr, format, values...);
    std::fprintf(stderr, " [block %u,%u,%u", w.block.index.x, w.block.index.y, w.block.index.z);
    if (w.current)
        std::fprintf(stderr, " thread %u,%u,%u", w.current->thread.x, w.current->thread.y, w.current->thread.z);
    std::fprintf(stderr, "]\n");
    std::abort();
}

// The kernel's view of where it is.
EMU_UNSEEN inline uint3 thread_index() { return worker().current->thread; }
EMU_UNSEEN inline uint3 block_index() { return worker().block.index; }
EMU_UNSEEN inline dim3 block_size() { return worker().block.block; }
EMU_UNSEEN inline dim3 grid_size() { return worker().block.grid; }
EMU_UNSEEN inline unsigned this_lane() { return worker().current->lane; }
EMU_UNSEEN inline void* dynamic_memory() { return worker().block.dynamic.data; }

// The block's memory of that name, made at its first use.
template <class T>
T& shared_memory(const void* name) {
    Quiet quiet;
    Guarded& memory = worker().block.shared[name];
    if (!memory.data) memory = Guarded::make(sizeof(T), false);
    return *reinterpret_cast<T*>(memory.data);
}

}  // namespace emu

#define threadIdx (::emu::thread_index())
#define blockIdx (::emu::block_index())
#define blockDim (::emu::block_size())
#define gridDim (::emu::grid_size())

#define GPU_SHARED(type, name)       \
    static const char name##_id = 0; \
    auto& name = ::emu::shared_memory<type>(&name##_id)
#define GPU_DYN_SMEM(type, name) type* name = reinterpret_cast<type*>(::emu::dynamic_memory())
