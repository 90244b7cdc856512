#include "runtime/progress_relay.hpp"

#include <utility>

namespace qwen3 {

ProgressFn ProgressRelay::reports() {
    if (!progress_) return {};
    return [this](std::string_view stage, int64_t done, int64_t total) { return ask({stage, done, total}); };
}

bool ProgressRelay::ask(const Report& report) {
    std::unique_lock lock(mutex_);
    asked_ = report;
    changed_.notify_all();
    changed_.wait(lock, [&] { return answer_ || thrown_; });
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    return *std::exchange(answer_, std::nullopt);
}

void ProgressRelay::finish(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    error_ = std::move(error);
    changed_.notify_all();
}

void ProgressRelay::wait() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [&] { return asked_ || finished_; });
        if (finished_) break;
        const Report report = *std::exchange(asked_, std::nullopt);
        lock.unlock();
        std::optional<bool> answer;
        std::exception_ptr thrown;
        try {
            answer = progress_(report.stage, report.done, report.total);
        } catch (...) {
            thrown = std::current_exception();
        }
        lock.lock();
        answer_ = answer;
        thrown_ = thrown;
        changed_.notify_all();
    }
    if (error_) std::rethrow_exception(error_);
}

}  // namespace qwen3
