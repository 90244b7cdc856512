#include "threads/placement.hpp"

#include <algorithm>
#include <cstdint>

#include "qwen3/range.hpp"

namespace qwen3 {

Placement place(const Topology& topology, int devices, int threads) {
    const bool free = topology.nodes().size() == 1 || threads > topology.cpus();
    Placement placement;
    for (int device = 0; device < devices; ++device) {
        const int64_t own = split(threads, 1, device, devices).size();
        const Range cores = split(static_cast<int64_t>(topology.cores.size()), 1, device, devices);
        std::vector<CpuList>& lists = placement.emplace_back(static_cast<size_t>(own));
        if (free || cores.size() == 0) continue;
        for (int64_t thread = 0; thread < own; ++thread) {
            const int64_t core = own <= cores.size() ? thread * cores.size() / own : thread % cores.size();
            const int node = topology.cores[static_cast<size_t>(cores.begin + core)].node;
            lists[static_cast<size_t>(thread)] = topology.of_node(node);
        }
    }
    return placement;
}

}  // namespace qwen3
