#include "threads/placement.hpp"

#include <cstdint>

#include "qwen3/range.hpp"

namespace qwen3 {

Placement place(const Topology& topology, int devices, int threads) {
    const auto all = static_cast<int64_t>(topology.cores.size());
    const bool one_each = threads == all;
    const bool anywhere = threads > topology.cpus() || (!one_each && topology.nodes().size() == 1);
    Placement placement;
    for (int device = 0; device < devices; ++device) {
        const int64_t own = split(threads, 1, device, devices).size();
        const Range cores = split(all, 1, device, devices);
        std::vector<CpuList>& lists = placement.emplace_back(static_cast<size_t>(own));
        if (anywhere || cores.size() == 0) continue;
        for (int64_t thread = 0; thread < own; ++thread) {
            const int64_t index = own <= cores.size() ? thread * cores.size() / own : thread % cores.size();
            const Core& core = topology.cores[static_cast<size_t>(cores.begin + index)];
            lists[static_cast<size_t>(thread)] = one_each ? core.cpus : topology.of_node(core.node);
        }
    }
    return placement;
}

}  // namespace qwen3
