// A ring between one writer and one reader, without locks. Nothing is ever dropped: a full ring refuses.
#pragma once

#include <atomic>
#include <cstddef>
#include <vector>

namespace qwen3 {

template <class Event>
class EventRing {
public:
    explicit EventRing(size_t capacity) : slots_(capacity) {}

    bool full() const {
        return written_.load(std::memory_order_relaxed) - read_.load(std::memory_order_acquire) == slots_.size();
    }
    bool empty() const { return written_.load(std::memory_order_acquire) == read_.load(std::memory_order_relaxed); }

    bool push(const Event& event) {  // the writer's
        if (full()) return false;
        const size_t at = written_.load(std::memory_order_relaxed);
        slots_[at % slots_.size()] = event;
        written_.store(at + 1, std::memory_order_release);
        return true;
    }
    bool pop(Event& event) {  // the reader's
        if (empty()) return false;
        const size_t at = read_.load(std::memory_order_relaxed);
        event = slots_[at % slots_.size()];
        read_.store(at + 1, std::memory_order_release);
        return true;
    }

private:
    std::vector<Event> slots_;
    alignas(64) std::atomic<size_t> written_{0};
    alignas(64) std::atomic<size_t> read_{0};
};

}  // namespace qwen3
