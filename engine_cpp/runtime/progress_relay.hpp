// Loading happens on the engine's thread; what it reports is answered on the thread that waits for it.
#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <string_view>

#include "qwen3/engine.hpp"

namespace qwen3 {

class ProgressRelay {
public:
    explicit ProgressRelay(const ProgressFn& progress) : progress_(progress) {}

    // On the loading thread. A report returns what the callback returned, or throws what it threw.
    ProgressFn reports();
    void finish(std::exception_ptr error = nullptr);

    // On the waiting thread: answers until the end, then throws the error if there was one.
    void wait();

private:
    struct Report {
        std::string_view stage;
        int64_t done, total;
    };

    bool ask(const Report& report);

    const ProgressFn& progress_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<Report> asked_;
    std::optional<bool> answer_;
    std::exception_ptr thrown_;  // by the callback
    bool finished_ = false;
    std::exception_ptr error_;   // of the load
};

}  // namespace qwen3
