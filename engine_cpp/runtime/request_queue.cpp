#include "runtime/request_queue.hpp"

#include <utility>

#include "qwen3/error.hpp"

namespace qwen3 {

void RequestQueue::require_open() const {
    const std::lock_guard lock(mutex_);
    check_open();
}

void RequestQueue::check_open() const {
    if (arrivals_.closed) throw DeviceError("the engine is closed");
}

void RequestQueue::post(std::shared_ptr<GenerationState> generation) {
    {
        const std::lock_guard lock(mutex_);
        check_open();
        arrivals_.generations.push_back(std::move(generation));
    }
    wake();
}

void RequestQueue::post(Job job) {
    {
        const std::lock_guard lock(mutex_);
        check_open();
        arrivals_.jobs.push_back(std::move(job));
    }
    wake();
}

void RequestQueue::wake() {
    {
        const std::lock_guard lock(mutex_);
        woken_ = true;
    }
    changed_.notify_one();
}

void RequestQueue::close() {
    {
        const std::lock_guard lock(mutex_);
        arrivals_.closed = true;
    }
    wake();
}

RequestQueue::Arrivals RequestQueue::take(bool wait) {
    std::unique_lock lock(mutex_);
    if (wait) changed_.wait(lock, [&] { return woken_; });
    woken_ = false;
    return {std::exchange(arrivals_.generations, {}), std::exchange(arrivals_.jobs, {}), arrivals_.closed};
}

}  // namespace qwen3
