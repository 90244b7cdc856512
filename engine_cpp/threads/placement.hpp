// Where the threads of a group of devices run.
#pragma once

#include <vector>

#include "threads/topology.hpp"

namespace qwen3 {

// [devices][threads of the device]: the processors that a thread is kept to; an empty list: it may run anywhere.
using Placement = std::vector<std::vector<CpuList>>;

// Divides cores and threads evenly among the devices, the cores node by node. A device's threads spread over its cores.
//
// With a thread for every core, each is kept to its own: every other core has one already, so there is no better place
// to move to. With fewer threads a core may be left to whoever else wants it, so a thread is kept to the NUMA node of
// its core only, where the weights that it has touched first lie. With more threads than cores, too; with more than
// processors nothing is kept anywhere.
//
// devices <= threads.
Placement place(const Topology& topology, int devices, int threads);

}  // namespace qwen3
