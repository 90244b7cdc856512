#include "threads/affinity.hpp"

#include <algorithm>
#include <memory>
#include <thread>

#include <sched.h>

namespace qwen3 {
namespace {

struct FreeSet {
    void operator()(cpu_set_t* set) const { CPU_FREE(set); }
};
using CpuSet = std::unique_ptr<cpu_set_t, FreeSet>;

constexpr int kMostCpus = 1 << 16;

}  // namespace

CpuList allowed_cpus() {
    for (int limit = CPU_SETSIZE; limit <= kMostCpus; limit *= 2) {  // a machine with more refuses a small set
        const CpuSet set(CPU_ALLOC(limit));
        if (!set || sched_getaffinity(0, CPU_ALLOC_SIZE(limit), set.get()) != 0) continue;
        CpuList cpus;
        for (int cpu = 0; cpu < limit; ++cpu)
            if (CPU_ISSET_S(cpu, CPU_ALLOC_SIZE(limit), set.get())) cpus.push_back(cpu);
        if (!cpus.empty()) return cpus;
    }
    CpuList cpus(std::max(1U, std::thread::hardware_concurrency()));
    for (size_t i = 0; i < cpus.size(); ++i) cpus[i] = static_cast<int>(i);
    return cpus;
}

void keep_to(const CpuList& cpus) {
    if (cpus.empty()) return;
    const int limit = std::max(CPU_SETSIZE, cpus.back() + 1);
    const CpuSet set(CPU_ALLOC(limit));
    if (!set) return;
    CPU_ZERO_S(CPU_ALLOC_SIZE(limit), set.get());
    for (const int cpu : cpus) CPU_SET_S(cpu, CPU_ALLOC_SIZE(limit), set.get());
    sched_setaffinity(0, CPU_ALLOC_SIZE(limit), set.get());
}

}  // namespace qwen3
