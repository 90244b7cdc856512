// A fixed set of threads that run one function together. No thread is created per step.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

#include "threads/affinity.hpp"
#include "threads/spin_wait.hpp"

namespace qwen3 {

class ThreadPool {
public:
    // The caller of run() is one of the threads, the first. The others keep to cpus[thread] where there is such a list.
    // Throws DeviceError when they cannot all be started.
    ThreadPool(int threads, SpinPolicy policy, std::vector<CpuList> cpus = {});
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const { return static_cast<int>(helpers_.size()) + 1; }

    // Calls fn(thread) once on every thread and returns when all are done. fn must not throw.
    template <class Fn>
    void run(Fn&& fn) {
        run_erased([](void* context, int thread) { (*static_cast<std::remove_reference_t<Fn>*>(context))(thread); },
                   &fn);
    }

private:
    using Task = void (*)(void* context, int thread);

    void run_erased(Task task, void* context);
    void serve(int thread);
    void stop();  // and join

    const SpinPolicy policy_;
    const std::vector<CpuList> cpus_;  // [threads] or empty
    Task task_ = nullptr;
    void* context_ = nullptr;
    std::atomic<uint32_t> round_{0};
    std::atomic<uint32_t> finished_{0};
    std::atomic<bool> stop_{false};
    std::vector<std::thread> helpers_;
};

}  // namespace qwen3
