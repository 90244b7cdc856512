// What other threads hand to the engine's thread: replies to generate, and work to do between two steps.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/generation_state.hpp"

namespace qwen3 {

class RequestQueue {
public:
    using Job = std::function<void()>;  // must not throw

    struct Arrivals {
        std::vector<std::shared_ptr<GenerationState>> generations;
        std::vector<Job> jobs;
        bool closed = false;
    };

    void require_open() const;  // throws DeviceError once the queue is closed

    // Both throw DeviceError once the queue is closed.
    void post(std::shared_ptr<GenerationState> generation);
    void post(Job job);
    void wake();  // something that the engine's thread looks at has changed
    void close();

    // Everything that has arrived, in order. Waits for an arrival or a wake-up if asked to.
    Arrivals take(bool wait);

private:
    void check_open() const;  // with the mutex held

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    Arrivals arrivals_;
    bool woken_ = false;
};

}  // namespace qwen3
