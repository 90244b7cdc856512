// The processors that this process may run on: which share a core, and which share a memory.
#pragma once

#include <string>
#include <vector>

#include "threads/affinity.hpp"

namespace qwen3 {

// A physical core, as far as this process may use it.
struct Core {
    int node;      // of NUMA
    CpuList cpus;  // its processors: several with simultaneous multithreading; at least one
};

struct Topology {
    std::vector<Core> cores;  // ordered by node, then processor; at least one

    int cpus() const;         // over all cores
    std::vector<int> nodes() const;
    CpuList of_node(int node) const;
};

// What /sys tells of the allowed processors. Where it tells nothing, every processor is a core of node 0.
// root: where /sys begins.
Topology read_topology(const CpuList& allowed = allowed_cpus(), const std::string& root = "");

}  // namespace qwen3
