// Where the threads of a group of devices run.
#pragma once

#include <vector>

#include "threads/topology.hpp"

namespace qwen3 {

// [devices][threads of the device]: the processors that a thread is kept to; an empty list: it may run anywhere.
using Placement = std::vector<std::vector<CpuList>>;

// Divides cores and threads evenly among the devices, the cores node by node. A device's threads spread over its cores,
// and share one only when there are more threads than cores.
//
// A thread is kept to the NUMA node of its core, where the weights that it has touched first lie. It is not kept to the
// core: the scheduler has to be free to move it away from one that another process takes, another engine for example.
// So nothing is kept anywhere on a machine of one node, or where there are more threads than processors.
//
// devices <= threads.
Placement place(const Topology& topology, int devices, int threads);

}  // namespace qwen3
