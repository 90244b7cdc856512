#include "runtime/machine.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace qwen3 {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// The first number of a file that holds a number or "max".
int64_t read_limit(const std::string& path) {
    std::ifstream file(path);
    int64_t value = kUnlimited;
    return file >> value ? value : kUnlimited;
}

// Of a control group's memory.stat: what the kernel takes back before the group runs out.
int64_t reclaimable(const std::string& path) {
    std::ifstream file(path);
    std::string key;
    int64_t total = 0;
    for (int64_t bytes = 0; file >> key >> bytes;)
        if (key == "active_file" || key == "inactive_file") total += bytes;
    return total;
}

int quota_cores() {
    std::ifstream file("/sys/fs/cgroup/cpu.max");
    int64_t quota = 0, period = 0;
    if (!(file >> quota >> period) || period <= 0) return std::numeric_limits<int>::max();
    return static_cast<int>(std::max<int64_t>(1, (quota + period - 1) / period));
}

}  // namespace

int usable_cores() {
    int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
#if defined(__linux__)
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) cores = std::max(1, CPU_COUNT(&allowed));
#endif
    return std::min(cores, quota_cores());
}

int64_t available_memory(const std::string& root) {
    int64_t available = kUnlimited;
    std::ifstream meminfo(root + "/proc/meminfo");
    for (std::string key; meminfo >> key;) {
        if (key == "MemAvailable:") {
            int64_t kib = 0;
            meminfo >> kib;
            available = kib * 1024;
            break;
        }
        meminfo.ignore(256, '\n');
    }
    const std::string group = root + "/sys/fs/cgroup/";
    const int64_t limit = read_limit(group + "memory.max");
    const int64_t used = read_limit(group + "memory.current");
    if (limit != kUnlimited && used != kUnlimited) {  // cached files count as used, the checkpoint's own first of all
        const int64_t held = std::max<int64_t>(0, used - reclaimable(group + "memory.stat"));
        available = std::min(available, std::max<int64_t>(0, limit - held));
    }
    return available == kUnlimited ? int64_t{4} << 30 : available;
}

}  // namespace qwen3
