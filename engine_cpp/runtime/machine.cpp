#include "runtime/machine.hpp"

#include <algorithm>
#include <fstream>
#include <limits>

#include "runtime/control_groups.hpp"

namespace qwen3 {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// The numbers that a file begins with, `count` of them; kUnlimited for what is missing, or says "max".
std::vector<int64_t> read_numbers(const std::string& path, size_t count) {
    std::ifstream file(path);
    std::vector<int64_t> numbers(count, kUnlimited);
    for (int64_t& number : numbers)
        if (!(file >> number)) {
            number = kUnlimited;
            break;
        }
    return numbers;
}

// Of a control group's memory.stat: what the kernel takes back before the group runs out.
int64_t reclaimable(const std::string& path, const std::string& prefix) {
    std::ifstream file(path);
    std::string key;
    int64_t total = 0;
    for (int64_t bytes = 0; file >> key >> bytes;)
        if (key == prefix + "active_file" || key == prefix + "inactive_file") total += bytes;
    return total;
}

// Cached files count as used, the checkpoint's own first of all.
int64_t left_in(int64_t limit, int64_t used, int64_t cached) {
    if (limit == kUnlimited || used == kUnlimited) return kUnlimited;
    return std::max<int64_t>(0, limit - std::max<int64_t>(0, used - cached));
}

int64_t cores_worth(int64_t quota, int64_t period) {
    if (quota == kUnlimited || period == kUnlimited || quota <= 0 || period <= 0) return kUnlimited;
    return (quota + period - 1) / period;
}

}  // namespace

int usable_cpus(const Topology& topology, const std::string& root) {
    int64_t usable = topology.cpus();
    for (const std::string& group : control_groups(root)) {
        const auto max = read_numbers(group + "/cpu.max", 2);
        usable = std::min(usable, cores_worth(max[0], max[1]));
    }
    for (const std::string& group : control_groups_v1(root, "cpu"))
        usable = std::min(usable, cores_worth(read_numbers(group + "/cpu.cfs_quota_us", 1)[0],
                                              read_numbers(group + "/cpu.cfs_period_us", 1)[0]));
    return static_cast<int>(std::max<int64_t>(1, usable));
}

int default_threads(const Topology& topology, const std::string& root) {
    const size_t cores = topology.cores.size();
    return std::min(cores == 1 ? topology.cpus() : static_cast<int>(cores), usable_cpus(topology, root));
}

std::vector<std::string> default_devices(const Topology& topology, int threads, int64_t query_heads) {
    const auto nodes = static_cast<int64_t>(topology.nodes().size());
    const int64_t count = std::max<int64_t>(1, std::min({nodes, int64_t{threads}, query_heads}));
    std::vector<std::string> devices;
    for (int64_t i = 0; i < count; ++i) devices.push_back("cpu:" + std::to_string(i));
    return devices;
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
    for (const std::string& group : control_groups(root))
        available = std::min(
            available, left_in(read_numbers(group + "/memory.max", 1)[0], read_numbers(group + "/memory.current", 1)[0],
                               reclaimable(group + "/memory.stat", "")));
    for (const std::string& group : control_groups_v1(root, "memory"))
        available = std::min(available, left_in(read_numbers(group + "/memory.limit_in_bytes", 1)[0],
                                                read_numbers(group + "/memory.usage_in_bytes", 1)[0],
                                                reclaimable(group + "/memory.stat", "total_")));
    return available == kUnlimited ? int64_t{4} << 30 : available;
}

}  // namespace qwen3
