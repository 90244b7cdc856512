#include "threads/thread_pool.hpp"

#include <string>
#include <system_error>
#include <utility>

#include "qwen3/error.hpp"

namespace qwen3 {

ThreadPool::ThreadPool(int threads, SpinPolicy policy, std::vector<CpuList> cpus)
    : policy_(policy), cpus_(std::move(cpus)) {
    try {
        for (int i = 1; i < threads; ++i) helpers_.emplace_back([this, i] { serve(i); });
    } catch (const std::system_error& error) {
        stop();
        throw DeviceError("cannot start " + std::to_string(threads) + " threads (" + error.what() +
                          "); use fewer threads");
    }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
    stop_.store(true, std::memory_order_release);
    round_.fetch_add(1, std::memory_order_acq_rel);
    round_.notify_all();
    for (std::thread& helper : helpers_) helper.join();
}

void ThreadPool::run_erased(Task task, void* context) {
    if (helpers_.empty()) return task(context, 0);
    task_ = task;
    context_ = context;
    finished_.store(0, std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_acq_rel);
    round_.notify_all();
    task(context, 0);
    const auto helpers = static_cast<uint32_t>(helpers_.size());
    for (uint32_t done; (done = finished_.load(std::memory_order_acquire)) != helpers;)
        wait_while_equal(finished_, done, policy_);
}

void ThreadPool::serve(int thread) {
    if (const auto index = static_cast<size_t>(thread); index < cpus_.size()) keep_to(cpus_[index]);
    for (uint32_t seen = 0;;) {
        wait_while_equal(round_, seen, policy_);
        ++seen;
        if (stop_.load(std::memory_order_acquire)) return;
        task_(context_, thread);
        finished_.fetch_add(1, std::memory_order_acq_rel);
        finished_.notify_one();
    }
}

}  // namespace qwen3
