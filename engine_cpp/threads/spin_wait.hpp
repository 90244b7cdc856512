// Waiting for another thread of the same step: spin, then yield, then sleep in the kernel.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace qwen3 {

inline void cpu_relax() {
#if defined(__x86_64__) || defined(__i386__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

struct SpinPolicy {
    int spins = 2000;  // 0 when there are more threads than cores: then the others need this core
    int yields = 200;
};

// Returns once value != old; the writer calls notify_all after its store.
inline void wait_while_equal(const std::atomic<uint32_t>& value, uint32_t old, const SpinPolicy& policy) {
    for (int i = 0; i < policy.spins; ++i) {
        if (value.load(std::memory_order_acquire) != old) return;
        cpu_relax();
    }
    for (int i = 0; i < policy.yields; ++i) {
        if (value.load(std::memory_order_acquire) != old) return;
        std::this_thread::yield();
    }
    while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

}  // namespace qwen3
