// What ASan and TSan must be told: which stack runs, and which accesses are the emulator's own and not the kernel's.
// Without a sanitizer all of this is nothing.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
extern "C" {
void __sanitizer_start_switch_fiber(void** save, const void* bottom, size_t size);
void __sanitizer_finish_switch_fiber(void* saved, const void** bottom, size_t* size);
}
#endif

#if defined(__SANITIZE_THREAD__)
extern "C" {
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void* __tsan_get_current_fiber(void);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void __tsan_ignore_thread_begin(void);
void __tsan_ignore_thread_end(void);
}
// Runs in a kernel's fiber on the emulator's data.
#define EMU_UNSEEN __attribute__((no_sanitize("thread"), noinline))
#else
#define EMU_UNSEEN
#endif

namespace emu {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kInstrumented = true;
#else
inline constexpr bool kInstrumented = false;
#endif
#if defined(__SANITIZE_THREAD__)
inline constexpr bool kRaceDetector = true;
#else
inline constexpr bool kRaceDetector = false;
#endif

// While one lives, TSan sees nothing of what this fiber does.
struct Quiet {
#if defined(__SANITIZE_THREAD__)
    Quiet() { __tsan_ignore_thread_begin(); }
    ~Quiet() { __tsan_ignore_thread_end(); }
#else
    Quiet() {}
    ~Quiet() {}
#endif
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;
};

// The edges of the memory order: what was released at an address is seen by whoever acquires there.
inline void acquire([[maybe_unused]] void* address) {
#if defined(__SANITIZE_THREAD__)
    __tsan_acquire(address);
#endif
}
inline void release([[maybe_unused]] void* address) {
#if defined(__SANITIZE_THREAD__)
    __tsan_release(address);
#endif
}

// One of the stacks that a host thread changes between: its own, or a fiber's.
struct Stack {
    const void* bottom = nullptr;
    size_t size = 0;
    void* asan_fake = nullptr;
    void* tsan_fiber = nullptr;
};

// Before and after a change of stacks, on the side that leaves and on the side that is entered.
EMU_UNSEEN inline void leave([[maybe_unused]] Stack& from, [[maybe_unused]] Stack& to) {
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(to.tsan_fiber, 1);  // 1: orders no memory
#endif
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&from.asan_fake, to.bottom, to.size);
#endif
}
EMU_UNSEEN inline void entered([[maybe_unused]] Stack& here) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(here.asan_fake, nullptr, nullptr);
#endif
}
// At a fiber's first instruction: learns from where it was entered.
inline void entered_first([[maybe_unused]] Stack& host) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &host.bottom, &host.size);
#endif
}

inline void* create_race_fiber() {
#if defined(__SANITIZE_THREAD__)
    return __tsan_create_fiber(0);
#else
    return nullptr;
#endif
}
inline void destroy_race_fiber([[maybe_unused]] void* fiber) {
#if defined(__SANITIZE_THREAD__)
    __tsan_destroy_fiber(fiber);
#endif
}
inline void* current_race_fiber() {
#if defined(__SANITIZE_THREAD__)
    return __tsan_get_current_fiber();
#else
    return nullptr;
#endif
}

}  // namespace emu
